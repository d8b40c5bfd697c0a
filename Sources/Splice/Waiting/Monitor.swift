// A monitor: a state, its lock, and two ends that wait for each other.
//
// No wake-up is lost: who waits looks at the state and takes its place under one lock, and who changes the
// state looks for somebody there under the same. A task is resumed only when that lock is free again: whoever
// cancels a task holds a lock of the runtime that resuming it needs too, and then asks for ours.

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

/// What two ends share.
protocol Shared: ~Copyable, Sendable {
  var waiters: Waiters { get set }
  /// What an end can do now.
  mutating func look(as side: Side) -> EndState
}

extension Shared where Self: ~Copyable {
  /// Whether an end can do nothing more, whatever comes. A reader still takes what there is when the writer
  /// has gone.
  mutating func isOver(for side: Side) -> Bool {
    switch look(as: side) {
    case .invalid: true
    case .closed: side == .writer
    case .waiting, .ready: false
    }
  }

  /// An end has gone, or everything has: who waits for it looks again.
  mutating func changedForGood() {
    waiters.reader.wake()
    waiters.writer.wake()
    if isOver(for: .reader) { waiters.reader.soundAlarm() }
    if isOver(for: .writer) { waiters.writer.soundAlarm() }
  }
}

/// What can be waited on as one of two ends.
protocol Waitable: AnyObject, Sendable {
  /// Waits while `side` can do nothing, until the deadline. Early wake-ups are allowed.
  func wait(
    as side: Side, until deadline: ContinuousClock.Instant?, on readiness: some Readiness
  ) async throws(SpliceError)

  /// Waits on the calling thread while `side` can do nothing, also for a failure of those with an alarm.
  @discardableResult
  func wait(
    as side: Side, alarms: BlockingWait.Alarms, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> ReadySet

  /// For a flow that has to hear of its descriptor while it waits for an end: what is readable when a wait is
  /// over that was begun with ``beginForEvent(as:)``. Nil when the other end is elsewhere.
  func event(for side: Side) throws(SpliceError) -> FileDescriptor?

  /// Begins such a wait; false when there is nothing to wait for.
  func beginForEvent(as side: Side) throws(SpliceError) -> Bool

  func endForEvent(as side: Side)

  /// For a flow that waits for its descriptor meanwhile: readable for good once `side` can do nothing more.
  func alarm(for side: Side) throws(SpliceError) -> FileDescriptor
}

extension Waitable {
  func wait(as side: Side, waitingIn poll: BlockingWait) throws(SpliceError) {
    try wait(as: side, alarms: BlockingWait.Alarms(), waitingIn: poll)
  }
}

/// A state that one thread at a time may touch, and two ends may wait on.
final class Monitor<State: Shared & ~Copyable>: Waitable {
  private let state: Locked<State>

  init(_ state: consuming State) { self.state = Locked(state) }

  /// Tasks that go on once the lock is free.
  @safe private struct Resumption {
    // Safe: each was taken out of its place, and is resumed once.
    var reader, writer: UnsafeContinuation<Void, Never>?

    func run() {
      unsafe reader?.resume()
      unsafe writer?.resume()
    }
  }

  /// Runs `body` alone with the state, and then resumes those it woke.
  func withState<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var resumption = Resumption()
    defer { resumption.run() }
    return try lock(&resumption, body)
  }

  /// Lends two states at once. The locks are taken in one order, whichever way round they are given.
  static func withStates<Result>(
    _ one: Monitor, _ two: Monitor, _ body: (inout State, inout State) throws(Errno) -> Result
  ) throws(Errno) -> Result {
    var (first, second) = (Resumption(), Resumption())
    defer {
      first.run()
      second.run()
    }
    if ObjectIdentifier(one) < ObjectIdentifier(two) {
      return try one.lock(&first) { one throws(Errno) in
        try two.lock(&second) { two throws(Errno) in try body(&one, &two) }
      }
    }
    return try two.lock(&second) { two throws(Errno) in
      try one.lock(&first) { one throws(Errno) in try body(&one, &two) }
    }
  }

  private func lock<Result, Failure: Error>(
    _ resumption: inout Resumption, _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try state.withLock { state throws(Failure) in
      defer {
        unsafe resumption.reader = state.waiters.reader.takeWoken()
        unsafe resumption.writer = state.waiters.writer.takeWoken()
      }
      return try body(&state)
    }
  }
}

// MARK: - Waiting

extension Monitor where State: ~Copyable {
  func look(as side: Side) -> EndState { withState { $0.look(as: side) } }

  func wait(
    as side: Side, until deadline: ContinuousClock.Instant?, on readiness: some Readiness
  ) async throws(SpliceError) {
    if deadline == nil {
      await wait(as: side)
    } else if try beginForEvent(as: side), let event = try event(for: side) {
      defer { endForEvent(as: side) }
      try await readiness.waitOnce(for: event, as: .source, until: deadline)
    }
    if Task.isCancelled { throw .cancelled }
    if let deadline, deadline <= .now { throw .timedOut }
  }

  func alarm(for side: Side) throws(SpliceError) -> FileDescriptor {
    do throws(Errno) {
      return try withState { state throws(Errno) in
        let isOver = state.isOver(for: side)
        return try state.waiters.at(side) { waiting throws(Errno) in
          let alarm = try waiting.makeAlarm()
          if isOver { waiting.soundAlarm() }
          return alarm
        }
      }
    } catch { throw .pipe(error) }
  }

  /// Makes what waits at these ends need, so that none fails later for want of a descriptor.  C: `eventfd`
  func reserve(for sides: [Side] = [.reader, .writer]) throws(Errno) {
    for side in sides {
      try withState { state throws(Errno) in
        try state.waiters.at(side) { waiting throws(Errno) in try waiting.reserve() }
      }
    }
  }

  private func wait(as side: Side) async {
    await withTaskCancellationHandler {
      unsafe await withUnsafeContinuation { continuation in
        let isWaiting = withState { state in
          // The word of a cancellation that came before this is in the task; of a later one, it finds the
          // waiter.
          guard state.look(as: side) == .waiting, !Task.isCancelled else { return false }
          state.waiters.at(side) { unsafe $0.begin(continuation) }
          return true
        }
        if !isWaiting { unsafe continuation.resume() }
      }
    } onCancel: {
      withState { state in state.waiters.at(side) { $0.wake() } }
    }
  }

  @discardableResult
  func wait(
    as side: Side, alarms: BlockingWait.Alarms, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> ReadySet {
    guard try beginForEvent(as: side), let event = try event(for: side) else {
      try poll.check()
      return .first
    }
    defer { endForEvent(as: side) }
    return try poll.waitOnce(for: event, as: .source, alarms: alarms)
  }

  func event(for side: Side) throws(SpliceError) -> FileDescriptor? {
    do throws(Errno) {
      return try withState { state throws(Errno) in
        try state.waiters.at(side) { waiting throws(Errno) in try waiting.makeEvent() }
      }
    } catch { throw .pipe(error) }
  }

  func beginForEvent(as side: Side) throws(SpliceError) -> Bool {
    do throws(Errno) {
      return try withState { state throws(Errno) in
        guard state.look(as: side) == .waiting else { return false }
        try state.waiters.at(side) { waiting throws(Errno) in try waiting.beginForEvent() }
        return true
      }
    } catch { throw .pipe(error) }
  }

  func endForEvent(as side: Side) {
    withState { state in state.waiters.at(side) { $0.endForEvent() } }
  }
}
