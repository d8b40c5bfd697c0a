// One source, many sinks: the stream is cut into pieces, and each piece goes to every sink that has room for
// it, by reference.
//
// A piece is what one fill brought into the inlet, which has few slots. It is teed into the private pipe of
// each sink, and moved into the last one's. Who may be slow, and what becomes of it then, is the policy of
// each sink. Sinks come and go between two pieces.

import SystemPackage

/// One source, many sinks, each at its own pace.
///
/// ```swift
/// let fan = try FanOut()
/// let archive = try fan.attach(to: file)
/// let player = try fan.attach(.skip, to: socket)
/// for outcome in try await fan.run(from: source, to: [archive, player]) {
///   print(outcome)  // how many bytes it accepted, or why it did not get them all
/// }
/// ```
///
/// A sink that fails does not hold up the others. Sinks that come and go are served by tasks of their
/// own, each with its `drain(to:)`, while another one calls `fill(from:)` and then ``finish()``.
public final class FanOut: Sendable {
  /// What becomes of a sink that cannot keep up.
  public enum Policy: Sendable {
    /// Everybody waits for it.
    case wait
    /// It misses pieces, which are counted.
    case skip
    /// It is let go when it has no room, or lags by more than this many bytes.
    case detach(lag: Int = .max)
    /// It reads what it missed from a recording, and joins the others again.
    case replay(Recording)
  }

  /// A piece has at least so many slots.
  static let fewestSlots = 16
  /// The largest unit: a slot is free beside a part of one, so that the rest can come.
  package static var largestAlignment: Int { (fewestSlots - 1) * Slot.pageSize }
  /// So many pieces a private pipe takes, while there is memory for them.
  static let piecesAhead = 4
  /// A private pipe of the kernel has no more bytes: what a user may have without asking.
  static let largestPipe = 1 << 20
  /// Private pipes that hold something have no more bytes together: what a user may have without asking.
  static let budget = 64 << 20
  /// So many sinks keep theirs while nothing is in it, which costs less, and so many are kept for the others.
  static let keptPipes = 16
  /// Descriptors of such pipes, where they are as large as can be.
  package static let mostDescriptors = 2 * budget / largestPipe

  struct State {
    var branches: [Branch] = []
    /// Bytes that have been handed out.
    var position: UInt64 = 0
    var isFinished = false
    /// What the sinks read by themselves, until all have.
    var shared: CommonFile?
  }

  let state = Locked(State())
  /// Where the pieces come in. Locked for a step, and not while anybody waits.
  let inlet: Locked<SplicePipe>
  /// What was taken from Swift code and is on its way there: of a call that has ended early.
  let rest: Locked<SplicePipe>
  /// Shows what is in a pipe of the kernel to sinks that have none.
  private let glass: Locked<SplicePipe>
  /// Whole units of this many bytes are handed out, and missed.
  public let alignment: Int
  /// Whether there have to be sinks: without, the source is read no further. Else bytes go by while there are
  /// none.
  let needsSinks: Bool
  /// Whether the part of a unit that a source ends with stays in the inlet, until ``endUnit(dropping:)``.
  let keepsParts: Bool
  /// Slots of the inlet: so many a piece takes at most.
  private let pieceSlots: Int
  /// Where the bytes are on their way.
  public let storage: SplicePipe.Storage
  /// Private pipes of the kernel, lent while something is in them: of many sinks, those that keep up take
  /// turns at one.
  let pool = PipePool(budget: budget, idle: keptPipes, lendsLess: false)
  /// Tells a fan-out that waits for its source that a sink has gone.
  private let event: Event

  /// A fan-out without sinks yet.
  ///
  /// - Parameters:
  ///   - storage: Where the bytes are on their way. Where no pipe of the kernel is to be had, or no tee, they
  ///     are in memory.
  ///   - alignment: Sinks that skip miss whole units of this many bytes, counted from the beginning, 60 KiB
  ///     at most; EINVAL for more.
  ///   - pieceSize: A wish for pieces of so many bytes at most, and no less than 64 KiB. Larger ones cost
  ///     less, where source and sinks take them; a sink that skips misses whole ones. One that is behind has
  ///     a private pipe of four of them, of a mebibyte at most.
  public convenience init(
    _ storage: SplicePipe.Storage = .kernel, alignedTo alignment: Int = 1, pieceSize: Int = 64 << 10
  ) throws(Errno) {
    try self.init(storage, alignedTo: alignment, pieceSize: pieceSize, needsSinks: true)
  }

  /// For a broadcast: bytes go by while there are no sinks unless it `needsSinks`, and what a source ends with
  /// of a unit is kept until ``endUnit(dropping:)``, if it `keepsParts`.
  package init(
    _ storage: SplicePipe.Storage = .kernel, alignedTo alignment: Int, pieceSize: Int = 64 << 10,
    needsSinks: Bool, keepsParts: Bool = false
  ) throws(Errno) {
    (self.needsSinks, self.keepsParts) = (needsSinks, keepsParts)
    guard (1...Self.largestAlignment).contains(alignment) else { throw .invalidArgument }
    let inlet = try Self.makePipe(storage, slots: pieceSize / Slot.pageSize, least: Self.fewestSlots)
    pieceSlots = inlet.capacity / Slot.pageSize
    let glass = try Self.makePipe(inlet.storage, slots: pieceSlots, least: pieceSlots)
    // Both of one kind: a glass in memory shows nothing of the kernel's. And a sandbox may refuse tee.
    if glass.storage == inlet.storage, inlet.rings.mayTee(to: glass.rings) {
      (self.inlet, self.glass) = (Locked(inlet), Locked(glass))
    } else {
      self.inlet = Locked(try SplicePipe(.memory, capacity: inlet.capacity))
      self.glass = Locked(try SplicePipe(.memory, capacity: inlet.capacity))
    }
    rest = Locked(try SplicePipe(.memory, capacity: Slot.pageSize))
    self.storage = self.inlet.withLock { $0.storage }
    self.alignment = alignment
    event = try Event()
  }

  deinit { if !isFinished { invalidate() } }

  /// A pipe of as many slots as can be had, and of no fewer than `least`: one of the kernel, or one in
  /// memory, past the limits.
  private static func makePipe(
    _ storage: SplicePipe.Storage, slots: Int, least: Int
  ) throws(Errno) -> SplicePipe {
    do throws(Errno) {
      var pipe = try SplicePipe(storage, capacity: least * Slot.pageSize)
      if pipe.capacity >= least * Slot.pageSize {
        if slots > least { pipe.resize(to: slots * Slot.pageSize) }
        return pipe
      }
    } catch {}
    return try SplicePipe(.memory, capacity: max(slots, least) * Slot.pageSize)
  }
}

// MARK: - Sinks

extension FanOut {
  /// Bytes that have been handed out, to the sinks attached then.
  public var position: UInt64 { state.withLock { $0.position } }

  /// Bytes that were taken from sources, by the way they travelled. What the sinks read of a file by
  /// themselves was spliced.
  public var receivedBy: PathCounts {
    var (counts, held) = inlet.withLock { ($0.receivedBy, $0.count) }
    counts.splice += position - min(position, counts.total - UInt64(held))
    return counts
  }

  /// Bytes that were taken from sources: handed out, or a part of a unit yet.
  package var taken: UInt64 { position + inlet.withLock { UInt64($0.count) } }

  /// Whether ``finish()`` was called.
  public var isFinished: Bool { state.withLock { $0.isFinished } }

  /// Attaches a sink: it gets everything from the next piece on.
  ///
  /// - Parameters:
  ///   - policy: What becomes of it when it cannot keep up.
  ///   - seesTheSame: Whether it must see the very bytes that the others see, as a digest must. A file whose
  ///     sinks are all waited for is else read by each of them, at its own pace, which is faster.
  ///   - comesAgain: Whether a flow of it that fails, or is cancelled, is followed by another one. It stays
  ///     attached meanwhile, and the others may have to wait for it; else it is let go, and they do not.
  ///   - position: Begins at a place of the stream that has gone by, and reads that from its recording:
  ///     EINVAL where there is none, EBUSY while the sinks read the source by themselves.
  ///   - capacity: Wishes for a private pipe of this many bytes, for one that is to miss little without being
  ///     waited for. Past a mebibyte it goes on in user memory, which is taken as it is needed.
  public func attach(
    _ policy: Policy = .wait, seesTheSame: Bool = false, comesAgain: Bool = false,
    from position: UInt64? = nil, capacity: Int? = nil
  ) throws(Errno) -> Sink {
    let sink = try attach(
      policy, seesTheSame: seesTheSame, capacity: capacity, from: position, storage: storage)
    sink.comesAgain = comesAgain
    return sink
  }

  /// Attaches a sink that is a descriptor, for ``run(from:to:upTo:options:until:waitingOn:)``, which serves
  /// it.
  public func attach(
    _ policy: Policy = .wait, to descriptor: consuming Descriptor, seesTheSame: Bool = false,
    from position: UInt64? = nil, capacity: Int? = nil
  ) throws(Errno) -> Sink {
    let sink = try attach(
      policy, seesTheSame: seesTheSame, capacity: capacity, from: position, storage: storage)
    sink.own(descriptor)
    return sink
  }

  /// Attaches a sink with a storage of its own: in memory past the limits.
  func attach(
    _ policy: Policy, seesTheSame: Bool = false, capacity: Int? = nil, from position: UInt64? = nil,
    storage: SplicePipe.Storage
  ) throws(Errno) -> Sink {
    try state.withLock { state throws(Errno) in
      state.forgetTheGone()
      if let position, !policy.holds(position, before: state.position) { throw .invalidArgument }
      // Where the stream will stand is not known before all have read what was shared.
      if position != nil, state.shared != nil { throw .resourceBusy }
      // Whatever may fail comes before the branch is known to anybody.
      let hand = try SplicePipe(.memory)
      let branch = Branch(
        try makePipe(storage, capacity: capacity), policy, seesTheSame: seesTheSame,
        capacity: capacity, keepsPipe: state.branches.count < Self.keptPipes, unit: alignment,
        from: position ?? state.position,
        goneTo: event)
      if let position, case .replay(let recording) = policy {
        // It hears of the recording by now: what is written meanwhile comes before this, or after.
        branch.monitor.withState { $0.begin(from: position, to: state.position, in: recording) }
      }
      state.branches.append(branch)
      if state.isFinished { branch.finish() }
      return Sink(branch, hand, of: self.state)
    }
  }

  /// A private pipe: lent by the pool while something is in it, or one of its own for a sink with a wish.
  private func makePipe(_ storage: SplicePipe.Storage, capacity: Int?) throws(Errno) -> SplicePipe {
    if let capacity {
      let slots = min(capacity, Self.largestPipe) / Slot.pageSize
      return try Self.makePipe(storage, slots: max(slots, pieceSlots), least: pieceSlots)
    }
    let slots = min(Self.piecesAhead * pieceSlots, max(Self.largestPipe / Slot.pageSize, pieceSlots))
    switch storage {
    case .kernel: return SplicePipe(from: pool, capacity: slots * Slot.pageSize)
    case .memory: return try SplicePipe(.memory, capacity: slots * Slot.pageSize)
    }
  }

  /// Ends the stream: the sinks get what they have not got yet, and then its end. A fan-out that goes away
  /// without has ended nothing: the stream is bad then, as with ``invalidate()``.
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
    }
  }

  mutating func forgetTheGone() { forget(branches.filter(\.isGone)) }
}

extension FanOut.Policy {
  /// Whether a sink can begin at a place that has gone by.
  fileprivate func holds(_ position: UInt64, before end: UInt64) -> Bool {
    if case .replay(let recording) = self { recording.start <= position && position <= end } else { false }
  }
}

// MARK: - Pieces

extension FanOut {
  enum Step {
    case gave(Int)
    case waits(Branch)
    /// No sink is left.
    case nobody
  }

  /// Hands the front of the inlet out: to all sinks at once, or to none while a sink must be waited for.
  /// No sink is attached meanwhile.
  func handOut(_ inlet: inout SplicePipe, upTo limit: Int) throws(Errno) -> Step {
    try state.withLock { state throws(Errno) in
      // That is in front of it, and has to be settled.
      if let reader = state.shared?.readers.first { return .waits(reader) }
      // A unit that is in two places is put into one.
      if alignment > 1, inlet.front < limit { try inlet.gather() }
      let count = min(limit, inlet.front)
      for branch in state.branches where branch.mustBeWaitedFor {
        if branch.verdict(on: count, at: state.position) == .wait {
          return .waits(branch)
        }
      }
      // One for all whose bytes are in memory.
      var made: PipeSegment?
      func copy() throws(Errno) -> PipeSegment {
        if let made { return made }
        let copy = try glass.withLock { glass throws(Errno) in try inlet.look(count, through: &glass) }
        made = copy
        return copy
      }
      var gone: [Branch] = []
      var last: Branch?
      for branch in state.branches {
        switch branch.verdict(on: count, at: state.position) {
        case .takeCopy where storage == .kernel:
          branch.give(try copy())
        case .take, .takeCopy, .wait:
          last?.tee(from: inlet, count, orFrom: copy)
          last = branch
        case .goesBy: break
        case .gone: gone.append(branch)
        }
      }
      state.forget(gone)
      if state.branches.isEmpty, needsSinks { return .nobody }
      let left = inlet.count - count
      last?.move(from: &inlet, count)
      state.position += UInt64(count)
      // The others have it, also when the last one could not take it.
      if inlet.count > left { try inlet.discard(inlet.count - left) }
      return .gave(count)
    }
  }
}

// MARK: - Flows

extension FanOut {
  /// Hands everything a source gives to the sinks, until the source ends. Another source may follow;
  /// ``finish()`` ends the stream.
  ///
  /// - Returns: How many bytes were handed out.
  /// - Throws: ``SpliceError``; what was taken and not handed out yet goes out first in the next call, also
  ///   what sinks still read of a file by themselves, whose offset is behind that afterwards. When no sink is
  ///   left, EPIPE as ``SpliceError/sink(_:)``, and the source is not read further.
  @discardableResult
  public func fill(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    let before = try await settled(until: deadline, waitingOn: readiness)
    while try await shareElsewhere(source, upTo: limit - (position - before), options) {
      _ = try await settled(until: deadline, waitingOn: readiness)
    }
    var flow = Flow(
      from: source, limit: left(of: limit, since: before), options: options, unit: alignment,
      endsUnits: !keepsParts, told: .edges)
    try await drive(
      watching: source, as: .source, alarm: event.descriptor, options, until: deadline, waitingOn: readiness
    ) { waits, ready, thread throws(SpliceError) in
      try step(&flow, ready, from: source, waits, on: thread)
    }
    return position - before
  }

  /// Hands everything a source gives to the sinks, while the calling thread waits.
  @discardableResult
  public func fill(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    let before = try settled(waitingIn: poll)
    while try share(source, upTo: limit - (position - before), options) {
      _ = try settled(waitingIn: poll)
    }
    var flow = Flow(
      from: source, limit: left(of: limit, since: before), options: options, unit: alignment,
      endsUnits: !keepsParts, told: .levels)
    var drive = try ThreadDrive(
      polling: source, as: .source, alarm: event.descriptor, options, waitingIn: poll)
    while try drive.wait(
      for: try step(&flow, drive.ready, from: source, drive.waits, on: .mayWaitForDisk)
    ) {}
    return position - before
  }

  /// A file's size is asked for on a thread that may wait for its disk.
  private func shareElsewhere(
    _ source: borrowing Descriptor, upTo limit: UInt64, _ options: FlowOptions
  ) async throws(SpliceError) -> Bool {
    guard source.kind == .regularFile, options.isUsual else { return false }
    return try await DiskThreads.shared.run { () throws(SpliceError) in
      try share(source, upTo: limit, options)
    }
  }

  /// What is still to be taken from the source: not what an earlier call has taken, which goes out first.
  func left(of limit: UInt64, since before: UInt64) -> UInt64 {
    let (held, done) = (inlet.withLock { UInt64($0.count) }, position - before)
    return limit - min(limit, done + held)
  }

  private func step(
    _ flow: inout Flow, _ ready: ReadySet, from source: borrowing Descriptor, _ waits: Waits,
    on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    if ready.contains(.second) {
      event.drain()
      forgetTheGone()
    }
    if let halt = try settle() { return halt }
    let mark = flow.mark(receivedBy)
    defer { flow.count(receivedBy, since: mark) }
    return try inlet.withLock { inlet throws(SpliceError) in
      if ready.contains(.first) { flow.wake(count: inlet.count, isLast: ready.contains(.last)) }
      return try flow.run(
        holding: inlet.count, waits,
        give: { flow, limit, small throws(SpliceError) in
          try flow.fill(&inlet, from: source, upTo: limit, small: small, isSpliced: true, on: thread)
        },
        take: { _, count throws(SpliceError) in try hand(&inlet, upTo: count) })
    }
  }

  /// Hands out what the inlet holds, whole units of it, as far as no sink has to be waited for.
  func hand(_ inlet: inout SplicePipe, upTo count: Int) throws(SpliceError) -> Flow.Outcome {
    do throws(Errno) {
      switch try handOut(&inlet, upTo: count) {
      case .gave(let count): return .moved(.bytes(count), held: inlet.count)
      case .waits(let branch): return .halt(.waitEnd(branch.monitor, .writer))
      case .nobody: throw .brokenPipe
      }
    } catch { throw .sink(error) }
  }

  func mustHaveSinks() throws(SpliceError) {
    if needsSinks, state.withLock({ $0.branches.isEmpty }) { throw .sink(.brokenPipe) }
  }

  func forgetTheGone() {
    state.withLock { $0.forgetTheGone() }
  }
}

extension FanOut {
  /// A source has ended within a unit, and another one may follow: that part of a unit is dropped, or is the
  /// last of the stream and handed out. How many bytes it has.
  @discardableResult
  package func endUnit(dropping drops: Bool) throws(Errno) -> Int {
    try inlet.withLock { inlet throws(Errno) in
      let count = inlet.count
      if drops {
        try inlet.discard()
      } else {
        while inlet.count > 0, case .gave = try handOut(&inlet, upTo: inlet.count) {}
      }
      return count
    }
  }
}
