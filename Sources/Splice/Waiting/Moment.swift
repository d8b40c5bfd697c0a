// Time as a plain number. A `ContinuousClock.Instant` is laid out by the runtime, which then copies and
// destroys every optional and every enum that holds one; in what is done for each message that cost more than
// the rest of it.

/// A time of the continuous clock, in nanoseconds since this process first asked for one.
struct Moment: Sendable, Hashable, Comparable {
  private let nanoseconds: Int64
  private static let origin = ContinuousClock.now

  /// What was before the first is over, and no more is to be known of it.
  init(_ instant: ContinuousClock.Instant) { nanoseconds = max(-1, (instant - Self.origin).nanoseconds) }

  private init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  static var now: Moment { Moment(.now) }
  static func < (one: Moment, other: Moment) -> Bool { one.nanoseconds < other.nanoseconds }
  static func - (one: Moment, other: Moment) -> Duration { .nanoseconds(one.nanoseconds - other.nanoseconds) }

  static func + (one: Moment, time: Duration) -> Moment {
    Moment(nanoseconds: one.nanoseconds &+ time.nanoseconds)
  }

  /// This moment as an instant of the standard library.
  var instant: ContinuousClock.Instant { Self.origin + .nanoseconds(nanoseconds) }
}
