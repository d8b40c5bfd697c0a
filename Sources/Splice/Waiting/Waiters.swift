// Who waits at an end. One task or thread does: so a queue has one place.
//
// A task waits as a continuation. A thread, and a task that has a deadline, waits for an eventfd, together
// with what else may end its wait.

import SystemPackage

/// Who waits at an end.
@safe struct Waiting: ~Copyable {
  // Safe: a continuation leaves its place when it is woken, and the other when it is resumed.
  @safe private enum Waiter {
    case task(UnsafeContinuation<Void, Never>)
    /// The waiter of the event.
    case event
  }

  private var waiter: Waiter?
  /// Who is to be resumed when the pipe is no longer locked.
  private var ready: UnsafeContinuation<Void, Never>?
  /// None until the first one needs it.
  private var event: Event?
  /// Readable for good once nothing more can be done at this end, for those who wait for something else; none
  /// until the first one needs it.
  private var alarm: Event?

  var isSomeone: Bool { waiter != nil }

  mutating func wake() {
    switch waiter.take() {
    case .task(let continuation): unsafe ready = continuation
    case .event: event?.signal()
    case nil: break
    }
  }

  mutating func begin(_ continuation: UnsafeContinuation<Void, Never>) {
    waiter = unsafe .task(continuation)
  }

  mutating func takeWoken() -> UnsafeContinuation<Void, Never>? { unsafe ready.take() }

  /// What will be readable when a wait for it is over.  C: `eventfd`
  mutating func makeEvent() throws(Errno) -> FileDescriptor { try Self.made(&event).descriptor }

  mutating func beginForEvent() throws(Errno) {
    _ = try makeEvent()
    waiter = .event
  }

  private static func made(_ event: inout Event?) throws(Errno) -> Event {
    if let event { return event }
    let new = try Event()
    event = new
    return new
  }

  /// What will be readable for good when nothing more can be done at this end.  C: `eventfd`
  mutating func makeAlarm() throws(Errno) -> FileDescriptor {
    try Self.made(&alarm).descriptor
  }

  /// Makes both, so that no wait fails for want of a descriptor.  C: `eventfd`
  mutating func reserve() throws(Errno) {
    _ = try (Self.made(&event), Self.made(&alarm))
  }

  func soundAlarm() { alarm?.signal() }

  /// A wake that comes later belongs to no wait any more.
  mutating func endForEvent() {
    waiter = nil
    event?.drain()
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
