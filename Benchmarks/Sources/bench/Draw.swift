// The chart of the README, from the table in docs/benchmarks.md: the table is made by `bench run`, and this reads it.

import Foundation

/// Rows that are drawn: what they are about, and by what they are found in the table.
private let drawn = [
  ("a file over TCP", "send", "socat", "splice FILE tcp:"),
  ("a file over TCP", "send", "pv", "splice FILE tcp:"),
  ("from TCP to a file", "receive", "ncat", "splice tcp: -"),
  ("pipe to pipe", "command", "pv", "splice FILE -"),
  ("a sparse file", "copy-sparse", "cp", "splice FILE NEW"),
  ("one pipe to four", "fan-pipe-4", "tee", "mover fan"),
  ("one pipe to four", "fan-pipe-4", "c-fan-splice", "mover fan"),
  ("messages both ways", "ping-pong", "c-relay-epoll", "mover duplex"),
]

private let loops = ["c-fan-splice": "a loop in C", "c-relay-epoll": "a loop in C"]

/// The chart of a page's table.
func chart(of page: String) throws -> String {
  let parts = page.components(separatedBy: "<!-- bench:begin -->\n")
  guard parts.count == 2, let table = parts[1].components(separatedBy: "<!-- bench:end -->").first else {
    throw Failure("no table of `bench run` in the page")
  }
  let lines = table.components(separatedBy: "\n")
  let rows = lines.compactMap(TableRow.init)
  let bars = try drawn.map { what, name, a, b in
    guard let row = rows.first(where: { $0.name == name && $0.a.hasPrefix(a) && $0.b.hasPrefix(b) }) else {
      throw Failure("\(name): no row of \(a) and \(b) in the table")
    }
    let peer = loops.first { row.a.hasPrefix($0.key) }?.value ?? row.a
    return BarChart.Bar(label: what, beside: "beside \(peer)", value: row.cpu, verdict: row.verdict)
  }
  return BarChart(
    title: "CPU time of splice, where the peer takes 1 (less is better)", bars: bars, footer: lines[0]
  ).svg
}

/// A line of the table.
private struct TableRow {
  let name, a, b: String
  let cpu: Interval
  let verdict: Verdict

  /// Nil for a line that is no row.
  init?(_ line: String) {
    let bar = "\u{1}"
    let cells = line.replacing("\\|", with: bar).split(separator: "|").map {
      $0.trimmingCharacters(in: .whitespaces).replacing(bar, with: "|")
    }
    guard cells.count > 5, let cpu = Interval(cells[3]), let verdict = Verdict(rawValue: cells[5]) else {
      return nil
    }
    (name, a, b) = (cells[0], cells[1], cells[2])
    (self.cpu, self.verdict) = (cpu, verdict)
  }
}

extension Interval {
  /// As `text` writes it.
  fileprivate init?(_ text: String) {
    let numbers = text.split { !"0123456789.".contains($0) }.compactMap { Double($0) }
    guard numbers.count == 3 else { return nil }
    self.init(low: numbers[1], median: numbers[0], high: numbers[2])
  }
}
