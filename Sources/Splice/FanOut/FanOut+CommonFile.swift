// A file can be read by every sink itself, from an offset of its own: that is faster than teeing it, and
// nobody waits for anybody.

import SystemPackage

extension FanOut {
  /// A file that sinks read by themselves.
  struct CommonFile {
    /// Another descriptor of the source, with its offset.
    let file: Recording
    /// Where in the stream it is.
    let range: Range<UInt64>
    let readers: [Branch]
  }

  /// Files smaller than this are not worth it.
  private static let worthSharing: UInt64 = 1 << 20

  /// Has each sink read a file by itself, if all may: whether there was anything to share. May wait for the
  /// disk, with no lock held.
  func share(
    _ source: borrowing Descriptor, upTo limit: UInt64, _ options: FlowOptions
  ) throws(SpliceError) -> Bool {
    let held = inlet.withLock { $0.count }
    guard source.kind == .regularFile, options.isUsual, alignment == 1, held == 0 else {
      return false
    }
    let origin, left: Int64
    do throws(Errno) {
      origin = try Syscall.lseek(source.raw, to: 0, from: .current)
      left = max(0, try Syscall.fstat(source.raw).size - origin)
    } catch { throw .source(error) }
    let count = min(UInt64(left), limit)
    // Where no descriptor is left, it is teed.
    guard count >= Self.worthSharing, let copy = try? Descriptor(duplicating: source.raw) else {
      return false
    }
    var own: Descriptor? = consume copy
    return state.withLock { state in
      guard state.shared == nil, !state.branches.isEmpty,
        state.branches.allSatisfy({ $0.mustBeWaitedFor && !$0.seesTheSame }),
        let copy = own.take()
      else { return false }
      let file = Recording(sharing: copy, origin: origin - Int64(state.position))
      for branch in state.branches {
        branch.monitor.withState { $0.share(Int(count), of: file, at: state.position) }
      }
      let range = state.position..<state.position + count
      state.shared = CommonFile(file: file, range: range, readers: state.branches)
      state.position = range.upperBound
      return true
    }
  }

  /// Waits while a sink still reads what was shared, also in an earlier call, hands out what that has left,
  /// and answers with the position then.
  func settled(
    until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness
  ) async throws(SpliceError) -> UInt64 {
    try await drive(until: deadline.map(Moment.init), waitingOn: readiness) { _, _ throws(SpliceError) in
      try goOnWithRest()
    }
    return position
  }

  /// Waits on the calling thread until what was taken before has been handed out, and says where the stream
  /// stands.
  func settled(waitingIn poll: BlockingWait) throws(SpliceError) -> UInt64 {
    var drive = ThreadDrive(waitingIn: poll)
    while try drive.wait(for: try goOnWithRest()) {}
    return position
  }

  private func goOnWithRest() throws(SpliceError) -> StepResult {
    if let halt = try settle() { return halt }
    return try handOutRest()
  }

  /// Comes before anything is handed out: answers with a reason to wait while a sink still reads what was
  /// shared. After that the file's offset is behind what was moved, and what no sink got was not handed out.
  /// A file that was cut meanwhile is truncated, and one that could not be read has failed: no sink has seen
  /// an end.
  func settle() throws(SpliceError) -> StepResult? {
    guard let shared = state.withLock({ $0.shared }) else {
      try mustHaveSinks()
      return nil
    }
    if let busy = shared.readers.first(where: { $0.monitor.look(as: .writer) == .waiting }) {
      return .waitEnd(busy.monitor, .writer)
    }
    let (end, failure) = state.withLock { $0.settle(shared) }
    do throws(Errno) {
      if let file = shared.file.shared {
        _ = try Syscall.lseek(file, to: shared.file.offset(of: end), from: .start)
      }
    } catch { throw .source(error) }
    try mustHaveSinks()
    if let failure { throw failure }
    return nil
  }
}

extension FanOut.State {
  /// Ends what was shared, and says how far in the stream the sink that got most has come, and what the one
  /// that got least is to be told. One that has gone wanted no more.
  fileprivate mutating func settle(_ shared: FanOut.CommonFile) -> (end: UInt64, failure: SpliceError?) {
    let (start, whole) = (shared.range.lowerBound, shared.range.upperBound)
    let end = shared.readers.reduce(start) { end, branch in
      max(end, branch.monitor.withState { $0.progress(upTo: whole) })
    }
    let shortfalls = shared.readers.filter { !$0.isGone }.map { branch in
      let shortfall = branch.monitor.withState { state in
        defer { state.settle(missedByAll: whole - end) }
        return state.shortfall
      }
      // What it has missed is nowhere, and what follows is not where it would be.
      if shortfall.count > whole - end { branch.endRecording() }
      return shortfall
    }
    // Those that came meanwhile are behind it.
    for branch in branches where !shared.readers.contains(where: { $0 === branch }) {
      branch.moveBack(to: end)
    }
    self.shared = nil
    position = end
    forgetTheGone()
    let failed = shortfalls.first { $0.errno != nil } ?? shortfalls.max { $0.count < $1.count }
    return (end, failed?.error)
  }
}
