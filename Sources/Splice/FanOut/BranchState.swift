// What a fan-out and one of its sinks share: a private pipe, what is owed, and who waits for whom. Pure but
// for the pipe.
//
// The trap: tee begins at the oldest byte and cannot go on from an offset, and whether a pipe of the kernel
// will cut it short is not to be known: it runs out of slots, which nobody counts, and not of bytes.
//
// The invariant: room is counted in bytes, and a piece that has room is taken whole. Where the slots of the
// kernel run out first, what is there goes on in memory (`Branch.tee`).

import SystemPackage

/// What the fan-out and one of its sinks share.
struct BranchState: ~Copyable, Shared {
  var pipe: SplicePipe
  var waiters = Waiters()
  /// It holds no more bytes, unless a single piece has more.
  private let capacity: Int
  /// Whether a pipe that was lent stays while nothing is in it.
  private let keepsPipe: Bool
  /// Bytes the fan-out waits with.
  private var wanted = 0
  private(set) var readerIsOpen = true
  var writerIsOpen = true
  /// Why it was let go, if it was.
  private(set) var reason: FanOut.DetachReason?
  var counters = FanOut.Counters()
  /// Bytes that came by tee.
  var teed: UInt64 = 0
  /// The last piece was missed.
  private var isMissing = false
  /// What of a shared file could not be had, until the fan-out knows.
  private(set) var shortfall = Shortfall()
  /// What is to be read from the recording, and whether that comes before what is in the pipe.
  var backlog: Backlog?
  /// Where its bytes go, while the task that serves it has nothing to do.
  private var sink: Descriptor?
  /// Whether that task has nothing to do.
  private var isIdle = false

  /// Where in the stream it was attached.
  var start: UInt64
  /// Tells the fan-out, which may wait for a silent source, that this sink has gone.
  private let event: Event

  init(
    _ pipe: consuming SplicePipe, capacity: Int, keepsPipe: Bool, from start: UInt64, goneTo event: Event
  ) {
    self.pipe = pipe
    (self.capacity, self.keepsPipe) = (capacity, keepsPipe)
    (self.start, self.event) = (start, event)
  }

  /// Whether it was neither detached nor let go.
  var isPresent: Bool { readerIsOpen && reason == nil }

  mutating func look(as side: Side) -> EndState {
    switch side {
    case .reader:
      if reason != nil { return .invalid }
      if case .nothing = portion {
        if passLost() { return look(as: .reader) }
        if (writerIsOpen && readerIsOpen) || backlog?.isEmpty == false { return .waiting }
        // The fan-out will not say any more that this is no end.
        guard let error = shortfall.error else { return .closed }
        letGo(.cutShort(error))
        return .invalid
      }
      return .ready
    case .writer:
      if !isPresent { return .closed }
      // Of what was shared to it, it has to read the last byte.
      if backlog?.isEmpty == false { return .waiting }
      return hasRoom(for: wanted) ? .ready : .waiting
    }
  }
}

// MARK: - What the fan-out does

extension BranchState {
  /// Whether there is room for a piece. An empty pipe has.
  func hasRoom(for count: Int) -> Bool { pipe.count == 0 || pipe.count + count <= capacity }

  /// The fan-out begins to wait for room, if it does not already.
  mutating func want(_ count: Int) {
    if wanted == 0 { counters.waits += 1 }
    wanted = count
  }

  /// A piece went into the pipe.
  mutating func gave(_ count: Int) {
    wanted = 0
    isMissing = false
    counters.add(count)
  }

  /// Hands what has come in to the sink, if its task has nothing to do, and wakes that only for the rest: how
  /// much was accepted.
  mutating func handOver() -> Int {
    var accepted = 0
    switch sink {
    case let sink? where isIdle:
      while case .pipe = portion, case .bytes(let count)? = try? pipe.splice(to: sink) {
        counters.accept(count)
        accepted += count
      }
      if pipe.count == 0 {
        if !keepsPipe { pipe.giveRingBack() }
        return accepted
      }
    default: break
    }
    waiters.reader.wake()
    return accepted
  }

  /// A piece went by.
  mutating func missed(_ count: Int) {
    if !isMissing { counters.gaps += 1 }
    isMissing = true
    counters.skipped += UInt64(count)
  }

  /// Lets the sink go: what it has not taken yet, it does not get.
  mutating func letGo(_ why: FanOut.DetachReason) {
    reason = reason ?? why
    hasGone()
  }

  /// Nothing more is for this sink.
  mutating func detach() {
    readerIsOpen = false
    hasGone()
  }

  private mutating func hasGone() {
    changedForGood()
    event.signal()
  }
}

// MARK: - The policies

extension BranchState {
  enum Verdict {
    case take
    /// A copy of it: its pipe is in memory, for now.
    case takeCopy
    case wait, goesBy, gone
  }

  /// What becomes of a piece of the stream at this sink, and whether that can be teed.
  mutating func verdict(on count: Int, at position: UInt64, _ policy: FanOut.Policy) -> Verdict {
    let verdict = permit(count, at: position, policy)
    return verdict == .take && !pipe.obtainRing() ? .takeCopy : verdict
  }

  private mutating func permit(_ count: Int, at position: UInt64, _ policy: FanOut.Policy) -> Verdict {
    guard isPresent else { return .gone }
    if case .replay(let recording) = policy { return replay(count, at: position, from: recording) }
    if case .detach(let most) = policy, counters.lag + count > most {
      letGo(.tooSlow(lag: counters.lag))
      return .gone
    }
    if hasRoom(for: count) { return .take }
    switch policy {
    case .wait:
      want(count)
      return .wait
    case .skip:
      missed(count)
      return .goesBy
    case .detach, .replay:
      letGo(.tooSlow(lag: counters.lag))
      return .gone
    }
  }

  /// A sink that cannot keep up reads the recording, and joins the others again when little is left of it.
  /// What went by is behind what is in the pipe, until the pipe is empty and begins to be filled again: then
  /// it is before that.
  private mutating func replay(
    _ count: Int, at position: UInt64, from recording: FanOut.Recording
  ) -> Verdict {
    if backlog?.isEmpty != false {
      backlog = nil
      if hasRoom(for: count) { return .take }
      backlog = Backlog(from: position, of: recording)
    } else if backlog?.isFirst == true {
      if hasRoom(for: count) { return .take }
      // It is all in the recording.
      backlog?.extend(by: pipe.count)
      backlog?.isFirst = false
      guard (try? pipe.discard()) != nil else {
        letGo(.invalid)
        return .gone
      }
    } else if pipe.count == 0, let left = backlog?.count, left <= Backlog.joinDistance {
      backlog?.isFirst = true
      return .take
    }
    backlog?.extend(by: count)
    counters.add(count)
    waiters.reader.wake()
    return .goesBy
  }

  /// It begins with what a recording has of the time before it came.
  mutating func begin(from position: UInt64, to end: UInt64, in recording: FanOut.Recording) {
    backlog = Backlog(from: position, of: recording)
    backlog?.extend(by: Int(end - position))
    counters.add(Int(end - position))
  }

  /// The recording has grown, has lost a part, or has come to an end.
  mutating func recordingHasChanged() {
    if backlog?.isEmpty == false { waiters.reader.wake() }
  }

  /// What the recording does not have goes by, as long as something follows; else the sink is let go. Whether
  /// there was such a thing.
  private mutating func passLost() -> Bool {
    guard let backlog, !backlog.isEmpty else { return false }
    switch backlog.place {
    case .file, .pending: return false
    case .lost(let next?): miss(upTo: next)
    case .lost where writerIsOpen && readerIsOpen: miss(upTo: backlog.end)
    case .lost, .over: letGo(.recordingLost)
    }
    return true
  }

  /// The front of the backlog goes by.
  private mutating func miss(upTo position: UInt64) {
    guard let backlog else { return }
    let count = Int(min(position, backlog.end) - backlog.start)
    self.backlog?.consume(count)
    missed(count)
    counters.lag -= count
    wentOut()
  }
}

// MARK: - What is shared

extension BranchState {
  /// What of a shared file a sink could not have.
  struct Shortfall {
    fileprivate(set) var count: UInt64 = 0
    /// Why; nil when the file ends before it.
    fileprivate(set) var errno: Errno?

    /// What is missing as an error; nil when nothing is.
    var error: SpliceError? {
      if let errno { return .source(errno) }
      return count > 0 ? .truncated(missing: count) : nil
    }
  }

  /// How far in the stream the sink has got with a file that was shared up to `end`: one that has gone, as
  /// far as it has accepted.
  func progress(upTo end: UInt64) -> UInt64 { isPresent ? end - shortfall.count : min(end, accepted) }

  /// Where in the stream the sink is: behind what it has accepted, or has missed.
  var accepted: UInt64 { start + counters.delivered + counters.skipped }

  /// What was shared is over: the last `others` bytes of it no sink got.
  mutating func settle(missedByAll others: UInt64) {
    if shortfall.count > others { missed(Int(shortfall.count - others)) }
    shortfall = Shortfall()
  }

  /// The sink reads this many bytes of the source by itself.
  mutating func share(_ count: Int, of source: FanOut.Recording, at position: UInt64) {
    backlog = Backlog(from: position, of: source)
    backlog?.extend(by: count)
    counters.add(count)
    waiters.reader.wake()
  }
}

// MARK: - What the sink does

extension BranchState {
  /// A task begins to serve it, and takes that back in the end.
  mutating func begin(to sink: consuming Descriptor) { self.sink = consume sink }

  mutating func end() {
    isIdle = false
    _ = sink.take()?.release()
  }

  mutating func becomeIdle() { isIdle = true }
  mutating func work() { isIdle = false }

  /// Where the oldest bytes are.
  enum Portion {
    case pipe
    /// So many bytes of the recording's file, from an offset on.
    case recording(FanOut.Recording.File, at: Int64, count: Int)
    case nothing
  }

  var portion: Portion {
    if let backlog, !backlog.isEmpty, backlog.isFirst || pipe.count == 0 {
      guard case .file(let file, let offset, let count) = backlog.place else { return .nothing }
      return .recording(file, at: offset, count: count)
    }
    return pipe.count > 0 ? .pipe : .nothing
  }

  /// Bytes of the backlog were read.
  mutating func replayed(_ count: Int) {
    backlog?.consume(count)
    counters.replayed += UInt64(count)
    wentOut()
  }

  /// The rest of the backlog cannot be had: the file ends before it, or cannot be read. Of a source the
  /// fan-out finds it out when all sinks are so far.
  mutating func lostBacklog(_ errno: Errno? = nil) {
    guard let backlog = backlog.take() else { return }
    if backlog.recording.isShared {
      shortfall = Shortfall(count: UInt64(backlog.count), errno: errno)
    } else if backlog.recording.mayHaveGaps, writerIsOpen {
      missed(backlog.count)
    } else {
      letGo(.recordingLost)
    }
    counters.lag -= backlog.count
    wentOut()
  }

  /// Bytes have left the pipe.
  mutating func wentOut() {
    if !keepsPipe { pipe.giveRingBack() }
    if waiters.writer.isSomeone, look(as: .writer) != .waiting { waiters.writer.wake() }
  }
}
