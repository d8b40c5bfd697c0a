// Watches for the one thing an event loop must never do: leave a waiter parked whose descriptor is ready.
// Only in debug builds.
//
// Once a second every parked interest is polled, by levels, which epoll's edges are not. What is ready is
// polled again a tenth of a second later. If it is then ready still, and parked still, and epoll has told
// nothing of that descriptor in between, its edge was lost, and nothing would ever wake the waiter. Only the
// time counts in which epoll had nothing to tell, so a thread that is busy is not accused.

#if DEBUG
import CSplice

/// An interest of a waiter that is parked.
struct Parked: Sendable, Hashable {
  /// Names the wait.
  let wait: UInt64
  let interest: Interest
  /// How many events have told of the descriptor.
  let told: UInt64
}

/// What one executor was seen to leave parked. It is used on the executor's thread alone.
struct Audit: Sendable {
  private var next = Moment.now + interval
  private var suspects: Set<Parked> = []

  private static let interval = Duration.seconds(1)
  private static let patience = Duration.milliseconds(100)

  /// When the thread is to wake, at the latest. In a simulated kernel, where the simulation looks for itself,
  /// not for this.
  func wakeTime(before deadline: Moment?) -> Moment? {
    if Syscall.isSimulated { return deadline }
    return deadline.map { min($0, next) } ?? next
  }

  /// To be called when epoll had nothing to tell. The answer says what was lost.
  mutating func look(
    at parked: () -> [Parked], now: Moment = .now, isReady: (Interest) -> Bool = Self.isReady
  ) -> Parked? {
    guard now >= next, !Syscall.isSimulated else { return nil }
    let ready = Set(parked().filter { isReady($0.interest) })
    if let lost = ready.first(where: suspects.contains) { return lost }
    suspects = ready
    next = now + (ready.isEmpty ? Self.interval : Self.patience)
    return nil
  }

  /// An eventfd is no source of bytes: who waits for it waits for the next signal, and need not take back the
  /// last.  C: `ppoll` with no time
  static func isReady(_ interest: Interest) -> Bool {
    let events = interest.direction == .source ? POLLIN : POLLOUT
    guard (try? Syscall.isReady(interest.key.descriptor, events)) == true else { return false }
    return Descriptor.Kind(of: interest.key.descriptor) != .other
  }
}
#endif
