// Whether an upstream is believed to answer.

/// What is believed of an upstream, by what it did when it was tried.
struct Health: Sendable, Hashable {
  /// Successes in a row that bring an upstream up, and failures in a row that bring it down.
  private let rise, fall: Int
  private(set) var isUp = true
  /// Outcomes in a row that speak against what is believed.
  private var against: Int

  /// One that is taken to be up until it was tried; the first outcome decides.
  init(rise: Int, fall: Int) {
    (self.rise, self.fall) = (max(1, rise), max(1, fall))
    against = self.fall - 1
  }

  /// Takes an outcome, and says whether it has changed what is believed.
  mutating func note(_ answered: Bool) -> Bool {
    guard answered != isUp else {
      against = 0
      return false
    }
    against += 1
    guard against >= (isUp ? fall : rise) else { return false }
    isUp = answered
    against = 0
    return true
  }
}
