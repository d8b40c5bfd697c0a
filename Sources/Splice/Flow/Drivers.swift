// Sources and sinks that are Swift code: handed a pipe, to fill it or to empty it as they wish.

import SystemPackage

/// Swift code that bytes come from, where a ``Descriptor`` will not do.
public protocol SpliceSource: ~Copyable {
  /// Puts some bytes into a pipe that has room, by any of its verbs, and waits for them as long as it takes.
  ///
  /// - Returns: How many bytes went in, no more than `limit`, or the flow ends with EINVAL; `.wouldBlock`
  ///   when the pipe has no more room; `.endOfFile` when none will follow.
  mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer
}

/// Swift code that bytes go to, where a ``Descriptor`` will not do.
public protocol SpliceSink: ~Copyable {
  /// Takes some bytes out of a pipe that holds some, by any of its verbs, and waits until it can. What it
  /// does not take, or has not taken when it throws, stays in the pipe.
  mutating func drain(_ pipe: inout SplicePipe) async throws
}

// MARK: - Flows

extension SplicePipe {
  /// Moves bytes from a source through this pipe to a sink, both of them Swift code, until the source ends.
  ///
  /// - Returns: How many bytes the sink took.
  /// - Throws: What the source or the sink throws; ``SpliceError/cancelled`` after cancellation. The bytes
  ///   that were taken and not yet accepted are in this pipe, and calling again goes on.
  @discardableResult
  public mutating func forward(
    from source: inout some SpliceSource & ~Copyable, to sink: inout some SpliceSink & ~Copyable,
    upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws -> UInt64 {
    var flow = Flow(limit: limit, options: options)
    return try await run(
      &flow, until: deadline, waitingOn: readiness,
      step: { pipe, flow, _, _ throws(SpliceError) in
        try flow.run(
          holding: pipe.count, Waits(), give: { _, _, _ in .halt(.code) }, take: { _, _ in .halt(.code) })
      },
      give: { pipe, limit in try await source.fill(&pipe, upTo: limit) },
      take: { pipe in try await sink.drain(&pipe) })
  }

  /// Moves bytes from a descriptor through this pipe to Swift code, until the descriptor ends.
  @discardableResult
  public mutating func forward(
    from source: borrowing Descriptor, to sink: inout some SpliceSink & ~Copyable, upTo limit: UInt64 = .max,
    options: FlowOptions = FlowOptions(), until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws -> UInt64 {
    var flow = Flow(from: source, limit: limit, options: options, told: .edges)
    flow.drainFirst()
    let atSource = Registration(source.raw, on: readiness)
    let waits = Waits(source: atSource.key)
    if readiness.mayHaveToldLastEdge(of: waits.source) { flow.doubtSource() }
    return try await withTaskCancellationHandler {
      try await run(
        &flow, until: deadline, waitingOn: readiness,
        step: { pipe, flow, ready, thread throws(SpliceError) in
          if ready.contains(.first) { flow.wake(count: pipe.count, isLast: ready.contains(.last)) }
          return try flow.run(
            holding: pipe.count, waits,
            give: { flow, limit, small throws(SpliceError) in
              try flow.fill(&pipe, from: source, upTo: limit, small: small, isSpliced: true, on: thread)
            }, take: { _, _ in .halt(.code) })
        },
        give: { _, _ in .endOfFile }, take: { pipe in try await sink.drain(&pipe) })
    } onCancel: {
      readiness.interrupt(waits.source)
    }
  }

  /// Moves bytes from Swift code through this pipe to a descriptor, until the source ends.
  @discardableResult
  public mutating func forward(
    from source: inout some SpliceSource & ~Copyable, to sink: borrowing Descriptor,
    upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    let atSink = Registration(sink.raw, on: readiness)
    let waits = Waits(sink: atSink.key)
    do {
      let count = try await withTaskCancellationHandler {
        try await run(
          &flow, until: deadline, waitingOn: readiness,
          step: { pipe, flow, ready, thread throws(SpliceError) in
            if ready.contains(.first) { flow.wake(count: pipe.count) }
            return try Syscall.withoutSIGPIPE { () throws(SpliceError) in
              try flow.run(
                holding: pipe.count, waits, unconfirmed: sink.unconfirmed, give: { _, _, _ in .halt(.code) },
                take: { flow, count throws(SpliceError) in
                  try flow.drain(&pipe, to: sink, upTo: count, on: thread)
                })
            }
          },
          give: { pipe, limit in try await source.fill(&pipe, upTo: limit) }, take: { _ in })
      } onCancel: {
        readiness.interrupt(waits.sink)
      }
      sink.flowEnded(true)
      return count
    } catch {
      sink.flowEnded(false)
      throw error
    }
  }

  /// Goes on with a flow of which one side or both are Swift code, until everything has moved.
  private mutating func run(
    _ flow: inout Flow, until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness,
    step: (inout SplicePipe, inout Flow, ReadySet, Flow.Thread) throws(SpliceError) -> StepResult,
    give: (inout SplicePipe, Int) async throws -> Transfer, take: (inout SplicePipe) async throws -> Void
  ) async throws -> UInt64 {
    let before = delivered
    while true {
      let mark = flow.mark(deliveredBy)
      defer { flow.count(deliveredBy, since: mark) }
      try await drive(until: deadline.map(Moment.init), waitingOn: readiness) {
        ready, thread throws(SpliceError) in
        try step(&self, &flow, ready, thread)
      }
      switch flow.turn {
      case .give(let limit):
        let transfer = try await give(&self, limit)
        // What is too much is in the pipe, and was not asked for.
        if transfer.count > limit { throw SpliceError.source(.invalidArgument) }
        flow.given(transfer, held: count)
        if Task.isCancelled { throw SpliceError.cancelled }
      case .take:
        try await take(&self)
        flow.taken(held: count)
        if Task.isCancelled, count > 0 { throw SpliceError.cancelled }
      case nil: return delivered - before
      }
      if let deadline, deadline <= .now { throw SpliceError.timedOut }
    }
  }
}
