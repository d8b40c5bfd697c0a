// Numbers in, a verdict out: nothing here measures anything. Every round gives a ratio B/A and a ratio A/A;
// the median of each comes with an interval that holds the true median with 95 % probability, whatever the
// distribution. The A/A interval, stretched to hold 1, is what "nothing" looks like on this machine at this
// hour. B has won or lost only where its interval lies wholly outside of it.
//
// One file for `splice bench` and for Benchmarks/, which has a link to it.

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

// MARK: - For people

extension Interval {
  var text: String { "\(median.fixed) [\(low.fixed), \(high.fixed)]" }
}

extension Double {
  /// With two digits behind the point.
  var fixed: String {
    guard isFinite, abs(self) < 1e15 else { return "\(self)" }
    let hundredths = Int((abs(self) * 100).rounded())
    let digits = String(hundredths % 100)
    return
      "\(self < 0 && hundredths > 0 ? "-" : "")\(hundredths / 100).\(digits.count < 2 ? "0" : "")\(digits)"
  }
}

// MARK: - Rounds

/// What something has cost: seconds of CPU, and of the clock.
struct Cost {
  var cpu = 0.0
  var wall = 0.0

  static func + (a: Cost, b: Cost) -> Cost { Cost(cpu: a.cpu + b.cpu, wall: a.wall + b.wall) }
  static func - (a: Cost, b: Cost) -> Cost { Cost(cpu: a.cpu - b.cpu, wall: a.wall - b.wall) }
  static func * (n: Int, a: Cost) -> Cost { Cost(cpu: Double(n) * a.cpu, wall: Double(n) * a.wall) }
}

/// A yardstick, the same again as the control, and a challenger, side by side.
struct Rounds {
  enum Side: Int { case yardstick, control, challenger }

  /// Of each side, in the order of rounds.
  private var costs: [[Cost]] = [[], [], []]
  private(set) var count = 0

  private static let orders: [[Side]] = [
    [.yardstick, .control, .challenger], [.challenger, .control, .yardstick],
    [.control, .challenger, .yardstick], [.yardstick, .challenger, .control],
    [.challenger, .yardstick, .control], [.control, .yardstick, .challenger],
  ]

  /// One more round: each side once, in each of the six orders in turn.
  mutating func add(_ run: (Side) throws -> Cost) rethrows {
    for side in Self.orders[count % Self.orders.count] { costs[side.rawValue].append(try run(side)) }
    count += 1
  }

  struct Result {
    /// The challenger's cost over the yardstick's, and the control's.
    let cpu, control: Interval
    /// The challenger's throughput over the yardstick's.
    let throughput: Interval
    /// Medians of the yardstick and the challenger.
    let yardstick, challenger: Cost
    var verdict: Verdict { Verdict(cpu, control: control) }
  }

  /// Nil when something has cost nothing, or nothing was run.
  var result: Result? {
    guard costs.joined().allSatisfy({ $0.cpu > 0 && $0.wall > 0 }) else { return nil }
    func ratios(_ cost: (Cost) -> Double, _ over: Side, _ under: Side) -> Interval? {
      Interval(medianOf: zip(costs[over.rawValue], costs[under.rawValue]).map { cost($0) / cost($1) })
    }
    func median(_ side: Side) -> Cost? {
      guard let cpu = Interval(medianOf: costs[side.rawValue].map(\.cpu)),
        let wall = Interval(medianOf: costs[side.rawValue].map(\.wall))
      else { return nil }
      return Cost(cpu: cpu.median, wall: wall.median)
    }
    guard let cpu = ratios(\.cpu, .challenger, .yardstick), let control = ratios(\.cpu, .control, .yardstick),
      let throughput = ratios(\.wall, .yardstick, .challenger), let a = median(.yardstick),
      let b = median(.challenger)
    else { return nil }
    return Result(cpu: cpu, control: control, throughput: throughput, yardstick: a, challenger: b)
  }
}
