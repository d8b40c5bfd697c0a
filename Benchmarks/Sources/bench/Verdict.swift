// Numbers in, a verdict out: nothing here measures anything. Every round gives a ratio B/A and a ratio A/A;
// the median of each comes with an interval that holds the true median with 95 % probability, whatever the
// distribution. The A/A interval, stretched to hold 1, is what "nothing" looks like on this machine at this
// hour. B has won or lost only where its interval lies wholly outside of it.

/// The median of some ratios, between the order statistics that enclose the true one with 95 % probability
/// (the sign test turned round). Fewer than six enclose nothing with that certainty: then it may be anything.
struct Interval: Equatable {
  var low, median, high: Double
}

extension Interval {
  /// Nil if there are no values.
  init?(medianOf values: [Double]) {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return nil }
    let (n, middle) = (sorted.count, sorted.count / 2)
    let median = n.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]

    // `rank` values may be cut off at each side while P(Binomial(n, 1/2) < rank) <= 2.5 %.
    var rank = 0
    var probability = 0.5.power(n)
    var below = probability
    while below <= 0.025 {
      rank += 1
      probability *= Double(n - rank + 1) / Double(rank)
      below += probability
    }
    self.init(
      low: rank == 0 ? 0 : sorted[rank - 1], median: median, high: rank == 0 ? .infinity : sorted[n - rank])
  }
}

extension Double {
  fileprivate func power(_ n: Int) -> Double { (0..<n).reduce(1) { product, _ in product * self } }
}

enum Verdict: String {
  case won, lost, undecided

  /// Of a cost ratio: less is better.
  init(_ ratio: Interval, control: Interval) {
    if ratio.high < min(control.low, 1) {
      self = .won
    } else if ratio.low > max(control.high, 1) {
      self = .lost
    } else {
      self = .undecided
    }
  }
}

/// Whether a ratio keeps to a limit: not when the interval straddles it.
enum Judgement: String {
  case met, missed, undecided

  init(_ ratio: Interval, atMost limit: Double) {
    self = ratio.high <= limit ? .met : ratio.low > limit ? .missed : .undecided
  }

  init(_ ratio: Interval, atLeast limit: Double) {
    self = ratio.low >= limit ? .met : ratio.high < limit ? .missed : .undecided
  }
}
