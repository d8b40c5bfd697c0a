// Whether nothing has moved for some time. Looked at four times in it, so that nothing need be noted when
// something moves.

/// Finds out that nothing has moved for some time, or up to a quarter longer.
struct IdleTimer {
  /// What has moved, and what the peers of two sinks have yet to take of that: each by itself, since a unix
  /// socket counts memory, and not bytes.
  struct Progress: Hashable {
    let moved: UInt64
    let first, second: Int

    static let none = Progress(0)

    init(_ moved: UInt64, _ first: Int = 0, _ second: Int = 0) {
      (self.moved, self.first, self.second) = (moved, first, second)
    }
  }

  private let quarter: Duration?
  private var seen: Progress
  private var quiet = 0
  private var next: Moment?

  private static let looks = 4

  /// Never, when there is no time.
  init(_ time: Duration?, _ progress: @autoclosure () -> Progress) {
    quarter = time.map { $0 / Self.looks }
    seen = time == nil ? .none : progress()
    next = quarter.map { .now + $0 }
  }

  /// When to look again, if no other time comes first.
  func nextLook(or deadline: Moment?) -> Moment? {
    next.map { min($0, deadline ?? $0) } ?? deadline
  }

  /// What was to go on until the next look has come there: whether it may go on.
  mutating func mayGoOn(
    _ progress: @autoclosure () -> Progress, _ deadline: Moment?
  ) -> Bool {
    if let deadline, deadline <= .now { return false }
    guard let quarter else { return false }
    let progress = progress()
    quiet = progress == seen ? quiet + 1 : 0
    seen = progress
    next = .now + quarter
    return quiet < Self.looks
  }
}
