// One source, many sinks: the stream is cut into pieces, and each piece goes to every sink that has room for it, by reference.
//
// A piece is what one fill brought into the inlet, which has few slots. It is teed into the private pipe of each sink, and moved
// into the last one's. Who may be slow, and what becomes of it then, is the policy of each sink. Sinks come and go between two
// pieces.

import SystemPackage

/// One source, many sinks, each at its own pace.
///
/// ```swift
/// let fan = try FanOut()
/// let (archive, player) = (try fan.attach(), try fan.attach(.skip))
/// async let written = archive.splice(to: file)
/// async let played = player.splice(to: socket)
/// try await fan.splice(from: source)
/// fan.finish()
/// ```
public final class FanOut: Sendable {
  /// What becomes of a sink that cannot keep up.
  public enum Policy: Sendable {
    /// Everybody waits for it.
    case wait
    /// It misses pieces, which are counted.
    case skip
    /// It is let go when it has no room, or lags by more than so many bytes.
    case detach(lag: Int = .max)
    /// It reads what it missed from a recording, and joins the others again.
    case replay(Recording)
  }

  /// Slots of the inlet: so many a piece takes at most.
  static let pieceSlots = 16
  /// Slots of a private pipe, while there is memory for them: so many pieces a sink may lag at least.
  static let privateSlots = 64
  /// Past so many bytes of private pipes the next ones are as small as can be.
  static let generous = 64 << 20

  struct State {
    var branches: [Branch] = []
    /// Bytes that have been handed out.
    var position: UInt64 = 0
    var isFinished = false
    /// Of all private pipes, in bytes.
    var capacity = 0
    /// So far each sink reads the source by itself.
    var lentUntil: Int64?
  }

  let state = Locked(State())
  /// Where the pieces come in. Locked for a step, and not while anybody waits.
  let inlet: Locked<SplicePipe>
  /// Shows what is in a pipe of the kernel to sinks that have none.
  private let glass: Locked<SplicePipe>
  /// Whole units of so many bytes are handed out, and missed.
  public let alignment: Int
  /// Where the bytes are on their way.
  public let body: SplicePipe.Body
  /// Tells a fan-out that waits for its source that a sink has gone.
  private let event: Event

  /// A fan-out without sinks yet.
  ///
  /// - Parameters:
  ///   - body: Where the bytes are on their way. Where no pipe of the kernel is to be had, or no tee, they are in memory.
  ///   - alignment: Sinks that skip miss whole units of so many bytes, counted from the beginning, 64 KiB at most; EINVAL for more.
  public init(_ body: SplicePipe.Body = .kernel, alignedTo alignment: Int = 1) throws(Errno) {
    let capacity = Self.pieceSlots * Slot.pageSize
    guard (1...capacity).contains(alignment) else { throw .invalidArgument }
    let inlet = try Self.makePipe(body, slots: Self.pieceSlots)
    let glass = try Self.makePipe(inlet.kind, slots: Self.pieceSlots)
    // Both of one kind: a glass in memory shows nothing of the kernel's. And a sandbox may refuse tee.
    if glass.kind == inlet.kind, inlet.body.mayTee(to: glass.body) {
      (self.inlet, self.glass) = (Locked(inlet), Locked(glass))
    } else {
      self.inlet = Locked(try Self.makePipe(.memory, slots: Self.pieceSlots))
      self.glass = Locked(try Self.makePipe(.memory, slots: Self.pieceSlots))
    }
    self.body = self.inlet.withLock { $0.kind }
    self.alignment = alignment
    event = try Event()
  }

  deinit { finish() }

  /// A pipe of the kernel that has room for a piece; or one in memory, past the limits.
  private static func makePipe(_ body: SplicePipe.Body, slots: Int) throws(Errno) -> SplicePipe {
    do throws(Errno) {
      let pipe = try SplicePipe(body, capacity: slots * Slot.pageSize)
      if pipe.capacity >= pieceSlots * Slot.pageSize { return pipe }
    } catch {}
    return try SplicePipe(.memory, capacity: slots * Slot.pageSize)
  }
}

// MARK: - Sinks

extension FanOut {
  /// Bytes that have been handed out, to whoever was attached.
  public var position: UInt64 { state.withLock { $0.position } }

  /// Bytes that were taken from sources, by the way they travelled. What the sinks read of a file by themselves was spliced.
  public var receivedBy: PathCounts {
    var (counts, held) = inlet.withLock { ($0.receivedBy, $0.count) }
    counts.splice += position - min(position, counts.total - UInt64(held))
    return counts
  }

  /// Whether ``finish()`` was called.
  public var isFinished: Bool { state.withLock { $0.isFinished } }

  /// Attaches a sink: it gets everything from the next piece on.
  ///
  /// - Parameters:
  ///   - policy: What becomes of it when it cannot keep up.
  ///   - seesTheSame: Whether it must see the very bytes that the others see, as a digest must. A file whose sinks are all waited for is
  ///     else read by each of them, at its own pace, which is faster.
  ///   - capacity: Wishes for a private pipe of so many bytes, for one that is to miss little without being waited for.
  public func attach(
    _ policy: Policy = .wait, seesTheSame: Bool = false, capacity: Int? = nil
  ) throws(Errno) -> Sink {
    try attach(policy, seesTheSame: seesTheSame, capacity: capacity, kind: body)
  }

  /// The same for one whose bytes are to be in memory on their way, as they are past the limits.
  func attach(
    _ policy: Policy, seesTheSame: Bool = false, capacity: Int? = nil, kind: SplicePipe.Body
  ) throws(Errno) -> Sink {
    try state.withLock { state throws(Errno) in
      state.forgetTheGone()
      let usual = state.capacity < Self.generous ? Self.privateSlots : Self.pieceSlots
      let slots = capacity.map { max($0 / Slot.pageSize, Self.pieceSlots) } ?? usual
      // Whatever may fail comes before the branch is known to anybody.
      let hand = try SplicePipe(.memory)
      let branch = Branch(
        try Self.makePipe(kind, slots: slots), policy, seesTheSame: seesTheSame, from: state.position,
        goneTo: event)
      state.capacity += branch.capacity
      state.branches.append(branch)
      if state.isFinished { branch.finish() }
      return Sink(branch, hand, of: self.state)
    }
  }

  /// Ends the stream: the sinks get what they have not got yet, and then its end.
  public func finish() {
    let branches = state.withLock { state in
      state.isFinished = true
      return state.branches
    }
    for branch in branches { branch.finish() }
  }

  /// Declares the stream bad: the sinks get an error, now, instead of its end.
  public func invalidate() {
    for branch in state.withLock({ $0.branches }) { branch.letGo(.invalid) }
  }
}

extension FanOut.State {
  /// A branch that was forgotten before is not counted again.
  mutating func forget(_ gone: [Branch]) {
    for branch in gone {
      guard let index = branches.firstIndex(where: { $0 === branch }) else { continue }
      branches.remove(at: index)
      capacity -= branch.capacity
    }
  }

  mutating func forgetTheGone() { forget(branches.filter(\.isGone)) }
}

// MARK: - Pieces

extension FanOut {
  enum Outcome {
    case gave(Int)
    case waits(Branch)
    /// Nobody is left.
    case nobody
  }

  /// Hands the front of the inlet out: to everybody at once, or to nobody while somebody is waited for. Nobody is attached meanwhile.
  func handOut(_ inlet: inout SplicePipe, upTo limit: Int) throws(Errno) -> Outcome {
    try state.withLock { state throws(Errno) in
      // A unit that is in two places is put into one.
      if alignment > 1, inlet.front.count < limit { try inlet.gather() }
      let front = inlet.front
      let count = min(limit, front.count)
      for branch in state.branches where branch.mustBeWaitedFor {
        if branch.verdict(on: count, slots: front.slots, at: state.position) == .wait {
          return .waits(branch)
        }
      }
      // One copy for all whose bytes are in memory.
      let copy =
        try state.branches.contains { $0.kind != body }
        ? glass.withLock { glass throws(Errno) in try inlet.look(count, through: &glass) } : nil
      var gone: [Branch] = []
      var last: Branch?
      for branch in state.branches {
        switch branch.verdict(on: count, slots: front.slots, at: state.position) {
        case .take, .wait:
          if let copy, branch.kind != body {
            branch.give(copy, slots: front.slots)
          } else {
            last?.tee(from: inlet, count, slots: front.slots)
            last = branch
          }
        case .goesBy: break
        case .gone: gone.append(branch)
        }
      }
      state.forget(gone)
      if state.branches.isEmpty { return .nobody }
      if let last { last.move(from: &inlet, count, slots: front.slots) } else { try inlet.discard(count) }
      state.position += UInt64(count)
      return .gave(count)
    }
  }
}

// MARK: - Flows

extension FanOut {
  /// Hands everything a source gives to the sinks, until the source ends. Another source may follow; ``finish()`` ends the stream.
  ///
  /// - Returns: How many bytes were handed out.
  /// - Throws: ``SpliceError``; what was taken and not handed out yet goes out first in the next call. When no sink is left, EPIPE
  ///   as ``SpliceError/sink(_:)``, and the source is not read further.
  @discardableResult
  public func splice(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, via: Via = .automatic, pace: Pace? = nil,
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    let before = position
    repeat {
      try await drive(until: deadline, waitingOn: readiness) {
        _, _ throws(SpliceError) in try haltForTheLent(of: source)
      }
    } while try await lendElsewhere(source, upTo: limit - (position - before), via, pace)
    var flow = Flow(
      from: source, limit: left(of: limit, since: before), via: via, pace: pace, unit: alignment, told: .edges
    )
    try await drive(watching: source, event.descriptor, until: deadline, waitingOn: readiness) {
      keys, woken, thread throws(SpliceError) in
      try step(&flow, woken, from: source, keys, on: thread)
    }
    return position - before
  }

  /// The same while the calling thread waits.
  @discardableResult
  public func splice(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, via: Via = .automatic, pace: Pace? = nil,
    waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    var pace = pace
    return try splice(from: source, upTo: limit, via: via, pacedBy: &pace, waitingIn: poll)
  }

  /// Hands out what a source gives, at a pace that the next call goes on with.
  @discardableResult
  package func splice(
    from source: borrowing Descriptor, upTo limit: UInt64, via: Via, pacedBy pace: inout Pace?,
    waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    let before = position
    repeat {
      try drive(waitingIn: poll) { _, _ throws(SpliceError) in try haltForTheLent(of: source)
      }
    } while try lend(source, upTo: limit - (position - before), via, pace)
    var flow = Flow(
      from: source, limit: left(of: limit, since: before), via: via, pace: pace, unit: alignment,
      told: .levels)
    defer { pace = flow.pace }
    let keys = EndKeys(source, alarm: event.descriptor)
    try drive(waitingIn: poll) { woken, thread throws(SpliceError) in
      try step(&flow, woken, from: source, keys, on: thread)
    }
    return position - before
  }

  /// A file's size is asked for on a thread that may wait for its disk.
  private func lendElsewhere(
    _ source: borrowing Descriptor, upTo limit: UInt64, _ via: Via, _ pace: Pace?
  ) async throws(SpliceError) -> Bool {
    guard source.kind == .regularFile else { return false }
    return try await DiskThreads.shared.run { () throws(SpliceError) in
      try lend(source, upTo: limit, via, pace)
    }
  }

  /// What is still to be taken from the source: not what an earlier call has taken, which goes out first.
  private func left(of limit: UInt64, since before: UInt64) -> UInt64 {
    let (held, done) = (inlet.withLock { UInt64($0.count) }, position - before)
    return limit - min(limit, done + held)
  }

  private func step(
    _ flow: inout Flow, _ woken: Woken, from source: borrowing Descriptor, _ keys: EndKeys,
    on thread: Flow.Thread
  ) throws(SpliceError) -> Halt {
    if woken.contains(.second) {
      event.drain()
      forgetTheGone()
    }
    try mustHaveSinks()
    var slowest: Branch?
    let pause = try inlet.withLock { inlet throws(SpliceError) in
      if woken.contains(.first) { flow.wake(count: inlet.count, isLast: woken.contains(.last)) }
      return try flow.run(&inlet, from: source, on: thread, isSpliced: { true }) {
        inlet, _, count throws(SpliceError) in
        do throws(Errno) {
          switch try handOut(&inlet, upTo: count) {
          case .gave(let count): return .bytes(count)
          case .waits(let branch):
            slowest = branch
            return .wouldBlock
          case .nobody: throw .brokenPipe
          }
        } catch { throw .sink(error) }
      }
    }
    switch pause {
    case .waitSource: return keys.wait(as: .source)
    case .waitSink: return slowest.map { .waitEnd($0.monitor, .writer) } ?? .rest
    case .waitUntil(let time): return .wait(nil, until: time)
    case .rest: return .rest
    case .disk: return .disk
    case .finished: return .finished
    }
  }

  func mustHaveSinks() throws(SpliceError) {
    if state.withLock({ $0.branches.isEmpty }) { throw .sink(.brokenPipe) }
  }

  func forgetTheGone() {
    state.withLock { $0.forgetTheGone() }
  }
}
