// Whether nothing has moved for some time. Looked at four times in it, so that nothing need be noted when something moves.

/// Finds out that nothing has moved for some time, or up to a quarter longer.
struct Stillness {
  private let quarter: Duration?
  private var seen: UInt64
  private var quiet = 0
  private var next: ContinuousClock.Instant?

  private static let looks = 4

  /// Never, when there is no time. `moved` bytes have so far.
  init(_ time: Duration?, _ moved: @autoclosure () -> UInt64) {
    quarter = time.map { $0 / Self.looks }
    seen = time == nil ? 0 : moved()
    next = quarter.map { .now + $0 }
  }

  /// When to look again, if no other time comes first.
  func nextLook(or deadline: ContinuousClock.Instant?) -> ContinuousClock.Instant? {
    next.map { min($0, deadline ?? $0) } ?? deadline
  }

  /// What was to go on until the next look has come there: whether it may go on.
  mutating func mayGoOn(_ moved: @autoclosure () -> UInt64, _ deadline: ContinuousClock.Instant?) -> Bool {
    if let deadline, deadline <= .now { return false }
    guard let quarter else { return false }
    let moved = moved()
    quiet = moved == seen ? quiet + 1 : 0
    seen = moved
    next = .now + quarter
    return quiet < Self.looks
  }
}
