// How fast: a bucket that fills with time and is emptied by the bytes that are taken.
//
// It is emptied in shares of a twentieth of a second, so that a slow flow wakes twenty times a second, moves something worth a
// splice, and sleeps. What was not taken in the last quarter of a second is forgotten: a source that was silent gets no
// burst afterwards, and a thread that was late still makes up for it.

/// A limit on the rate at which a flow takes bytes from its source.
public struct Pace: Sendable, Hashable {
  /// Bytes a second.
  public let bytesPerSecond: UInt64
  private var credit = 0.0
  private var filledAt: Moment?

  private static let sharesPerSecond = 20.0
  private static let mostShares = 5.0

  /// At most so many bytes a second, and at least one.
  public init(bytesPerSecond: UInt64) { self.bytesPerSecond = max(1, bytesPerSecond) }

  private var share: Double { max(1, Double(bytesPerSecond) / Self.sharesPerSecond) }

  /// What may be taken now: at least a share, or nothing.
  mutating func allowance(at now: Moment) -> Int {
    if let filledAt {
      let seconds = Double((now - filledAt).nanoseconds) / 1e9
      credit = min(credit + seconds * Double(bytesPerSecond), share * Self.mostShares)
    } else {
      credit = share
    }
    filledAt = now
    return credit >= share ? Int(credit) : 0
  }

  /// Bytes have been taken.
  mutating func took(_ count: Int) { credit -= Double(count) }

  /// For how long at most it allows nothing.
  package var longestPause: Duration { .seconds(share / Double(bytesPerSecond)) }

  /// When there will be a share.
  var next: Moment {
    let seconds = max(0, share - credit) / Double(bytesPerSecond)
    return (filledAt ?? .now) + .nanoseconds(Int64((seconds * 1e9).rounded(.up)))
  }
}
