// A pipe with two ends, in a monitor: every operation takes the lock, asks the pipe, which never waits, and
// wakes the other end when something has changed for it.

import CSplice
import SystemPackage

/// The pipe that a ``PipeReader`` and a ``PipeWriter`` are ends of.
final class SharedPipe: Waitable {
  struct End: ~Copyable {
    var isOpen = true
    /// Its descriptor is elsewhere, and so are the bytes that go by it.
    var isReleased = false
  }

  struct State: ~Copyable, Shared {
    var pipe: SplicePipe
    var waiters = Waiters()
    var reader = End()
    var writer = End()
    var isInvalid = false
    /// The next message is longer than the room that is left: its writer waits until nothing is there.
    var isCrowded = false

    init(_ pipe: consuming SplicePipe) { self.pipe = pipe }

    /// Bytes came in: the reader has something to do.
    mutating func cameIn(_ transfer: Transfer) {
      guard case .bytes(let count) = transfer, count > 0 else { return }
      isCrowded = false
      waiters.reader.wake()
    }

    /// Bytes went out: the writer has something to do if a slot became free, and one does only when all of it
    /// was taken.
    mutating func wentOut() { if waiters.writer.isSomeone, hasRoom { waiters.writer.wake() } }

    var hasRoom: Bool { isCrowded ? pipe.count == 0 : pipe.hasRoom }
  }

  private let monitor: Monitor<State>

  init(_ pipe: consuming SplicePipe) { monitor = Monitor(State(pipe)) }
}

// MARK: - Operations

extension SharedPipe {
  /// Runs one of the reader's operations, which says that nothing follows once the pipe is empty and the
  /// writer gone.
  func asReader(
    _ operation: (inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    try monitor.withState { state throws(Errno) in
      if state.isInvalid { throw .badMessage }
      state.recount()
      let transfer = try operation(&state.pipe)
      if transfer == .wouldBlock, state.look(as: .reader) == .closed { return .endOfFile }
      state.wentOut()
      return transfer
    }
  }

  /// Runs one of the writer's operations; EPIPE when the reader is gone.  C: EPIPE
  func asWriter(
    _ operation: (inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    try monitor.withState { state throws(Errno) in
      if state.isInvalid { throw .badMessage }
      guard state.reader.isOpen else { throw .brokenPipe }
      state.recount()
      let transfer: Transfer
      if state.reader.isReleased {
        transfer = try Syscall.withoutSIGPIPE { () throws(Errno) in try operation(&state.pipe) }
      } else {
        transfer = try operation(&state.pipe)
      }
      state.cameIn(transfer)
      return transfer
    }
  }

  /// Runs an operation between two pipes, in the order in which the kernel finds out why it cannot; EINVAL
  /// for two ends of one.
  static func between(
    _ from: SharedPipe, _ to: SharedPipe,
    _ operation: (inout SplicePipe, inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    if from === to { throw .invalidArgument }
    return try Monitor.withStates(from.monitor, to.monitor) { one, two throws(Errno) in
      try State.between(&one, &two, operation)
    }
  }

  /// Takes bytes from a source, and does not lock a pipe in memory while that is read. Nil for a message that
  /// is longer than the room behind what is there: that has to leave first.
  func fill(
    from source: borrowing Descriptor, upTo limit: Int, via: PathChoice = .automatic
  ) throws(Errno) -> Move? {
    var loan: (inlet: Inlet, slots: Int)?
    var move = Move(transfer: .wouldBlock, path: .copy)
    var none: Int64?
    var wasEmpty = true
    do throws(Errno) {
      _ = try asWriter { pipe throws(Errno) in
        wasEmpty = pipe.count == 0
        loan = pipe.rings.beginFill()
        if loan == nil { move = try pipe.fill(from: source, at: &none, upTo: limit, via: via) }
        return move.transfer
      }
      // Taken out, so that the inlet has one owner and knows what it may use again.
      guard let slots = loan?.slots, var inlet = loan.take()?.inlet else { return move }
      var filling = Inlet.Filling(transfer: .wouldBlock)
      // What was read is in the pipe, even if the reader went away meanwhile.
      defer {
        monitor.withState { state in
          state.pipe.rings.endFill(inlet, filling)
          state.pipe.account(Move(transfer: filling.transfer, path: .copy))
          state.cameIn(filling.transfer)
        }
      }
      filling = try inlet.read(from: source, at: &none, upTo: limit, slots: slots)
      return Move(transfer: filling.transfer, path: .copy, most: filling.most)
    } catch {
      let mustWait = monitor.withState { state in
        // When a reader elsewhere has taken everything, nothing tells.
        state.isCrowded = error == .messageTooLong && !wasEmpty && !state.reader.isReleased
        return state.isCrowded
      }
      if mustWait { return nil }
      throw error
    }
  }

  /// Hands bytes to a sink. A pipe in memory is not locked while the sink is written: nobody but its reader
  /// takes the front away.
  func drain(
    to sink: borrowing Descriptor, upTo limit: Int, via: PathChoice = .automatic,
    watchedBy taps: (any FlowWatcher)? = nil
  ) throws(Errno) -> Transfer {
    var pieces: [iovec]?
    var none: Int64?
    var limit = limit
    let answer = try asReader { pipe throws(Errno) in
      if let taps { limit = pipe.show(to: taps, upTo: min(limit, pipe.count)) }
      if pipe.storage == .kernel || via == .splice {
        return try pipe.hand(to: sink, upTo: limit, via: via, watchedBy: nil)
      }
      if pipe.count > 0 { unsafe pieces = pipe.rings.pieces(upTo: MemoryRing.most(limit, for: sink)) }
      return .wouldBlock
    }
    guard let pieces = unsafe pieces else { return answer }
    let transfer = try Syscall.withoutSIGPIPE { () throws(Errno) in
      try unsafe MemoryRing.write(pieces, to: sink, at: &none, moreFollows: false)
    }
    monitor.withState { state in
      if case .bytes(let count) = transfer { state.pipe.rings.consume(count) }
      state.wentOut()
    }
    return transfer
  }

  /// Reads what a pipe that was declared bad still holds.
  func inspect(into buffer: inout OutputRawSpan) throws(Errno) -> Transfer {
    try monitor.withState { state throws(Errno) in
      let transfer = try state.pipe.read(into: &buffer)
      return transfer == .wouldBlock ? .endOfFile : transfer
    }
  }

  /// Something about the pipe itself.
  func ask<Result>(_ question: (borrowing SplicePipe) -> Result) -> Result {
    monitor.withState { state in
      state.recount()
      return question(state.pipe)
    }
  }

  func resize(to capacity: Int) {
    monitor.withState { state in
      state.pipe.resize(to: capacity)
      state.wentOut()
    }
  }

  func look(as side: Side) -> EndState { monitor.look(as: side) }
}

extension SharedPipe.State {
  /// What is in a pipe whose other end is in another process, the kernel knows alone.  C: FIONREAD
  fileprivate mutating func recount() { if reader.isReleased || writer.isReleased { pipe.recount() } }

  fileprivate static func between(
    _ one: inout Self, _ two: inout Self,
    _ operation: (inout SplicePipe, inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    if one.isInvalid || two.isInvalid { throw .badMessage }
    two.recount()
    let state = one.look(as: .reader)
    if state == .waiting { return .wouldBlock }
    guard two.reader.isOpen else { throw .brokenPipe }
    if state == .closed { return two.pipe.hasRoom ? .endOfFile : .wouldBlock }
    let transfer = try Syscall.withoutSIGPIPE { () throws(Errno) in try operation(&one.pipe, &two.pipe) }
    one.wentOut()
    two.cameIn(transfer)
    return transfer
  }

  mutating func look(as side: Side) -> EndState {
    if isInvalid { return .invalid }
    switch side {
    case .reader:
      // In this order: a writer elsewhere may write and close between two looks.
      let hasHungUp = writer.isReleased && pipe.hasHungUp
      recount()
      if pipe.count > 0 { return .ready }
      if writer.isReleased { return hasHungUp ? .closed : .waiting }
      return writer.isOpen ? .waiting : .closed
    case .writer:
      if reader.isReleased { return pipe.hasHungUp ? .closed : pipe.hasRoom ? .ready : .waiting }
      guard reader.isOpen else { return .closed }
      return hasRoom ? .ready : .waiting
    }
  }
}

// MARK: - Letting go

extension SharedPipe {
  /// An end is no more: the other one hears of it.
  func close(_ side: Side) {
    monitor.withState { state in
      // One that was released lives on elsewhere.
      switch side {
      case .reader: state.reader.isOpen = state.reader.isReleased
      case .writer: state.writer.isOpen = state.writer.isReleased
      }
      state.changedForGood()
    }
  }

  /// Gives an end's descriptor away. From then on the kernel says what the other end wants to know.
  func release(_ side: Side) throws(Errno) -> FileDescriptor {
    try monitor.withState { state throws(Errno) in
      if state.isInvalid { throw .badMessage }
      let released = try state.pipe.release(side)
      switch side {
      case .reader: state.reader.isReleased = true
      case .writer: state.writer.isReleased = true
      }
      state.changedForGood()
      return released
    }
  }

  /// Declares the pipe bad, for both ends and for good.
  func invalidate() {
    monitor.withState { state in
      state.isInvalid = true
      state.changedForGood()
    }
  }
}

// MARK: - Waiting

extension SharedPipe {
  func wait(
    as side: Side, until deadline: ContinuousClock.Instant? = nil, on readiness: some Readiness
  ) async throws(SpliceError) {
    guard let elsewhere = loneEnd else {
      return try await monitor.wait(as: side, until: deadline, on: readiness)
    }
    try await readiness.waitOnce(for: elsewhere, as: side == .reader ? .source : .sink, until: deadline)
    if let deadline, deadline <= .now { throw .timedOut }
  }

  @discardableResult
  func wait(
    as side: Side, alarms: BlockingWait.Alarms, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> ReadySet {
    guard let elsewhere = loneEnd else {
      return try monitor.wait(as: side, alarms: alarms, waitingIn: poll)
    }
    return try poll.waitOnce(for: elsewhere, as: side == .reader ? .source : .sink, alarms: alarms)
  }

  func alarm(for side: Side) throws(SpliceError) -> FileDescriptor { try monitor.alarm(for: side) }

  func event(for side: Side) throws(SpliceError) -> FileDescriptor? {
    loneEnd == nil ? try monitor.event(for: side) : nil
  }

  func beginForEvent(as side: Side) throws(SpliceError) -> Bool { try monitor.beginForEvent(as: side) }
  func endForEvent(as side: Side) { monitor.endForEvent(as: side) }

  func reserve() throws(Errno) { try monitor.reserve() }

  /// What can be waited for when the other end is in another process.
  private var loneEnd: FileDescriptor? { ask { $0.loneEnd } }
}
