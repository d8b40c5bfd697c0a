// A sink of a fan-out, as whoever serves it sees it.

import SystemPackage

extension FanOut {
  /// One of the places the bytes go to. It is served by one task or thread, with any of its flows; letting it go detaches it.
  public final class Sink: Sendable {
    let branch: Branch
    /// What left the private pipe and was not accepted yet: it is here when a flow fails, and goes first in the next.
    fileprivate let hand: Locked<SplicePipe>
    /// Of the fan-out, where the branch is.
    private let fan: Locked<State>

    init(_ branch: Branch, _ hand: consuming SplicePipe, of fan: Locked<State>) {
      (self.branch, self.fan) = (branch, fan)
      self.hand = Locked(hand)
    }

    deinit {
      detach()
      branch.leave()
    }

    /// What has come of it so far.
    public var counters: Counters { branch.monitor.withState { $0.counters } }

    /// Where in the stream it was attached: bytes that had been handed out before.
    public var start: UInt64 { branch.start }

    /// The bytes it accepted, by the way they travelled.
    public var deliveredBy: PathCounts {
      let copiedByHand = hand.withLock { $0.deliveredBy.copy }
      return branch.monitor.withState { state in
        PathCounts(
          state.counters.delivered, copied: state.pipe.deliveredBy.copy + copiedByHand, teed: state.teed)
      }
    }

    /// Why it was let go, if it was.
    public var reason: LetGo? { branch.monitor.withState { $0.reason } }

    /// Takes it out of the fan-out, at once: it gets what was handed to it, and then the end.
    public func detach() {
      // In this order: a fan-out that is woken finds it gone.
      fan.withLock { $0.forget([branch]) }
      branch.detach()
    }
  }
}

// MARK: - To a descriptor

extension FanOut.Sink {
  /// Hands its bytes to a descriptor until the stream ends. A file is written on a thread of its own, so that a disk that stalls holds
  /// up nobody else.
  ///
  /// - Returns: How many bytes the descriptor accepted.
  /// - Throws: ``SpliceError``; what was not accepted goes first in the next call. When the sink was let go, ENOBUFS as
  ///   ``SpliceError/pipe(_:)``, or EBADMSG when the stream was declared bad; ``reason`` has the details.
  @discardableResult
  public func splice(
    to descriptor: borrowing Descriptor, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    guard descriptor.kind.isDisk else {
      return try await flow(to: descriptor, until: deadline, waitingOn: readiness)
    }
    let thread: EpollExecutor
    do throws(Errno) { thread = try EpollExecutor(name: "splice-file") } catch { throw .pipe(error) }
    defer { thread.shutdown() }
    return try await withTaskExecutorPreference(thread) { () throws(SpliceError) in
      try await flow(to: descriptor, until: deadline, waitingOn: thread)
    }
  }

  /// What goes to a disk passes through a pipe of the kernel, if one is to be had.
  private func makeHand(for descriptor: borrowing Descriptor) {
    guard descriptor.kind.isDisk, branch.kind == .kernel else { return }
    hand.withLock { hand in
      guard hand.kind == .memory, hand.count == 0, let pipe = try? SplicePipe(capacity: 256 << 10) else {
        return
      }
      hand = pipe
    }
  }

  private func flow(
    to descriptor: borrowing Descriptor, until deadline: ContinuousClock.Instant?,
    waitingOn readiness: some Readiness
  ) async throws(SpliceError) -> UInt64 {
    var course = Course(branch.delivered)
    makeHand(for: descriptor)
    if !descriptor.kind.isDisk { branch.begin(to: descriptor) }
    defer { branch.end() }
    try await drive(
      watching: descriptor, try branch.monitor.alarm(for: .reader), until: deadline, waitingOn: readiness
    ) { keys, _, thread throws(SpliceError) in
      // A file has this thread for itself.
      try step(&course, to: descriptor, keys, on: descriptor.kind.isDisk ? .mayWaitForDisk : thread)
    }
    return branch.delivered - course.start
  }

  /// The same while the calling thread waits.
  @discardableResult
  public func splice(to descriptor: borrowing Descriptor, waitingIn poll: Poll) throws(SpliceError) -> UInt64
  {
    var course = Course(branch.delivered)
    makeHand(for: descriptor)
    let keys = EndKeys(descriptor, alarm: try branch.monitor.alarm(for: .reader))
    try drive(waitingIn: poll) { _, thread throws(SpliceError) in
      try step(&course, to: descriptor, keys, on: thread)
    }
    return branch.delivered - course.start
  }

  private struct Course {
    /// Bytes it had accepted before.
    let start: UInt64
    var disk = DiskProbe()

    init(_ start: UInt64) { self.start = start }
  }

  private func step(
    _ course: inout Course, to descriptor: borrowing Descriptor, _ keys: EndKeys, on thread: Flow.Thread
  ) throws(SpliceError) -> Halt {
    branch.monitor.withState { $0.work() }
    var moved = 0
    while moved < FlowMachine.turnSize {
      if case .recording(let recording, let offset, _) = branch.portion {
        if thread == .mayWaitForDisk { course.disk.look(at: recording.file) }
        if thread == .mustNotWait, course.disk.mayWait(for: recording.file, at: offset) { return .disk }
      }
      let hop: Hop
      do throws(Errno) { hop = try self.hop(to: descriptor) } catch { throw .sink(error) }
      switch hop {
      case .moved(let count): moved += count
      case .full: return keys.wait(as: .sink)
      case .nothing(.waiting), .nothing(.ready):
        branch.monitor.withState { $0.rest() }
        return .waitEnd(branch.monitor, .reader)
      case .nothing(.closed): return .finished
      case .nothing(.invalid): throw .pipe(branch.errno)
      }
    }
    return .rest
  }

  private enum Hop {
    /// So many bytes were accepted.
    case moved(Int)
    /// The descriptor takes nothing now.
    case full
    /// There is nothing for it.
    case nothing(EndState)

    init(_ transfer: Transfer) {
      if case .bytes(let count) = transfer { self = .moved(count) } else { self = .full }
    }
  }

  /// One hop. Out of the private pipe straight away, where that does not wait: while it is written to a disk, the fan-out could put nothing
  /// in.
  private func hop(to descriptor: borrowing Descriptor) throws(Errno) -> Hop {
    try hand.withLock { hand throws(Errno) in
      if hand.count == 0 {
        if !descriptor.kind.isDisk, let transfer = try branch.drain(to: descriptor) {
          return Hop(transfer)
        }
        let taken = try branch.take(into: &hand)
        guard case .bytes = taken else { return .nothing(branch.monitor.look(as: .reader)) }
      }
      let transfer = try hand.splice(to: descriptor)
      if case .bytes(let count) = transfer { branch.accepted(count) }
      return Hop(transfer)
    }
  }
}

// MARK: - To Swift code

extension FanOut.Sink: SpliceSource {
  /// Moves what is there into a pipe, for flows to any ``SpliceSink``; waits for it.
  public func spliceIn(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    while true {
      let (transfer, isWaiting) = try move(into: &pipe, upTo: limit)
      if !isWaiting { return transfer }
      try await branch.monitor.wait(as: .reader, until: nil, on: .epoll)
    }
  }

  /// The same while the calling thread waits. `.wouldBlock` means that the pipe has no more room.
  public func splice(
    into pipe: inout SplicePipe, upTo limit: Int = .max, waitingIn poll: Poll
  ) throws(SpliceError) -> Transfer {
    while true {
      let (transfer, isWaiting) = try move(into: &pipe, upTo: limit)
      if !isWaiting { return transfer }
      try branch.monitor.wait(as: .reader, waitingIn: poll)
    }
  }

  /// What can be moved at once, and whether there is something to wait for.
  private func move(
    into pipe: inout SplicePipe, upTo limit: Int
  ) throws(SpliceError) -> (Transfer, isWaiting: Bool) {
    let transfer: Transfer
    do throws(Errno) {
      transfer = try hand.withLock { hand throws(Errno) in
        hand.count > 0 ? try hand.splice(to: &pipe, upTo: limit) : try branch.take(into: &pipe, upTo: limit)
      }
    } catch { throw .source(error) }
    if case .bytes(let count) = transfer { branch.accepted(count) }
    guard transfer == .wouldBlock, pipe.hasRoom else { return (transfer, false) }
    switch branch.monitor.look(as: .reader) {
    case .invalid: throw .pipe(branch.errno)
    case .closed: return (.endOfFile, false)
    case .waiting, .ready: return (.wouldBlock, true)
    }
  }
}
