// One row: a heat where a side has several candidates, then rounds of A, A again (the control) and B, in each
// of their six orders in turn, then the counting. What starting costs is subtracted from every run: it has a
// row of its own, and it would blur the others. It is measured beside each run, not once, so that its noise
// shows in the intervals too.

typealias Both = (a: Double, b: Double)

struct Outcome {
  let row: Row
  let a, b: Candidate
  let cpu, control: Interval
  let verdict: Verdict
  /// B's throughput over A's.
  let throughput: Interval
  /// CPU seconds per unit.
  let cost: Both
  /// System calls per unit; nil where nothing can count them.
  let calls: Both?
}

struct Contest {
  let pairs: Int
  let bytes: Int?
  /// CPU lists for `taskset`: the measured programs', and their ends'.
  let pinning: (measured: String, ends: String)?
  let meter: Meter?
  var files: CachedFiles

  mutating func outcome(of row: Row) throws -> Outcome {
    let job = row.job.moving(bytes)
    let a = try cheapest(of: row.a, at: job)
    let b = try cheapest(of: row.b, at: job)
    for candidate in [a, b] { _ = try cost(of: candidate, at: job, passes: 1) }  // warms the caches

    var rounds = Rounds()
    for _ in 0..<pairs {
      try rounds.add { side in
        try netCost(of: side == .challenger ? b : a, at: job, passes: row.passes)
      }
    }
    guard let result = rounds.result else {
      throw Failure("too little to do: it costs no more than starting")
    }
    let units = Double(row.passes) * job.amount.units
    return Outcome(
      row: row, a: a, b: b, cpu: result.cpu, control: result.control, verdict: result.verdict,
      throughput: result.throughput, cost: (result.yardstick.cpu / units, result.challenger.cpu / units),
      calls: try meter.map { try calls(a, b, at: job, $0) })
  }

  /// One run less what starting costs: the middle one of three runs of the empty job, for each pass.
  private mutating func netCost(of candidate: Candidate, at job: Job, passes: Int) throws -> Cost {
    let gross = try cost(of: candidate, at: job, passes: passes)
    guard let empty = job.empty else { return gross }
    var idle: [Cost] = []
    for _ in 0..<3 { idle.append(try once(candidate.stages, at: empty)) }
    return gross - passes * Cost(cpu: idle.map(\.cpu).sorted()[1], wall: idle.map(\.wall).sorted()[1])
  }

  private mutating func cost(of candidate: Candidate, at job: Job, passes: Int) throws -> Cost {
    var sum = Cost()
    for _ in 0..<passes { sum = sum + (try once(candidate.stages, at: job)) }
    return sum
  }

  private mutating func once(_ stages: [[String]], at job: Job) throws -> Cost {
    var wiring = try Wiring(stages, at: job, files: &files)
    if let pinning {
      for index in wiring.measured.indices { wiring.measured[index].argv.pin(to: pinning.measured) }
      for index in wiring.ends.indices { wiring.ends[index].argv.pin(to: pinning.ends) }
    }
    return try run(wiring.measured, between: wiring.ends)
  }

  /// The heat: three runs of each, in turn, and the least median.
  private mutating func cheapest(of candidates: [Candidate], at job: Job) throws -> Candidate {
    guard candidates.count > 1 else { return candidates[0] }
    var cpu = candidates.map { _ in [Double]() }
    for _ in 0..<3 {
      for (index, candidate) in candidates.enumerated() {
        cpu[index].append(try cost(of: candidate, at: job, passes: 1).cpu)
      }
    }
    let medians = cpu.map { $0.sorted()[1] }
    return zip(candidates, medians).min { $0.1 < $1.1 }?.0 ?? candidates[0]
  }

  /// System calls per unit beyond those of starting, of both sides. What a socket has ready varies, and the
  /// calls with it: so the median of five, taken in turn.
  private mutating func calls(
    _ a: Candidate, _ b: Candidate, at job: Job, _ meter: Meter
  ) throws -> Both {
    var counts = (a: [Int](), b: [Int]())
    for _ in 0..<5 {
      counts.a.append(try calls(of: a, at: job, meter))
      counts.b.append(try calls(of: b, at: job, meter))
    }
    let units = job.amount.units
    return (Double(counts.a.sorted()[2]) / units, Double(counts.b.sorted()[2]) / units)
  }

  private mutating func calls(of candidate: Candidate, at job: Job, _ meter: Meter) throws -> Int {
    let gross = try meter.count(candidate.stages) { _ = try once($0, at: job) }
    guard let empty = job.empty else { return gross }
    return gross - (try meter.count(candidate.stages) { _ = try once($0, at: empty) })
  }
}

extension [String] {
  fileprivate mutating func pin(to list: String) { self = ["taskset", "-c", list] + self }
}
