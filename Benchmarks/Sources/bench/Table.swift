// Outcomes as Markdown: a line about the machine, one row each, and the same between two marker comments in a
// file, where everything outside the markers stays as it is.

import Foundation

func table(_ outcomes: [Outcome], pairs: Int, meter: Meter?) -> String {
  let head = [
    machine(pairs: pairs, meter: meter), "",
    "| row | A | B | CPU B/A | control A/A | verdict | throughput B/A | calls A | calls B | calls B/A | target |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
  ]
  return (head + outcomes.map(\.line)).joined(separator: "\n") + "\n"
}

/// Where and when it was measured.
func machine(pairs: Int, meter: Meter?) -> String {
  let cores = ProcessInfo.processInfo.activeProcessorCount
  let counter = meter.map { "system calls by \($0)" } ?? "system calls not counted"
  return "Linux \(kernel()), \(cpuModel()), \(cores) cores, \(today()), \(pairs) pairs, \(counter)."
}

/// Puts the text between the markers of a section of a file; a file that does not exist yet becomes just that.
func replaceSection(_ name: String, of path: String, with text: String) throws {
  let markers = (begin: "<!-- \(name):begin -->", end: "<!-- \(name):end -->")
  let section = "\(markers.begin)\n\(text)\(markers.end)"
  guard FileManager.default.fileExists(atPath: path) else {
    return try (section + "\n").write(toFile: path, atomically: true, encoding: .utf8)
  }
  var whole = try String(contentsOfFile: path, encoding: .utf8)
  guard let begin = whole.range(of: markers.begin),
    let end = whole.range(of: markers.end, range: begin.upperBound..<whole.endIndex)
  else { throw Failure("\(path): no \(markers.begin) ... \(markers.end)") }
  whole.replaceSubrange(begin.lowerBound..<end.upperBound, with: section)
  try whole.write(toFile: path, atomically: true, encoding: .utf8)
}

extension Outcome {
  fileprivate var line: String {
    let unit = row.job.amount.name
    let counted = calls.map { ["\($0.a.short)/\(unit)", "\($0.b.short)/\(unit)", callRatio?.fixed ?? "-"] }
    let cells =
      [row.name, a.name, b.name, cpu.text, control.text, verdict.rawValue, throughput.text]
      + (counted ?? ["-", "-", "-"]) + [targetText]
    return "| \(cells.joined(separator: " | ")) |"
  }

  private var callRatio: Double? { calls.flatMap { $0.a > 0 ? $0.b / $0.a : nil } }

  /// Each limit with its judgement, so that a target is never met by not being measured.
  private var targetText: String {
    let ofCPU = row.target.cpu.map { "CPU <= \($0): \(Judgement(cpu, atMost: $0))" }
    let ofCalls = row.target.calls.map { limit in
      let judgement = callRatio.map { $0 <= limit ? Judgement.met : .missed }
      return "calls <= \(limit): \(judgement?.rawValue ?? "not counted")"
    }
    let ofThroughput = row.target.throughput.map {
      "throughput >= \($0): \(Judgement(throughput, atLeast: $0))"
    }
    return [ofCPU, ofCalls, ofThroughput].compactMap { $0 }.joined(separator: "; ")
  }

  /// For whoever watches: absolute figures, which the table leaves out.
  var summary: String {
    "\(row.id): \(verdict), CPU B/A \(cpu.text), control \(control.text), "
      + "CPU per \(row.job.amount.name) \(cost.a.micro) and \(cost.b.micro)"
  }
}

extension Double {
  var short: String { String(format: self < 100 ? "%.2f" : "%.0f", self) }
  fileprivate var micro: String {
    self < 1e-3 ? String(format: "%.1f us", self * 1e6) : String(format: "%.3f s", self)
  }
}

private func kernel() -> String {
  ((try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)) ?? "?")
    .trimmingCharacters(in: .whitespacesAndNewlines)
}

private func cpuModel() -> String {
  let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
  let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
  return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown CPU"
}

private func today() -> String {
  let formatter = DateFormatter()
  formatter.dateFormat = "yyyy-MM-dd"
  return formatter.string(from: Date())
}
