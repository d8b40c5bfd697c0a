// Flows: splice as long as it takes, waiting as needed.
//
// They end at the source's end, at the limit, on an error, at a deadline or when they are stopped; and whichever it was, what was
// taken and not yet accepted is still in the pipe. Calling again goes on. One machine serves both kinds of waiting.

import SystemPackage

// MARK: - Async

extension SplicePipe {
  /// Moves bytes from a source through this pipe to a sink, until the source ends.
  ///
  /// Bytes already in the pipe go first. Small messages are copied through user memory and bulk is spliced, as the stream shows
  /// itself; what cannot splice is copied. Never waits on its thread: descriptors are waited for on `readiness`, and
  /// a disk on a thread for disks.
  ///
  /// - Parameters:
  ///   - source: Where the bytes come from.
  ///   - sink: Where they go.
  ///   - limit: Takes no more than so many bytes from the source.
  ///   - via: Which paths may be used.
  ///   - pace: How fast bytes are taken from the source.
  ///   - taps: Sinks that watch, coming and going as they like. They see what is handed to the sink, each byte once, and miss what they
  ///     have no room for: they can neither slow the flow nor break it.
  ///   - deadline: Gives up then, with ``SpliceError/timedOut``.
  ///   - readiness: Where to wait for descriptors.
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``, which says who failed. After cancellation of the task, ``SpliceError/cancelled``.
  ///
  /// C: `splice` in a loop with `epoll_wait`
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, upTo limit: UInt64 = .max,
    via: Via = .automatic, pace: Pace? = nil, watchedBy taps: FanOut? = nil,
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(from: source, limit: limit, via: via, pace: pace, taps: taps, told: .edges)
    return try await run(&flow, from: source, to: sink, until: deadline, waitingOn: readiness)
  }

  /// Hands everything in this pipe to a sink.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``; what was not accepted is still here.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, via: Via = .automatic, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    // A flow whose source may give nothing never looks at it.
    var flow = Flow(from: sink, limit: 0, via: via, told: .edges)
    return try await run(&flow, from: sink, to: sink, until: deadline, waitingOn: readiness)
  }

  mutating func run(
    _ flow: inout Flow, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness
  ) async throws(SpliceError) -> UInt64 {
    let before = delivered
    let atSource = Registration(source.raw, on: readiness)
    let atSink = Registration(sink.raw, on: readiness)
    let keys = (source: atSource.key, sink: atSink.key)
    // One handler for the whole flow; a wait for each would cost more than the wait.
    let outcome = await withTaskCancellationHandler { () -> Result<Void, SpliceError> in
      do throws(SpliceError) {
        if readiness.mayHaveToldLastEdge(of: keys.source) { flow.doubtSource() }
        try await drive(until: deadline, waitingOn: readiness) {
          woken, thread throws(SpliceError) in
          try Syscall.withoutSIGPIPE { () throws(SpliceError) in
            try step(&flow, woken, from: source, to: sink, keys, on: thread)
          }
        }
        return .success(())
      } catch { return .failure(error) }
    } onCancel: {
      readiness.interrupt(keys.source)
      readiness.interrupt(keys.sink)
    }
    try outcome.get()
    return delivered - before
  }

  private mutating func step(
    _ flow: inout Flow, _ woken: Woken, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    _ keys: (source: RegistrationKey, sink: RegistrationKey), on thread: Flow.Thread
  ) throws(SpliceError) -> Halt {
    if woken.contains(.first) { flow.wake(count: count, isLast: woken.contains(.last)) }
    return switch try flow.run(&self, from: source, to: sink, on: thread) {
    case .waitSource: .wait(Interest(keys.source, as: .source))
    case .waitSink: .wait(Interest(keys.sink, as: .sink))
    case .waitUntil(let time): .wait(nil, until: time)
    case .rest: .rest
    case .disk: .disk
    case .finished: .finished
    }
  }
}

// MARK: - Blocking

extension SplicePipe {
  /// Moves bytes from a source through this pipe to a sink, until the source ends: for programs without async, the calling
  /// thread waits.
  ///
  /// - Parameters:
  ///   - source: Where the bytes come from.
  ///   - sink: Where they go.
  ///   - limit: Takes no more than so many bytes from the source.
  ///   - via: Which paths may be used.
  ///   - pace: How fast bytes are taken from the source.
  ///   - taps: Sinks that watch, coming and going as they like. They see what is handed to the sink, each byte once, and miss what they
  ///     have no room for: they can neither slow the flow nor break it.
  ///   - poll: How long to wait, and who may stop it.
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``, which says who failed. When stopped, ``SpliceError/cancelled``.
  ///
  /// C: `splice` in a loop with `poll`
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, upTo limit: UInt64 = .max,
    via: Via = .automatic, pace: Pace? = nil, watchedBy taps: FanOut? = nil, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(from: source, limit: limit, via: via, pace: pace, taps: taps, told: .levels)
    return try run(&flow, from: source, to: sink, waitingIn: poll)
  }

  /// Hands everything in this pipe to a sink, while the calling thread waits.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``; what was not accepted is still here.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, via: Via = .automatic, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(from: sink, limit: 0, via: via, told: .levels)
    return try run(&flow, from: sink, to: sink, waitingIn: poll)
  }

  /// Goes on with a flow, whatever ended it before.
  package mutating func run(
    _ flow: inout Flow, from source: borrowing Descriptor, to sink: borrowing Descriptor, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    let before = delivered
    let keys = (Interest(source, as: .source).key, Interest(sink, as: .sink).key)
    try drive(waitingIn: poll) { woken, thread throws(SpliceError) in
      try step(&flow, woken, from: source, to: sink, keys, on: thread)
    }
    return delivered - before
  }
}

extension Interest {
  /// For `poll`, which keeps no registrations.
  init(_ descriptor: borrowing Descriptor, as direction: Descriptor.Direction) {
    self.init(RegistrationKey(descriptor: descriptor.raw, generation: 0), as: direction)
  }
}
