// Whether a ratio keeps to a limit.

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
