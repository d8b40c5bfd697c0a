// What is believed of an upstream.

import Testing

@testable import SpliceServices

@Suite struct HealthTests {
  /// What is believed after each outcome.
  private func beliefs(rise: Int, fall: Int, _ outcomes: String) -> String {
    var health = Health(rise: rise, fall: fall)
    return String(
      outcomes.map { outcome in
        let before = health.isUp
        let hasChanged = health.note(outcome == "+")
        #expect(hasChanged == (before != health.isUp))
        return health.isUp ? "U" : "d"
      })
  }

  @Test func `the first outcome decides`() {
    #expect(Health(rise: 2, fall: 3).isUp)
    #expect(beliefs(rise: 2, fall: 3, "-") == "d")
    #expect(beliefs(rise: 2, fall: 3, "+--") == "UUU")
  }

  @Test(arguments: [
    (2, 3, "+--+---", "UUUUUUd"), (2, 3, "-+-++", "ddddU"), (2, 3, "-++--", "ddUUU"), (1, 1, "-+-+", "dUdU"),
    (3, 2, "+--+++--", "UUddd" + "U" + "Ud"), (0, 0, "-+", "dU"),
  ])
  func `so many outcomes in a row change the belief`(
    _ rise: Int, _ fall: Int, _ outcomes: String, _ expected: String
  ) {
    #expect(beliefs(rise: rise, fall: fall, outcomes) == expected)
  }
}
