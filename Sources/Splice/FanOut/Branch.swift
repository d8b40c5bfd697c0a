// A sink's place in a fan-out: what both sides do with what they share.

import SystemPackage

/// A sink's place in a fan-out.
final class Branch: Sendable {
  let monitor: Monitor<BranchState>
  let policy: FanOut.Policy
  /// Where its bytes are.
  let storage: SplicePipe.Storage
  private let recording = Locked<FanOut.Recording?>(nil)

  /// Whether it must see the very bytes that the others see, even of a file that changes under way.
  let seesTheSame: Bool

  /// Bytes of a unit of the stream.
  let unit: Int

  init(
    _ pipe: consuming SplicePipe, _ policy: FanOut.Policy, seesTheSame: Bool, capacity: Int?,
    keepsPipe: Bool, unit: Int, from start: UInt64, goneTo event: Event
  ) {
    (self.seesTheSame, self.unit) = (seesTheSame, unit)
    storage = pipe.storage
    let capacity = max(capacity ?? 0, pipe.capacity)
    monitor = Monitor(
      BranchState(pipe, capacity: capacity, keepsPipe: keepsPipe, from: start, goneTo: event))
    self.policy = policy
    if case .replay(let recording) = policy { recording.add(self) }
  }

  var mustBeWaitedFor: Bool { if case .wait = policy { true } else { false } }
  var isGone: Bool { monitor.withState { !$0.isPresent } }
  /// Where in the stream it was attached.
  var start: UInt64 { monitor.withState { $0.start } }

  func verdict(on count: Int, at position: UInt64) -> BranchState.Verdict {
    monitor.withState { $0.verdict(on: count, at: position, policy) }
  }

  /// Duplicates the front of the inlet, of which there is a copy where it has to be put together.
  func tee(
    from inlet: borrowing SplicePipe, _ count: Int, orFrom copy: () throws(Errno) -> PipeSegment
  ) {
    take(count) { state throws(Errno) in
      var teed = try inlet.tee(to: &state.pipe, upTo: count).count
      if teed < count {
        try state.pipe.retreat()
        if teed == 0 { teed = try inlet.tee(to: &state.pipe, upTo: count).count }
      }
      state.teed += UInt64(teed)
      if teed == count { return }
      // tee cannot go on from an offset.
      var rest = try copy()
      _ = rest.removePrefix(teed)
      try state.pipe.put(rest)
    }
  }

  /// Moves the front of the inlet.
  func move(from inlet: inout SplicePipe, _ count: Int) {
    take(count) { state throws(Errno) in
      try state.pipe.putAll(count) { pipe, left throws(Errno) in try inlet.splice(to: &pipe, upTo: left) }
    }
  }

  /// Takes bytes that are in memory.
  func give(_ segment: PipeSegment) {
    take(segment.count) { state throws(Errno) in try state.pipe.put(segment) }
  }

  /// Whole, or not at all: one that got a part of a piece is out of step with the rest.
  private func take(_ count: Int, _ operation: (inout BranchState) throws(Errno) -> Void) {
    let accepted = monitor.withState { state in
      do throws(Errno) { try operation(&state) } catch {
        state.letGo(.failed(.pipe(error)))
        return 0
      }
      state.gave(count)
      return state.handOver()
    }
    if accepted > 0 { tellRecording() }
  }

  /// Hands the front of the private pipe to a descriptor; nil when the oldest bytes are not there.
  func drain(
    to descriptor: borrowing Descriptor, upTo limit: Int, via: PathChoice, watchedBy taps: (any FlowWatcher)?
  ) throws(Errno) -> Transfer? {
    let transfer = try monitor.withState { state throws(Errno) -> Transfer? in
      guard state.reason == nil, case .pipe = state.portion else { return nil }
      let transfer = try state.pipe.hand(to: descriptor, upTo: limit, via: via, watchedBy: taps)
      state.wentOut()
      return transfer
    }
    if case .bytes(let count) = transfer { accepted(count) }
    return transfer
  }

  /// Moves the oldest bytes into a pipe, wherever they are. `.wouldBlock` also at the end of a file: what
  /// that means is for the state to say.
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
    guard case .recording(let file, var offset, let count) = portion else { return .wouldBlock }
    do throws(Errno) {
      let transfer = try pipe.splice(from: file.descriptor, at: &offset, upTo: min(limit, count))
      switch transfer {
      case .bytes(let count): monitor.withState { $0.replayed(count) }
      case .endOfFile: monitor.withState { $0.lostBacklog() }
      case .wouldBlock: break
      }
      return transfer == .endOfFile ? .wouldBlock : transfer
    } catch {
      monitor.withState { $0.lostBacklog(error) }
      return .wouldBlock
    }
  }

  var portion: BranchState.Portion { monitor.withState { $0.portion } }

  /// What a sink that was let go is told.
  var error: SpliceError {
    switch monitor.withState({ $0.reason }) {
    case .cutShort(let error)?, .failed(let error)?: error
    case .invalid?: .pipe(.badMessage)
    case .tooSlow?, .recordingLost?, nil: .pipe(.noBufferSpace)
    }
  }

  func finish() {
    monitor.withState { state in
      state.writerIsOpen = false
      state.changedForGood()
    }
  }

  func letGo(_ why: FanOut.DetachReason) { monitor.withState { $0.letGo(why) } }

  /// A task serves it: the fan-out may hand bytes to the descriptor while that waits, until ``end()``.
  func begin(to descriptor: borrowing Descriptor) { monitor.withState { $0.begin(to: descriptor.alias()) } }
  func end() { monitor.withState { $0.end() } }

  /// Bytes the sink has accepted.
  var delivered: UInt64 { monitor.withState { $0.counters.delivered } }

  /// Nothing more is for this sink.
  func detach() { monitor.withState { $0.detach() } }

  /// This sink is no longer served, and was detached.
  func leave() {
    if case .replay(let recording) = policy { recording.remove(self) }
    endRecording()
  }

  /// What it writes holds no more of the stream.
  func endRecording() { recording.withLock { $0 }?.end(by: self) }

  /// It was attached behind a file that turned out to be shorter.
  func moveBack(to start: UInt64) {
    monitor.withState { $0.start = start }
    recording.withLock { $0 }?.moveBack(to: start)
  }

  func record(in recording: FanOut.Recording) { self.recording.withLock { $0 = recording } }

  /// The sink has accepted bytes.
  func accepted(_ count: Int) {
    monitor.withState { $0.counters.accept(count) }
    tellRecording()
  }

  private func tellRecording() {
    guard let recording = recording.withLock({ $0 }) else { return }
    recording.grew(to: monitor.withState { $0.start + $0.counters.delivered }, by: self)
  }
}

extension SplicePipe {
  private static let fewBytes = 1024

  /// Puts all of a segment in, whatever slots there are.
  fileprivate mutating func put(_ segment: PipeSegment) throws(Errno) {
    // A reference costs more than the few bytes it is to.
    if segment.count <= Self.fewBytes {
      return try segment.withBytes { bytes throws(Errno) in
        do throws(Errno) { try writeAll(bytes) } catch {
          try retreat()
          try writeAll(bytes)
        }
      }
    }
    var segment = segment
    try putAll(segment.count) { pipe, _ throws(Errno) in try pipe.splice(from: &segment) }
  }

  /// Puts so many bytes in, piece by piece; where the slots run out, what is there makes way.
  fileprivate mutating func putAll(
    _ count: Int, _ operation: (inout SplicePipe, Int) throws(Errno) -> Transfer
  ) throws(Errno) {
    var left = count
    var hasMadeWay = false
    while left > 0 {
      let moved = try operation(&self, left).count
      left -= moved
      if moved > 0 { continue }
      if hasMadeWay { throw .noBufferSpace }
      hasMadeWay = true
      try retreat()
    }
  }
}
