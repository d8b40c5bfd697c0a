// How fast: a bucket that fills with time and is emptied by the bytes that are taken.
//
// It is emptied in shares of a twentieth of a second, so that a slow flow wakes twenty times a second, moves
// something worth a splice, and sleeps. What was not taken in the last quarter of a second is forgotten: a
// source that was silent gets no burst afterwards, and a thread that was late still makes up for it.

/// A limit on the rate at which flows take bytes from their sources: one limit for all that share it, across
/// all their calls.
public final class Pace: Sendable {
  /// Bytes a second.
  public let bytesPerSecond: UInt64
  private let bucket = Locked(Bucket())

  private struct Bucket {
    var credit = 0.0
    var filledAt: Moment?
  }

  private static let sharesPerSecond = 20.0
  private static let mostShares = 5.0

  /// At most this many bytes a second, and at least one.
  public init(bytesPerSecond: UInt64) { self.bytesPerSecond = max(1, bytesPerSecond) }

  private var share: Double { max(1, Double(bytesPerSecond) / Self.sharesPerSecond) }

  /// What may be taken now, at least a share, or nothing; and when there will be a share.
  func allowance(at now: Moment) -> (count: Int, next: Moment) {
    bucket.withLock { bucket in
      if let filledAt = bucket.filledAt {
        // Another flow may have looked at a later time.
        let seconds = max(0, Double((now - filledAt).nanoseconds) / 1e9)
        bucket.credit = min(bucket.credit + seconds * Double(bytesPerSecond), share * Self.mostShares)
      } else {
        bucket.credit = share
      }
      bucket.filledAt = bucket.filledAt.map { max($0, now) } ?? now
      let missing = max(0, share - bucket.credit) / Double(bytesPerSecond)
      return (
        bucket.credit >= share ? Int(bucket.credit) : 0,
        (bucket.filledAt ?? now) + .nanoseconds(Int64((missing * 1e9).rounded(.up)))
      )
    }
  }

  /// Bytes have been taken.
  func took(_ count: Int) { bucket.withLock { $0.credit -= Double(count) } }

  /// For how long at most it allows nothing to a flow that has it for itself.
  package var longestPause: Duration { .seconds(share / Double(bytesPerSecond)) }
}
