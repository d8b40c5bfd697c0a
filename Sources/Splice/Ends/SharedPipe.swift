// A pipe with two ends, and the wait queue between them: a monitor.
//
// Every operation takes the lock, asks the pipe, which never waits, and wakes the other end when something has changed for it. One
// reader and one writer: so each has one place in the queue.

import Glibc
import SystemPackage

/// What one end can do now.  C: `poll`
public enum EndState: String, Sendable, Hashable, CaseIterable {
  /// Nothing: the pipe is empty for its reader, or has no slot free for its writer.
  case waiting
  /// There are bytes to read, or there is a slot to fill.
  case ready
  /// The other end is gone, and for a reader nothing is left: end of stream, or EPIPE.
  case closed
  /// The pipe was declared bad: EBADMSG.
  case invalid
}

/// The pipe that a ``PipeReader`` and a ``PipeWriter`` are ends of.
final class SharedPipe: Sendable {
  enum Side: Sendable {
    case reader, writer
    var other: Side { self == .reader ? .writer : .reader }
  }

  /// Who waits at an end.
  @safe fileprivate enum Waiter {
    // Safe: it leaves its place when it is resumed.
    case task(UnsafeContinuation<Void, Never>)
    /// A thread, in `ppoll`.
    case thread
  }

  fileprivate struct End: ~Copyable {
    var isOpen = true
    /// Its descriptor is elsewhere, and so are the bytes that go by it.
    var isReleased = false
    var waiter: Waiter?
    /// Wakes a thread that waits here; nothing until the first one does.
    var event = Descriptor(owning: FileDescriptor(rawValue: -1))
  }

  fileprivate struct State: ~Copyable {
    var pipe: SplicePipe
    var reader = End()
    var writer = End()
    var isInvalid = false

    init(_ pipe: consuming SplicePipe) { self.pipe = pipe }
  }

  private let state: Locked<State>

  init(_ pipe: consuming SplicePipe) { state = Locked(State(pipe)) }
}

// MARK: - Operations

extension SharedPipe {
  /// Runs one of the reader's operations, which says that nothing follows once the pipe is empty and the writer gone.
  func asReader(
    _ operation: (inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    try state.withLock { state throws(Errno) in
      if state.isInvalid { throw .badMessage }
      state.recount()
      let transfer = try operation(&state.pipe)
      if transfer == .wouldBlock, state.look(as: .reader) == .closed { return .endOfFile }
      // A slot is free only when all of it was taken.
      if state.writer.waiter != nil, state.pipe.hasRoom { state.writer.wake() }
      return transfer
    }
  }

  /// Runs one of the writer's operations; EPIPE when nobody is left to read.  C: EPIPE
  func asWriter(
    _ operation: (inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    try state.withLock { state throws(Errno) in
      if state.isInvalid { throw .badMessage }
      guard state.reader.isOpen else { throw .brokenPipe }
      state.recount()
      let transfer: Transfer
      if state.reader.isReleased {
        transfer = try Syscall.withoutSIGPIPE { () throws(Errno) in try operation(&state.pipe) }
      } else {
        transfer = try operation(&state.pipe)
      }
      if case .bytes(let count) = transfer, count > 0 { state.reader.wake() }
      return transfer
    }
  }

  /// Runs an operation between two pipes, in the order in which the kernel finds out why it cannot; EINVAL for two ends of one.
  static func between(
    _ from: SharedPipe, _ to: SharedPipe,
    _ operation: (inout SplicePipe, inout SplicePipe) throws(Errno) -> Transfer
  ) throws(Errno) -> Transfer {
    if from === to { throw .invalidArgument }
    // Whichever way round, the locks are taken in one order.
    if ObjectIdentifier(from) < ObjectIdentifier(to) {
      return try from.state.withLock { one throws(Errno) in
        try to.state.withLock { two throws(Errno) in try State.between(&one, &two, operation) }
      }
    }
    return try to.state.withLock { two throws(Errno) in
      try from.state.withLock { one throws(Errno) in try State.between(&one, &two, operation) }
    }
  }

  /// Takes bytes from a source. A pipe in memory is not locked while the source is read.
  func fill(from source: borrowing Descriptor, upTo limit: Int) throws(Errno) -> Transfer {
    var loan: (inlet: Inlet, slots: Int)?
    let answer = try asWriter { pipe throws(Errno) in
      loan = pipe.body.beginFill()
      return loan == nil ? try pipe.splice(from: source, upTo: limit) : .wouldBlock
    }
    // Taken out, so that the inlet has one owner and knows what it may use again.
    guard let slots = loan?.slots, var inlet = loan.take()?.inlet else { return answer }
    var none: Int64?
    var filling = Inlet.Filling(transfer: .wouldBlock)
    // What was read is in the pipe, even if the reader went away meanwhile.
    defer {
      state.withLock { state in
        state.pipe.body.endFill(inlet, filling)
        state.pipe.account(Move(transfer: filling.transfer, path: .copy))
        state.reader.wake()
      }
    }
    filling = try inlet.read(from: source, at: &none, upTo: limit, slots: slots)
    return filling.transfer
  }

  /// Hands bytes to a sink. A pipe in memory is not locked while the sink is written: nobody but its reader takes the front away.
  func drain(to sink: borrowing Descriptor, upTo limit: Int) throws(Errno) -> Transfer {
    var pieces: [iovec]?
    let answer = try asReader { pipe throws(Errno) in
      if pipe.kind == .kernel { return try pipe.splice(to: sink, upTo: limit) }
      if pipe.count > 0 { unsafe pieces = pipe.body.pieces(upTo: MemoryPipe.most(limit, for: sink)) }
      return .wouldBlock
    }
    guard let pieces = unsafe pieces else { return answer }
    var none: Int64?
    let transfer = try Syscall.withoutSIGPIPE { () throws(Errno) in
      try unsafe MemoryPipe.write(pieces, to: sink, at: &none, moreFollows: false)
    }
    state.withLock { state in
      if case .bytes(let count) = transfer { state.pipe.body.consume(count) }
      if state.writer.waiter != nil, state.pipe.hasRoom { state.writer.wake() }
    }
    return transfer
  }

  /// Reads what a pipe that was declared bad still holds.
  func inspect(into buffer: inout OutputRawSpan) throws(Errno) -> Transfer {
    try state.withLock { state throws(Errno) in
      let transfer = try state.pipe.read(into: &buffer)
      return transfer == .wouldBlock ? .endOfFile : transfer
    }
  }

  /// Something about the pipe itself.
  func ask<Result>(_ question: (borrowing SplicePipe) -> Result) -> Result {
    state.withLock { state in
      state.recount()
      return question(state.pipe)
    }
  }

  func resize(to capacity: Int) {
    state.withLock { state in
      state.pipe.resize(to: capacity)
      if state.pipe.hasRoom { state.writer.wake() }
    }
  }

  func look(as side: Side) -> EndState { state.withLock { $0.look(as: side) } }
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
    if one.writer.waiter != nil, one.pipe.hasRoom { one.writer.wake() }
    if case .bytes(let count) = transfer, count > 0 { two.reader.wake() }
    return transfer
  }

  fileprivate mutating func look(as side: SharedPipe.Side) -> EndState {
    if isInvalid { return .invalid }
    switch side {
    case .reader:
      recount()
      if pipe.count > 0 { return .ready }
      if writer.isReleased { return pipe.hasHungUp ? .closed : .waiting }
      return writer.isOpen ? .waiting : .closed
    case .writer:
      if reader.isReleased { return pipe.hasHungUp ? .closed : pipe.hasRoom ? .ready : .waiting }
      guard reader.isOpen else { return .closed }
      return pipe.hasRoom ? .ready : .waiting
    }
  }
}

extension SharedPipe.End {
  fileprivate mutating func wake() {
    switch waiter.take() {
    case .task(let continuation): unsafe continuation.resume()
    case .thread: Syscall.signal(eventfd: event.raw)
    case nil: break
    }
  }
}

// MARK: - Letting go

extension SharedPipe {
  /// An end is no more: the other one hears of it.
  func close(_ side: Side) {
    state.withLock { state in
      switch side {
      case .reader:
        // One that was released lives on elsewhere.
        state.reader.isOpen = state.reader.isReleased
        state.writer.wake()
      case .writer:
        state.writer.isOpen = state.writer.isReleased
        state.reader.wake()
      }
    }
  }

  /// Gives an end's descriptor away. From then on the kernel says what the other end wants to know.
  func release(_ side: Side) throws(Errno) -> FileDescriptor {
    try state.withLock { state throws(Errno) in
      if state.isInvalid { throw .badMessage }
      switch side {
      case .reader:
        let released = try state.pipe.releaseReader()
        state.reader.isReleased = true
        state.writer.wake()
        return released
      case .writer:
        let released = try state.pipe.releaseWriter()
        state.writer.isReleased = true
        state.reader.wake()
        return released
      }
    }
  }

  /// Declares the pipe bad, for both ends and for good.
  func invalidate() {
    state.withLock { state in
      state.isInvalid = true
      state.reader.wake()
      state.writer.wake()
    }
  }
}

// MARK: - The wait queue

extension SharedPipe {
  /// Waits while `side` can do nothing. Early wake-ups are allowed.
  func wait(as side: Side, waitingOn readiness: some Readiness) async throws(SpliceError) {
    if let elsewhere = ask({ $0.loneEnd }) {
      return try await readiness.waitOnce(for: elsewhere, as: side == .reader ? .source : .sink)
    }
    await withTaskCancellationHandler {
      unsafe await withUnsafeContinuation { continuation in
        state.withLock { state in
          // The word of a cancellation that came before this is in the task; of a later one, it finds the waiter.
          guard state.look(as: side) == .waiting, !Task.isCancelled else {
            return unsafe continuation.resume()
          }
          unsafe state.put(.task(continuation), at: side)
        }
      }
    } onCancel: {
      state.withLock { state in
        switch side {
        case .reader: state.reader.wake()
        case .writer: state.writer.wake()
        }
      }
    }
    if Task.isCancelled { throw .cancelled }
  }

  /// The same while the calling thread waits.
  func wait(as side: Side, waitingIn poll: Poll) throws(SpliceError) {
    try poll.check()
    do throws(Errno) {
      if let elsewhere = ask({ $0.loneEnd }) {
        let key = RegistrationKey(descriptor: elsewhere, generation: 0)
        _ = try poll.wait(for: Interest(key, as: side == .reader ? .source : .sink))
      } else if let event = try beginToWait(as: side) {
        _ = try poll.wait(for: Interest(RegistrationKey(descriptor: event, generation: 0), as: .source))
        endWait(as: side)
      }
    } catch { throw .pipe(error) }
    try poll.check()
  }

  /// What tells a thread that its wait is over; nil when it is already.  C: `eventfd`
  private func beginToWait(as side: Side) throws(Errno) -> FileDescriptor? {
    try state.withLock { state throws(Errno) in
      guard state.look(as: side) == .waiting else { return nil }
      state.put(.thread, at: side)
      switch side {
      case .reader: return try state.reader.makeEvent()
      case .writer: return try state.writer.makeEvent()
      }
    }
  }

  private func endWait(as side: Side) {
    state.withLock { state in
      switch side {
      case .reader: state.reader.endWait()
      case .writer: state.writer.endWait()
      }
    }
  }
}

extension SharedPipe.State {
  fileprivate mutating func put(_ waiter: SharedPipe.Waiter, at side: SharedPipe.Side) {
    switch side {
    case .reader: reader.waiter = waiter
    case .writer: writer.waiter = waiter
    }
  }
}

extension SharedPipe.End {
  fileprivate mutating func makeEvent() throws(Errno) -> FileDescriptor {
    if event.raw.rawValue < 0 { event = Descriptor(owning: try Syscall.eventfd()) }
    return event.raw
  }

  /// A wake that comes later belongs to no wait any more.
  fileprivate mutating func endWait() {
    waiter = nil
    Syscall.drain(eventfd: event.raw)
  }
}
