// Who waits at an end. One task or thread does: so a queue has one place.
//
// A task waits as a continuation. A thread, and a task that has a deadline, waits for an eventfd, together with what else may end
// its wait.

import SystemPackage

/// One of two ends.
enum Side: Sendable {
  case reader, writer
}

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
  /// The same, for whoever waits for something else.
  private var alarm = Descriptor(owning: FileDescriptor(rawValue: -1))

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

  /// What will be readable for good when nothing more can be done at this end.  C: `eventfd`
  mutating func makeAlarm() throws(Errno) -> FileDescriptor {
    if alarm.raw.rawValue < 0 { alarm = Descriptor(owning: try Syscall.eventfd()) }
    return alarm.raw
  }

  func soundAlarm() { if alarm.raw.rawValue >= 0 { Syscall.signal(eventfd: alarm.raw) } }

  /// A wake that comes later belongs to no wait any more.
  mutating func endForEvent() {
    waiter = nil
    Syscall.drain(eventfd: event.raw)
  }
}

/// Who waits at either end.
struct Waiters: ~Copyable {
  var reader = Waiting()
  var writer = Waiting()

  mutating func at<Result, Failure: Error>(
    _ side: Side, _ body: (inout Waiting) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    switch side {
    case .reader: try body(&reader)
    case .writer: try body(&writer)
    }
  }
}
