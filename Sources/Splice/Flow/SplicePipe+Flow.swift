// Flows: splice as long as it takes, waiting as needed.
//
// They end at the source's end, at the limit, on an error, at a deadline or when they are stopped; and
// whichever it was, what was taken and not yet accepted is still in the pipe. Calling again goes on. One
// machine serves both kinds of waiting.

import SystemPackage

// MARK: - Async

extension SplicePipe {
  /// Moves bytes from a source through this pipe to a sink, until the source ends.
  ///
  /// Bytes already in the pipe go first. Small messages are copied through user memory and bulk is spliced,
  /// as the stream shows itself; what cannot splice is copied. Never waits on its thread: descriptors are
  /// waited for on `readiness`, and a disk on a thread for disks.
  ///
  /// - Parameters:
  ///   - source: Where the bytes come from.
  ///   - sink: Where they go.
  ///   - limit: Takes at most this many bytes from the source.
  ///   - options: Paths, pace, idle time and meter.
  ///   - taps: Who watches: sees what is handed to the sink, each byte once, and can neither slow the flow
  ///     nor break it.
  ///   - deadline: Gives up then, with ``SpliceError/timedOut``.
  ///   - readiness: Where to wait for descriptors.
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``, which says who failed. After cancellation of the task,
  ///   ``SpliceError/cancelled``.
  ///
  /// C: `splice` in a loop with `epoll_wait`
  @discardableResult
  public mutating func forward(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, upTo limit: UInt64 = .max,
    options: FlowOptions = FlowOptions(), watchedBy taps: (any FlowWatcher)? = nil,
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(from: source, limit: limit, options: options, taps: taps, told: .edges)
    return try await run(&flow, from: source, to: sink, until: deadline, waitingOn: readiness)
  }

  /// Hands what is in this pipe to a sink, all of it or at most this many bytes.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``; what was not accepted is still here.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    let before = delivered
    try await drive(watching: sink, as: .sink, options, until: deadline, waitingOn: readiness) {
      waits, ready, thread throws(SpliceError) in
      try step(&flow, ready, to: sink, waits, on: thread)
    }
    return delivered - before
  }

  /// One step of a flow from this pipe alone.
  private mutating func step(
    _ flow: inout Flow, _ ready: ReadySet, to sink: borrowing Descriptor, _ waits: Waits,
    on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    if ready.contains(.first) { flow.wake(count: count) }
    return try Syscall.withoutSIGPIPE { () throws(SpliceError) in
      try flow.run(&self, to: sink, waits, on: thread)
    }
  }

  mutating func run(
    _ flow: inout Flow, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    until deadline: ContinuousClock.Instant?, waitingOn readiness: any Readiness
  ) async throws(SpliceError) -> UInt64 {
    let before = delivered
    let atSource = Registration(source.raw, on: readiness)
    let atSink = Registration(sink.raw, on: readiness)
    let waits = Waits(source: atSource.key, sink: atSink.key)
    if sink.canHangUp { readiness.follow(atSink.key, from: atSource.key, closing: flow.endsWithPeer) }
    // One handler for the whole flow; a wait for each would cost more than the wait.
    let outcome = await withTaskCancellationHandler { () -> Result<Void, SpliceError> in
      do throws(SpliceError) {
        if readiness.mayHaveToldLastEdge(of: waits.source) { flow.doubtSource() }
        // A hang-up that was told to whoever had the sink before is not told again.
        if readiness.mayHaveToldLastEdge(of: waits.sink) { flow.doubtSink() }
        try await drive(until: deadline.map(Moment.init), waitingOn: readiness) {
          ready, thread throws(SpliceError) in
          try Syscall.withoutSIGPIPE { () throws(SpliceError) in
            try step(&flow, ready, from: source, to: sink, waits, on: thread)
          }
        }
        return .success(())
      } catch { return .failure(error) }
    } onCancel: {
      readiness.interrupt(waits.source)
      readiness.interrupt(waits.sink)
    }
    sink.flowEnded(outcome.isSuccess)
    try outcome.get()
    return delivered - before
  }

  private mutating func step(
    _ flow: inout Flow, _ ready: ReadySet, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    _ waits: Waits, on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    if ready.contains(.first) { flow.wake(count: count, isLast: ready.contains(.last)) }
    if ready.contains(.failed) { flow.doubtSink() }
    return try flow.run(&self, from: source, to: sink, waits, on: thread)
  }
}

// MARK: - Blocking

extension SplicePipe {
  /// Moves bytes from a source through this pipe to a sink, until the source ends: for programs without
  /// async, the calling thread waits.
  ///
  /// - Parameters:
  ///   - source: Where the bytes come from.
  ///   - sink: Where they go.
  ///   - limit: Takes at most this many bytes from the source.
  ///   - options: Paths, pace, idle time and meter.
  ///   - taps: Who watches: sees what is handed to the sink, each byte once, and can neither slow the flow
  ///     nor break it.
  ///   - poll: How long to wait, and who may stop it.
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``, which says who failed. When stopped, ``SpliceError/cancelled``.
  ///
  /// C: `splice` in a loop with `poll`
  @discardableResult
  public mutating func forward(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, upTo limit: UInt64 = .max,
    options: FlowOptions = FlowOptions(), watchedBy taps: (any FlowWatcher)? = nil,
    waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(from: source, limit: limit, options: options, taps: taps, told: .levels)
    return try run(&flow, from: source, to: sink, waitingIn: poll)
  }

  /// Hands what is in this pipe to a sink, all of it or at most this many bytes, while the calling thread
  /// waits.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``; what was not accepted is still here.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    let before = delivered
    var drive = try ThreadDrive(polling: sink, as: .sink, options, waitingIn: poll)
    defer { sink.flowEnded(drive.hasFinished) }
    while try drive.wait(
      for: try step(&flow, drive.ready, to: sink, drive.waits, on: .mayWaitForDisk)
    ) {}
    return delivered - before
  }

  /// Goes on with a flow, whatever ended it before.
  package mutating func run(
    _ flow: inout Flow, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    followingSink: Bool = true, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    let before = delivered
    var drive = ThreadDrive(
      from: source, to: sink, followingSink: followingSink, closing: flow.endsWithPeer, waitingIn: poll)
    defer { sink.flowEnded(drive.hasFinished) }
    while try drive.wait(
      for: try step(&flow, drive.ready, from: source, to: sink, drive.waits, on: .mayWaitForDisk)
    ) {}
    return delivered - before
  }
}

extension Result {
  var isSuccess: Bool { if case .success = self { true } else { false } }
}

extension Interest {
  /// For `poll`, which keeps no registrations.
  init(_ descriptor: borrowing Descriptor, as direction: Descriptor.Direction) {
    self.init(RegistrationKey(descriptor: descriptor.raw, generation: 0), as: direction)
  }
}
