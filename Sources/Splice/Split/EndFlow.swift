// Flows between one end of a pipe and a descriptor, and the waits of an end: for a task that only reads or
// only writes.

import SystemPackage

// MARK: - Reading

extension PipeReader {
  /// Waits until there is something to read, or nothing will follow. Throws when the task is cancelled, or at
  /// the deadline.
  public mutating func wait(
    until deadline: ContinuousClock.Instant? = nil, on readiness: some Readiness = .epoll
  ) async throws(SpliceError) {
    if Task.isCancelled { throw .cancelled }
    while state == .waiting { try await end.pipe.wait(as: .reader, until: deadline, on: readiness) }
  }

  /// Waits on the calling thread until there is something to read, or nothing will follow.
  public mutating func wait(waitingIn poll: BlockingWait) throws(SpliceError) {
    try poll.check()
    while state == .waiting { try end.pipe.wait(as: .reader, waitingIn: poll) }
  }

  /// Hands bytes to a sink until the writer has ended and nothing is left.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``; what was not accepted is still in the pipe.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    let before = delivered
    let at = AtEnd(end.pipe, .reader)
    try await drive(watching: sink, as: .sink, of: at, options, until: deadline, waitingOn: readiness) {
      waits, ready, thread throws(SpliceError) in
      try step(&flow, ready, to: sink, waits, on: thread)
    }
    return delivered - before
  }

  /// Hands bytes to a sink until the writer has ended and nothing is left, while the calling thread waits.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    let before = delivered
    var drive = try ThreadDrive(
      polling: sink, as: .sink, of: AtEnd(end.pipe, .reader), options, waitingIn: poll)
    defer { sink.flowEnded(drive.hasFinished) }
    while try drive.wait(
      for: try step(&flow, drive.ready, to: sink, drive.waits, on: .mayWaitForDisk)
    ) {}
    return delivered - before
  }

  private mutating func step(
    _ flow: inout Flow, _ ready: ReadySet, to sink: borrowing Descriptor, _ waits: Waits,
    on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    // Of the alarm too: whatever the flow waits for, it is over.
    if ready.contains(.second), state == .invalid { throw .pipe(.badMessage) }
    if ready.contains(.first) { flow.wake(count: count) }
    if ready.contains(.failed) { flow.doubtSink() }
    let mark = flow.mark(deliveredBy)
    defer { flow.count(deliveredBy, since: mark) }
    return try flow.run(
      holding: 0, waits, unconfirmed: sink.unconfirmed,
      give: { flow, limit, _ throws(SpliceError) in
        // What there is was given by another task.
        switch state {
        case .invalid: throw .pipe(.badMessage)
        case .waiting:
          try flow.mustNotHaveHungUp(sink)
          return .halt(.waitEnd(end.pipe, .reader))
        case .closed: return .moved(.endOfFile, held: 0)
        case .ready:
          let count = min(limit, count)
          return .moved(.bytes(count), held: count)
        }
      },
      take: { flow, count throws(SpliceError) in
        if thread == .mustNotWait, sink.kind.isDisk { return .halt(.disk) }
        do throws(Errno) {
          let transfer = try end.pipe.drain(
            to: sink, upTo: count, via: flow.path(small: false), watchedBy: flow.taps)
          return .moved(transfer, held: count - transfer.count)
        } catch { throw error == .badMessage && state == .invalid ? .pipe(error) : .sink(error) }
      })
  }
}

// MARK: - Writing

extension PipeWriter {
  /// Waits until there is a slot to fill, or the reader is gone. Throws when the task is cancelled, or at
  /// the deadline.
  public mutating func wait(
    until deadline: ContinuousClock.Instant? = nil, on readiness: some Readiness = .epoll
  ) async throws(SpliceError) {
    if Task.isCancelled { throw .cancelled }
    while state == .waiting { try await end.pipe.wait(as: .writer, until: deadline, on: readiness) }
  }

  /// Waits on the calling thread until there is a slot to fill, or the reader is gone.
  public mutating func wait(waitingIn poll: BlockingWait) throws(SpliceError) {
    try poll.check()
    while state == .waiting { try end.pipe.wait(as: .writer, waitingIn: poll) }
  }

  /// Takes bytes from a source until it ends.
  ///
  /// - Returns: How many bytes were taken.
  /// - Throws: ``SpliceError``; what was taken is in the pipe. When the reader is gone, EPIPE as
  ///   ``SpliceError/sink(_:)``.
  @discardableResult
  public mutating func fill(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options)
    let before = received
    let at = AtEnd(end.pipe, .writer)
    try await drive(watching: source, as: .source, of: at, options, until: deadline, waitingOn: readiness) {
      waits, ready, thread throws(SpliceError) in
      try step(&flow, ready, from: source, waits, on: thread)
    }
    return received - before
  }

  /// Takes bytes from a source until it ends, while the calling thread waits.
  @discardableResult
  public mutating func fill(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options)
    let before = received
    var drive = try ThreadDrive(
      polling: source, as: .source, of: AtEnd(end.pipe, .writer), options, waitingIn: poll)
    while try drive.wait(
      for: try step(&flow, drive.ready, from: source, drive.waits, on: .mayWaitForDisk)
    ) {}
    return received - before
  }

  /// Whether there is a slot to fill; throws when the reader is gone.
  @discardableResult
  private func mayGoOn() throws(SpliceError) -> Bool {
    switch state {
    case .invalid: throw .pipe(.badMessage)
    case .closed: throw .sink(.brokenPipe)
    case .waiting: false
    case .ready: true
    }
  }

  private mutating func step(
    _ flow: inout Flow, _ ready: ReadySet, from source: borrowing Descriptor, _ waits: Waits,
    on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    if ready.contains(.second) { try mayGoOn() }
    if ready.contains(.first) { flow.wake(count: 0, isLast: ready.contains(.last)) }
    let mark = flow.mark(receivedBy)
    defer { flow.count(receivedBy, since: mark) }
    return try flow.run(
      holding: 0, waits,
      give: { flow, limit, small throws(SpliceError) in
        if try !mayGoOn() { return .halt(.waitEnd(end.pipe, .writer)) }
        if flow.mayWait(for: source, on: thread) { return .halt(.disk) }
        do throws(Errno) {
          let limit = flow.asking(limit, of: source)
          guard let move = try end.pipe.fill(from: source, upTo: limit, via: flow.path(small: small)) else {
            return .halt(.waitEnd(end.pipe, .writer))
          }
          flow.mustBeWhole(move.transfer, source)
          // What is in the pipe is another task's to hand over.
          return .moved(move.transfer, most: move.most, held: 0)
        } catch {
          if error == .badMessage, state == .invalid { throw .pipe(error) }
          throw error == .brokenPipe ? .sink(error) : .source(error)
        }
      },
      take: { _, _ in .moved(.bytes(0), held: 0) })
  }
}
