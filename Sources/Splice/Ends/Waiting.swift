// The wait queue of a pipe with two ends. One task or thread waits at an end: so a queue has one place.
//
// A task waits as a continuation. A thread, and a task that has a deadline, waits for an eventfd, together with what else may end
// its wait. No wake-up is lost: who waits looks at the pipe and takes its place under one lock, and who changes the pipe looks for
// somebody there under the same. A task is resumed only when that lock is free again: whoever cancels a task holds a lock of the
// runtime that resuming it needs too, and then asks for ours.

import SystemPackage

/// Who waits at an end.
@safe struct Waiting: ~Copyable {
  // Safe: a continuation leaves its place when it is woken, and the other when it is resumed.
  @safe private enum Waiter {
    case task(UnsafeContinuation<Void, Never>)
    /// Whoever waits for the event.
    case event
  }

  private var waiter: Waiter?
  /// Who is to be resumed when the pipe is no longer locked.
  private var woken: UnsafeContinuation<Void, Never>?
  /// None until the first one needs it.
  private var event = Descriptor(owning: FileDescriptor(rawValue: -1))

  var isSomeone: Bool { waiter != nil }

  mutating func wake() {
    switch waiter.take() {
    case .task(let continuation): unsafe woken = continuation
    case .event: Syscall.signal(eventfd: event.raw)
    case nil: break
    }
  }

  mutating func begin(_ continuation: UnsafeContinuation<Void, Never>) {
    waiter = unsafe .task(continuation)
  }

  mutating func takeWoken() -> UnsafeContinuation<Void, Never>? { unsafe woken.take() }

  /// What will be readable when the wait is over.  C: `eventfd`
  mutating func beginForEvent() throws(Errno) -> FileDescriptor {
    if event.raw.rawValue < 0 { event = Descriptor(owning: try Syscall.eventfd()) }
    waiter = .event
    return event.raw
  }

  /// A wake that comes later belongs to no wait any more.
  mutating func endForEvent() {
    waiter = nil
    Syscall.drain(eventfd: event.raw)
  }
}

extension SharedPipe {
  /// Waits while `side` can do nothing, until the deadline. Early wake-ups are allowed.
  func wait(
    as side: Side, until deadline: ContinuousClock.Instant? = nil, on readiness: some Readiness
  ) async throws(SpliceError) {
    if let elsewhere = loneEnd {
      try await readiness.waitOnce(for: elsewhere, as: side == .reader ? .source : .sink, until: deadline)
    } else if deadline == nil {
      await wait(as: side)
    } else if let event = try beginForEvent(as: side) {
      defer { endForEvent(as: side) }
      try await readiness.waitOnce(for: event, as: .source, until: deadline)
    }
    if Task.isCancelled { throw .cancelled }
    if let deadline, deadline <= .now { throw .timedOut }
  }

  private func wait(as side: Side) async {
    await withTaskCancellationHandler {
      unsafe await withUnsafeContinuation { continuation in
        let isWaiting = withState { state in
          // The word of a cancellation that came before this is in the task; of a later one, it finds the waiter.
          guard state.look(as: side) == .waiting, !Task.isCancelled else { return false }
          state.at(side) { unsafe $0.waiting.begin(continuation) }
          return true
        }
        if !isWaiting { unsafe continuation.resume() }
      }
    } onCancel: {
      withState { state in state.at(side) { $0.waiting.wake() } }
    }
  }

  /// The same while the calling thread waits.
  func wait(as side: Side, waitingIn poll: Poll) throws(SpliceError) {
    if let elsewhere = loneEnd {
      try poll.waitOnce(for: elsewhere, as: side == .reader ? .source : .sink)
    } else if let event = try beginForEvent(as: side) {
      defer { endForEvent(as: side) }
      try poll.waitOnce(for: event, as: .source)
    }
  }

  /// What can be waited for when the other end is in another process.
  private var loneEnd: FileDescriptor? { ask { $0.loneEnd } }

  /// What tells that the wait is over; nil when it is already.
  private func beginForEvent(as side: Side) throws(SpliceError) -> FileDescriptor? {
    do throws(Errno) {
      return try withState { state throws(Errno) in
        guard state.look(as: side) == .waiting else { return nil }
        return try state.at(side) { end throws(Errno) in try end.waiting.beginForEvent() }
      }
    } catch { throw .pipe(error) }
  }

  private func endForEvent(as side: Side) {
    withState { state in state.at(side) { $0.waiting.endForEvent() } }
  }
}
