// Sources of a fan-out that are no descriptors: Swift code, and the reading end of a pipe.

import SystemPackage

extension FanOut {
  /// Hands everything Swift code gives to the sinks, until it ends.
  ///
  /// - Returns: How many bytes were handed out.
  /// - Throws: What the source throws, after what it gave before was handed out; ``SpliceError`` otherwise.
  @discardableResult
  public func fill(
    from source: inout some SpliceSource & ~Copyable, upTo limit: UInt64 = .max,
    options: FlowOptions = FlowOptions(), until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws -> UInt64 {
    let before = try await settled(until: deadline, waitingOn: readiness)
    var intake = try SplicePipe(storage)
    // Whatever ends this, what was taken goes out in the next call.
    defer { if intake.count > 0 { rest.withLock { swap(&$0, &intake) } } }
    var taken: UInt64 = 0
    var flow = Flow(limit: limit, options: options, unit: alignment, endsUnits: !keepsParts)
    var isOver = false
    var failure: (any Error)?
    while true {
      do {
        try await drive(until: deadline.map(Moment.init), waitingOn: readiness) { _, _ throws(SpliceError) in
          try step(&flow, ending: .code) { inlet, limit throws(Errno) in
            intake.count == 0 && isOver ? .endOfFile : try intake.splice(to: &inlet, upTo: limit)
          }
        }
      } catch { throw failure ?? error }
      guard case .give(let allowed)? = flow.turn else { break }
      let left = limit - min(limit, taken)
      do {
        let most = Int(min(left, options.pace == nil ? 1 << 30 : UInt64(allowed)))
        let transfer = left == 0 ? .endOfFile : try await source.fill(&intake, upTo: most)
        taken += UInt64(transfer.count)
        isOver = transfer == .endOfFile
      } catch { (failure, isOver) = (error, true) }
      if Task.isCancelled { throw failure ?? SpliceError.cancelled }
      if let deadline, deadline <= .now { throw failure ?? SpliceError.timedOut }
    }
    if let failure { throw failure }
    return position - before
  }

  /// Hands everything that comes out of a pipe to the sinks, until its writer has ended, while the calling
  /// thread waits.
  @discardableResult
  public func fill(
    from reader: inout PipeReader, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    let before = try settled(waitingIn: poll)
    var flow = Flow(
      limit: left(of: limit, since: before), options: options, unit: alignment, endsUnits: !keepsParts)
    var drive = ThreadDrive(waitingIn: poll)
    while try drive.wait(
      for: try step(&flow, ending: .waitEnd(reader.end.pipe, .reader)) { inlet, limit throws(Errno) in
        try reader.splice(to: &inlet, upTo: limit)
      }
    ) {}
    return position - before
  }

  /// Hands out what an earlier call has taken from Swift code and has not handed out.
  func handOutRest() throws(SpliceError) -> StepResult {
    try rest.withLock { rest throws(SpliceError) in
      if rest.count == 0 {
        // A pipe of the kernel is not kept for nothing.
        if rest.storage == .kernel, let small = try? SplicePipe(.memory, capacity: Slot.pageSize) {
          rest = small
        }
        return .finished
      }
      var flow = Flow(limit: .max, unit: alignment, endsUnits: !keepsParts)
      return try step(&flow, ending: .finished) { inlet, limit throws(Errno) in
        try rest.splice(to: &inlet, upTo: limit)
      }
    }
  }

  /// Fills the inlet and hands it out, until `fill` brings nothing, which `dry` is the reason to wait for, or
  /// a sink has to be waited for.
  private func step(
    _ flow: inout Flow, ending dry: StepResult, _ fill: (inout SplicePipe, Int) throws(Errno) -> Transfer
  ) throws(SpliceError) -> StepResult {
    if let halt = try settle() { return halt }
    let mark = flow.mark(receivedBy)
    defer { flow.count(receivedBy, since: mark) }
    return try inlet.withLock { inlet throws(SpliceError) in
      try flow.run(
        holding: inlet.count, Waits(),
        give: { flow, limit, _ throws(SpliceError) in
          do throws(Errno) {
            let transfer = try fill(&inlet, flow.makeRoom(in: &inlet, upTo: limit))
            // What is there goes out first.
            if transfer == .wouldBlock, flow.whole(inlet.count) == 0 { return .halt(dry) }
            return .moved(transfer, held: inlet.count)
          } catch { throw .source(error) }
        },
        take: { _, count throws(SpliceError) in try hand(&inlet, upTo: count) })
    }
  }
}
