// One sink's share of a fan-out: a private pipe, what is owed to it, and who waits for whom.
//
// The trap: tee begins at the oldest byte and cannot go on from an offset, so one that was cut short cannot be completed, and whether a
// pipe will cut it short is not to be known from its bytes or from poll. So nobody asks the pipe.
//
// The invariant: a piece of the inlet takes no more slots than it is charged, and a charge stands until the last byte of its
// piece has left the private pipe; as long as the charges do not exceed the slots, every tee is whole. Room is a sum, not a guess.

import SystemPackage

/// What the fan-out and one of its sinks share.
struct BranchState: ~Copyable, Shared {
  /// What a piece may take of the private pipe, until all of it has left.
  private struct Charge {
    /// Counted from the first byte that came in.
    let end: UInt64
    let slots: Int
  }

  var pipe: SplicePipe
  var waiters = Waiters()
  private let slots: Int
  private var charges: [Charge] = []
  private var charged = 0
  /// Slots the fan-out waits for.
  private var wanted = 0
  var readerIsOpen = true
  var writerIsOpen = true
  /// Why it was let go, if it was.
  private(set) var reason: FanOut.LetGo?
  var counters = FanOut.Counters()
  /// The last piece was missed.
  private var isMissing = false
  /// What is to be read from the recording, and whether that comes before what is in the pipe.
  var backlog: Backlog?

  init(_ pipe: consuming SplicePipe, slots: Int) {
    self.pipe = pipe
    self.slots = slots
  }

  mutating func look(as side: Side) -> EndState {
    switch side {
    case .reader:
      if reason != nil { return .invalid }
      if case .nothing = portion { return writerIsOpen || backlog?.isEmpty == false ? .waiting : .closed }
      return .ready
    case .writer:
      if !readerIsOpen || reason != nil { return .closed }
      return hasRoom(for: wanted) ? .ready : .waiting
    }
  }
}

// MARK: - What the fan-out does

extension BranchState {
  /// Whether a piece that may take so many slots has room for certain. An empty pipe has.
  mutating func hasRoom(for piece: Int) -> Bool {
    var settled = 0
    while settled < charges.count, charges[settled].end <= pipe.delivered {
      charged -= charges[settled].slots
      settled += 1
    }
    charges.removeFirst(settled)
    return charges.isEmpty || charged + piece <= slots
  }

  /// The fan-out begins to wait for room, if it does not already.
  mutating func want(_ slots: Int) {
    if wanted == 0 { counters.waits += 1 }
    wanted = slots
  }

  /// A piece went into the pipe.
  mutating func gave(_ count: Int, slots: Int) {
    wanted = 0
    isMissing = false
    charges.append(Charge(end: pipe.received, slots: slots))
    charged += slots
    counters.add(count)
    waiters.reader.wake()
  }

  /// A piece went by.
  mutating func missed(_ count: Int) {
    if !isMissing { counters.gaps += 1 }
    isMissing = true
    counters.skipped += UInt64(count)
  }

  /// Lets the sink go: what it has not taken yet, it does not get.
  mutating func letGo(_ why: FanOut.LetGo) {
    reason = reason ?? why
    changedForGood()
  }
}

// MARK: - The policies

extension BranchState {
  enum Verdict { case take, wait, goesBy, gone }

  /// What becomes of a piece of the stream at this sink.
  mutating func verdict(
    on count: Int, slots: Int, at position: UInt64, _ policy: FanOut.Policy
  ) throws(Errno) -> Verdict {
    guard readerIsOpen, reason == nil else { return .gone }
    if case .replay(let recording) = policy { return try replay(count, slots, at: position, from: recording) }
    if case .detach(let most) = policy, counters.lag + count > most {
      letGo(.tooSlow(lag: counters.lag))
      return .gone
    }
    if hasRoom(for: slots) { return .take }
    switch policy {
    case .wait:
      want(slots)
      return .wait
    case .skip:
      missed(count)
      return .goesBy
    case .detach, .replay:
      letGo(.tooSlow(lag: counters.lag))
      return .gone
    }
  }

  /// A sink that cannot keep up reads the recording, and joins the others again when little is left of it. What went by is behind
  /// what is in the pipe, until the pipe is empty and begins to be filled again: then it is before that.
  private mutating func replay(
    _ count: Int, _ slots: Int, at position: UInt64, from recording: FanOut.Recording
  ) throws(Errno) -> Verdict {
    if backlog?.isEmpty != false {
      backlog = nil
      if hasRoom(for: slots) { return .take }
      backlog = recording.backlog(from: position)
    } else if backlog?.isFirst == true {
      if hasRoom(for: slots) { return .take }
      // It is all in the recording.
      backlog?.extend(by: pipe.count)
      backlog?.isFirst = false
      try pipe.discard()
    } else if pipe.count == 0, let left = backlog?.count, left <= Backlog.joinDistance, hasRoom(for: slots) {
      backlog?.isFirst = true
      return .take
    }
    backlog?.extend(by: count)
    counters.add(count)
    waiters.reader.wake()
    return .goesBy
  }

  /// The recording has grown, or has come to an end.
  mutating func recorded(upTo position: UInt64, isOver: Bool) {
    backlog?.recorded = position
    waiters.reader.wake()
    if isOver, let backlog, backlog.end > position { letGo(.recordingLost) }
  }
}

// MARK: - What the sink does

extension BranchState {
  /// Where the oldest bytes are.
  enum Portion {
    case pipe
    /// So many bytes of the recording's file, from an offset on.
    case recording(FanOut.Recording, at: Int64, count: Int)
    case nothing
  }

  var portion: Portion {
    if let backlog, !backlog.isEmpty, backlog.isFirst || pipe.count == 0 {
      let count = backlog.available
      return count > 0 ? .recording(backlog.recording, at: backlog.offset, count: count) : .nothing
    }
    return pipe.count > 0 ? .pipe : .nothing
  }

  /// Bytes of the backlog were read; none, when the recording ends before it was to.
  mutating func replayed(_ transfer: Transfer) {
    switch transfer {
    case .bytes(let count):
      backlog?.consume(count)
      counters.replayed += UInt64(count)
      wentOut()
    case .endOfFile: letGo(.recordingLost)
    case .wouldBlock: break
    }
  }

  /// Bytes have left the pipe.
  mutating func wentOut() {
    if waiters.writer.isSomeone, look(as: .writer) != .waiting { waiters.writer.wake() }
  }
}

// MARK: - Shared between the two

/// A sink's place in a fan-out.
final class Branch: Sendable {
  let monitor: Monitor<BranchState>
  let policy: FanOut.Policy
  /// Where its bytes are.
  let kind: SplicePipe.Body
  let capacity: Int
  /// Where in the stream it was attached.
  let start: UInt64
  private let event: Event
  private let recording = Locked<FanOut.Recording?>(nil)

  init(
    _ pipe: consuming SplicePipe, _ policy: FanOut.Policy, from start: UInt64, goneTo event: Event
  ) {
    let slots = pipe.capacity / Slot.pageSize
    (kind, capacity) = (pipe.kind, pipe.capacity)
    monitor = Monitor(BranchState(pipe, slots: slots))
    (self.policy, self.start) = (policy, start)
    self.event = event
    if case .replay(let recording) = policy { recording.add(self) }
  }

  var mustBeWaitedFor: Bool { if case .wait = policy { true } else { false } }
  var isGone: Bool { monitor.withState { !$0.readerIsOpen || $0.reason != nil } }

  func verdict(on count: Int, slots: Int, at position: UInt64) throws(Errno) -> BranchState.Verdict {
    try monitor.withState { state throws(Errno) in
      try state.verdict(on: count, slots: slots, at: position, policy)
    }
  }

  func tee(from inlet: borrowing SplicePipe, _ count: Int, slots: Int) {
    take(count, slots: slots) { pipe throws(Errno) in try inlet.tee(to: &pipe, upTo: count) }
  }

  func move(from inlet: inout SplicePipe, _ count: Int, slots: Int) {
    take(count, slots: slots) { pipe throws(Errno) in try inlet.splice(to: &pipe, upTo: count) }
  }

  func give(_ segment: PipeSegment, slots: Int) {
    let count = segment.count
    take(count, slots: max(slots, count / Slot.pageSize)) { pipe throws(Errno) in
      var segment = segment
      return try pipe.splice(from: &segment)
    }
  }

  /// Whole, or not at all: one that got a part of a piece is out of step with the rest.
  private func take(
    _ count: Int, slots: Int, _ operation: (inout SplicePipe) throws(Errno) -> Transfer
  ) {
    monitor.withState { state in
      if (try? operation(&state.pipe)) == .bytes(count) {
        state.gave(count, slots: slots)
      } else {
        state.letGo(.invalid)
      }
    }
  }

  /// Hands the front of the private pipe to a descriptor; nil when the oldest bytes are not there.
  func drain(to descriptor: borrowing Descriptor) throws(Errno) -> Transfer? {
    let transfer = try monitor.withState { state throws(Errno) -> Transfer? in
      guard state.reason == nil, case .pipe = state.portion else { return nil }
      let transfer = try state.pipe.splice(to: descriptor)
      state.wentOut()
      return transfer
    }
    if case .bytes(let count) = transfer { accepted(count) }
    return transfer
  }

  /// Moves the oldest bytes into a pipe, wherever they are.
  func take(into pipe: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer {
    let taken = try monitor.withState { state throws(Errno) -> Transfer? in
      guard state.reason == nil else { return .wouldBlock }
      switch state.portion {
      case .nothing: return .wouldBlock
      case .recording: return nil
      case .pipe:
        let transfer = try state.pipe.splice(to: &pipe, upTo: limit)
        state.wentOut()
        return transfer
      }
    }
    if let taken { return taken }
    // The recording is read while nothing is locked: only this sink takes the front of its backlog away.
    guard case .recording(let recording, var offset, let count) = portion else { return .wouldBlock }
    let transfer = try pipe.splice(from: recording.file, at: &offset, upTo: min(limit, count))
    monitor.withState { $0.replayed(transfer) }
    return transfer
  }

  var portion: BranchState.Portion { monitor.withState { $0.portion } }

  /// What a sink that was let go is told.
  var errno: Errno { monitor.withState { $0.reason } == .invalid ? .badMessage : .noBufferSpace }

  func finish() {
    monitor.withState { state in
      state.writerIsOpen = false
      state.changedForGood()
    }
  }

  func letGo(_ why: FanOut.LetGo) { monitor.withState { $0.letGo(why) } }

  /// The sink is no more.
  func detach() {
    monitor.withState { state in
      state.readerIsOpen = false
      state.changedForGood()
    }
    if case .replay(let recording) = policy { recording.remove(self) }
    recording.withLock { $0 }?.end()
    event.signal()
  }

  func record(in recording: FanOut.Recording) { self.recording.withLock { $0 = recording } }

  /// The sink has accepted bytes.
  func accepted(_ count: Int) {
    let delivered = monitor.withState { state in
      state.counters.accept(count)
      return state.counters.delivered
    }
    recording.withLock { $0 }?.grew(to: start + delivered)
  }
}

/// The part of the stream that a sink reads from a recording, since it could not keep up.
struct Backlog {
  /// From where to where, counted from the stream's first byte.
  private(set) var start, end: UInt64
  /// So far the recording is written.
  var recorded: UInt64
  /// Whether it comes before what is in the pipe.
  var isFirst = false
  /// So little is left that the pipe may be filled meanwhile.
  static let joinDistance = 256 << 10
  let recording: FanOut.Recording

  init(from start: UInt64, of recording: FanOut.Recording, recorded: UInt64) {
    (self.start, end) = (start, start)
    self.recorded = recorded
    self.recording = recording
  }

  var isEmpty: Bool { start == end }
  var count: Int { Int(end - start) }
  /// Bytes that are written already, a sensible number of them.
  var available: Int { Int(min(end, max(recorded, start)) - start) }
  var offset: Int64 { recording.origin + Int64(start) }

  mutating func extend(by count: Int) { end += UInt64(count) }
  mutating func consume(_ count: Int) { start += UInt64(count) }
}
