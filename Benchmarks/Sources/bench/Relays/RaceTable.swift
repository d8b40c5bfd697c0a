// The rows of the race as Markdown, each with what was aimed at.

let raceHead = """
  | load | ours beside | CPU | verdict | rate | p99 | calls, theirs | calls, ours | calls | target |
  |---|---|---|---|---|---|---|---|---|---|

  """

extension [RaceRow] {
  var lines: String { map { line(of: $0) + "\n" }.joined() }

  private func line(of row: RaceRow) -> String {
    let unit = row.load.unit.name
    let calls = row.calls.map {
      ["\($0.a.short)/\(unit)", "\($0.b.short)/\(unit)", row.callRatio?.fixed ?? "-"]
    }
    let isOffered = row.load.work.contains("{rate}")
    let cells =
      [
        row.load.name, row.peer, row.cpu.text, row.verdict.rawValue, isOffered ? "-" : row.rate.text,
        unit == "message" ? row.p99.text : "-",
      ] + (calls ?? ["-", "-", "-"])
      + [row.load.targets.filter { isMeant(row, by: $0) }.map { judged($0, row) }.joined(separator: "; ")]
    return "| \(cells.joined(separator: " | ")) |"
  }

  /// The named peer's row, or that of the peer beside which ours looks worst, which is the best of them.
  private func isMeant(_ row: RaceRow, by target: LoadTarget) -> Bool {
    guard row.peer != RaceRow.control else { return false }
    if let peer = target.peer { return row.peer == peer }
    let others = filter { ![RaceRow.control, Relay.lookedAt].contains($0.peer) }
    let ratios = others.map { ($0.peer, $0.ratio(of: target.figure)?.median ?? 0) }
    return ratios.max { $0.1 < $1.1 }?.0 == row.peer
  }

  private func judged(_ target: LoadTarget, _ row: RaceRow) -> String {
    let who = target.peer == nil ? "\(target.figure.rawValue) of the best" : target.figure.rawValue
    guard let ratio = row.ratio(of: target.figure) else { return "\(who): not counted" }
    switch target.limit {
    case .atMost(let limit): return "\(who) <= \(limit): \(Judgement(ratio, atMost: limit))"
    case .atLeast(let limit): return "\(who) >= \(limit): \(Judgement(ratio, atLeast: limit))"
    case .notWorse: return "\(who) not worse: \(row.verdict == .lost ? "missed" : "met")"
    case .notBetter: return "\(who) unchanged: \(row.verdict == .won ? "missed" : "met")"
    }
  }
}

extension RaceRow {
  static let control = "itself"

  fileprivate var callRatio: Double? { calls.flatMap { $0.a > 0 ? $0.b / $0.a : nil } }

  fileprivate func ratio(of figure: LoadTarget.Figure) -> Interval? {
    switch figure {
    case .cpu: cpu
    case .rate: rate
    case .p99: p99
    case .calls: callRatio.map { Interval(low: $0, median: $0, high: $0) }
    }
  }
}
