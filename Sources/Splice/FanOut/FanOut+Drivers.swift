// Sources of a fan-out that are no descriptors: Swift code, and the reading end of a pipe.

import SystemPackage

extension FanOut {
  /// Hands everything Swift code gives to the sinks, until it ends.
  ///
  /// - Returns: How many bytes were handed out.
  /// - Throws: What the source throws, after what it gave before was handed out; ``SpliceError`` otherwise.
  @discardableResult
  public func splice(
    from source: inout some SpliceSource & ~Copyable, upTo limit: UInt64 = .max
  ) async throws -> UInt64 {
    let before = position
    var intake = try SplicePipe(body)
    var isOver = false
    var failure: (any Error)?
    while !isOver {
      let left = limit - min(limit, intake.received)
      do {
        let transfer =
          left == 0 ? .endOfFile : try await source.spliceIn(&intake, upTo: Int(min(left, 1 << 30)))
        isOver = transfer == .endOfFile
      } catch { (failure, isOver) = (error, true) }
      try await drive(until: nil, waitingOn: .epoll) { _, _ throws(SpliceError) in
        try pass(isOver: isOver) { inlet, room throws(Errno) in try intake.splice(to: &inlet, upTo: room) }
      }
    }
    if let failure { throw failure }
    return position - before
  }

  /// Hands everything that comes out of a pipe to the sinks, until its writer has ended, while the calling thread waits.
  @discardableResult
  public func splice(
    from reader: inout PipeReader, upTo limit: UInt64 = .max, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    let before = position
    try drive(waitingIn: poll) { _, _ throws(SpliceError) in
      var isOver = false
      while true {
        let halt = try pass(isOver: isOver) { inlet, room throws(Errno) in
          let left = limit - min(limit, position - before + UInt64(inlet.count))
          let transfer =
            left == 0 ? .endOfFile : try reader.splice(to: &inlet, upTo: Int(min(left, UInt64(room))))
          if transfer == .endOfFile { isOver = true }
          return transfer
        }
        // What was held back for want of a whole unit goes out at the end.
        guard case .finished = halt else { return halt }
        if isOver { return try pass(isOver: true) { _, _ in .endOfFile } }
        return .waitEnd(reader.end.pipe, .reader)
      }
    }
    return position - before
  }

  /// Fills the inlet and hands it out, as long as `fill` brings something and nobody has to be waited for.
  private func pass(
    isOver: Bool, _ fill: (inout SplicePipe, Int) throws(Errno) -> Transfer
  ) throws(SpliceError) -> Halt {
    try mustHaveSinks()
    return try inlet.withLock { inlet throws(SpliceError) in
      while true {
        let cameIn = try refill(&inlet, fill)
        let ready = isOver && !cameIn ? inlet.count : inlet.count / alignment * alignment
        if ready == 0, !cameIn { return .finished }
        if ready == 0 { continue }
        do throws(Errno) {
          switch try handOut(&inlet, upTo: ready) {
          case .gave: continue
          case .waits(let branch): return .waitEnd(branch.monitor, .writer)
          case .nobody: throw .brokenPipe
          }
        } catch { throw .sink(error) }
      }
    }
  }

  /// Whether something came in.
  private func refill(
    _ inlet: inout SplicePipe, _ fill: (inout SplicePipe, Int) throws(Errno) -> Transfer
  ) throws(SpliceError) -> Bool {
    let room = inlet.capacity - inlet.count
    if room <= 0 { return false }
    do throws(Errno) {
      if inlet.count > 0, !inlet.hasRoom { try inlet.gather() }
      if case .bytes(let count) = try fill(&inlet, room) { return count > 0 }
      return false
    } catch { throw .source(error) }
  }
}
