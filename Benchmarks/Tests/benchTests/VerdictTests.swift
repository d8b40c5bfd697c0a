// The statistics, as tables: numbers in, a verdict out.

import Testing

@testable import bench

@Suite struct VerdictTests {
  /// The ranks are those of any table of confidence intervals for a median (95 %).
  @Test(arguments: [
    (6, 1, 6), (8, 1, 8), (9, 2, 8), (12, 3, 10), (15, 4, 12), (18, 5, 14), (25, 8, 18),
  ])
  func ranks(n: Int, low: Int, high: Int) throws {
    let interval = try #require(Interval(medianOf: (1...n).reversed().map(Double.init)))
    #expect(interval == Interval(low: Double(low), median: Double(n + 1) / 2, high: Double(high)))
  }

  @Test func fewValuesEncloseNothing() throws {
    let interval = try #require(Interval(medianOf: [3, 1, 2, 5, 4]))
    #expect(interval == Interval(low: 0, median: 3, high: .infinity))
    #expect(Verdict(interval, control: interval) == .undecided)
  }

  @Test func noValuesHaveNoMedian() {
    #expect(Interval(medianOf: []) == nil)
  }

  //                  B/A           A/A
  @Test(arguments: [
    (0.70, 0.80, 0.97, 1.02, Verdict.won),
    (1.10, 1.20, 0.97, 1.02, .lost),
    (0.95, 1.05, 0.97, 1.02, .undecided),
    (1.01, 1.05, 0.97, 1.02, .undecided),  // overlaps
    (0.98, 0.99, 0.90, 0.95, .undecided),  // apart, but the control has shown that 0.9 can mean nothing
    (1.02, 1.04, 1.05, 1.10, .undecided),
  ])
  func verdicts(low: Double, high: Double, controlLow: Double, controlHigh: Double, expected: Verdict) {
    let ratio = Interval(low: low, median: (low + high) / 2, high: high)
    let control = Interval(low: controlLow, median: (controlLow + controlHigh) / 2, high: controlHigh)
    #expect(Verdict(ratio, control: control) == expected)
  }

  @Test(arguments: [(1.00, 1.15, Judgement.met), (1.16, 1.30, .missed), (1.10, 1.20, .undecided)])
  func judgements(low: Double, high: Double, expected: Judgement) {
    #expect(Judgement(Interval(low: low, median: (low + high) / 2, high: high), atMost: 1.15) == expected)
  }
}
