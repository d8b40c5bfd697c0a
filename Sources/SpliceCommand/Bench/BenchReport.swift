// What `splice bench` has measured: a table for people, an object for machines, a chart for both.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

struct BenchReport {
  struct Line {
    let job: BenchJob
    let outcome: Outcome
  }

  enum Outcome {
    /// So much of it, in so many rounds.
    case measured(Rounds.Result, amount: Int, rounds: Int)
    case failed(String)
  }

  var lines: [Line] = []

  /// Whether nothing was measured.
  var isEmpty: Bool { !lines.contains { if case .measured = $0.outcome { true } else { false } } }

  /// Of what machine the figures are.
  private var machine: String {
    let kernel = (try? Syscall.uname()).map { "Linux \($0.release)" } ?? "Linux"
    let processor =
      ProcText("/proc/cpuinfo")?.value(of: "model name") ?? (try? Syscall.uname().machine)
      ?? "unknown processor"
    let cores = sysconf(CInt(_SC_NPROCESSORS_ONLN))
    return "\(kernel), \(processor), \(cores) cores, \(CalendarTime.now.utc.prefix(10))"
  }
}

// MARK: - For people

extension BenchReport {
  /// For a terminal of so many columns.
  func text(columns: Int) -> String {
    let isWide = columns >= 80
    var text = [machine, ""]
    if isWide { text.append(row("splice beside copying", "CPU", "throughput", "verdict")) }
    for line in lines {
      if case .measured(let result, _, _) = line.outcome, isWide {
        text.append(row(line.job.name, result.cpu.text, result.throughput.text, line.verdict))
      } else {
        text.append("\(line.job.name): \(line.verdict)")
      }
    }
    if isWide {
      text += ["", "1 is what copying takes, and does; the true value is in the brackets (95 %)."]
    }
    text += [""] + lines.compactMap(\.advice)
    return text.flatMap { $0.wrapped(to: columns, indent: 2) }.joined(separator: "\n")
  }

  private func row(_ name: String, _ cpu: String, _ throughput: String, _ verdict: String) -> String {
    name.padded(to: 24) + cpu.padded(to: 20) + throughput.padded(to: 23) + verdict
  }
}

extension String {
  fileprivate func padded(to columns: Int) -> String {
    self + String(repeating: " ", count: max(1, columns - count))
  }
}

extension BenchReport.Line {
  fileprivate var verdict: String {
    switch outcome {
    case .failed(let why): "not measured: \(why)"
    case .measured(let result, _, _):
      switch result.verdict {
      case .won: "splicing won"
      case .lost: "copying won"
      case .undecided: "undecided"
      }
    }
  }

  /// What follows.
  fileprivate var advice: String? {
    guard case .measured(let result, _, _) = outcome else { return nil }
    return switch result.verdict {
    case .won: "\(job.name): \(job.advice.won)"
    case .lost: "\(job.name): \(job.advice.lost)"
    case .undecided: "\(job.name): no verdict; more --time, or a quieter machine, may have one"
    }
  }
}

// MARK: - For machines

extension BenchReport {
  var json: String {
    JSON.object([
      ("machine", JSON.quoted(machine)), ("jobs", JSON.array(lines.map(\.json))),
    ])
  }
}

extension BenchReport.Line {
  fileprivate var json: String {
    let name = ("name", JSON.quoted(job.name))
    switch outcome {
    case .failed(let why): return JSON.object([name, ("verdict", "null"), ("reason", JSON.quoted(why))])
    case .measured(let result, let amount, let rounds):
      let units = job.units(amount)
      func side(_ cost: Cost) -> String {
        JSON.object([
          ("cpuSecondsPerUnit", "\(cost.cpu / units)"), ("unitsPerSecond", "\(units / cost.wall)"),
        ])
      }
      return JSON.object([
        name, ("verdict", JSON.quoted(result.verdict.rawValue)), ("unit", JSON.quoted(job.unit.rawValue)),
        ("rounds", "\(rounds)"), ("cpu", result.cpu.json), ("control", result.control.json),
        ("throughput", result.throughput.json), ("copying", side(result.yardstick)),
        ("splicing", side(result.challenger)),
      ])
    }
  }
}

extension Interval {
  fileprivate var json: String {
    JSON.object([("low", "\(low)"), ("median", "\(median)"), ("high", high.isFinite ? "\(high)" : "null")])
  }
}

// MARK: - The chart

extension BenchReport {
  var chart: BarChart {
    let bars = lines.compactMap { line -> BarChart.Bar? in
      guard case .measured(let result, _, _) = line.outcome else { return nil }
      return BarChart.Bar(label: line.job.name, value: result.cpu, verdict: result.verdict)
    }
    return BarChart(
      title: "CPU time of splicing, where copying takes 1 (less is better)", bars: bars, footer: machine)
  }
}

/// The file a chart is written into: opened before anything is measured, and replaced at the end.
struct ChartFile {
  private let path: String
  private let file: Held
  /// Whether it was made here.
  private let isNew: Bool

  /// Throws for what cannot be written to, or is no file.
  init(_ path: String) throws(Failure) {
    self.path = path
    let flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY
    let name = FilePath(bytes: path.carriedBytes)
    do throws(Errno) {
      if let new = try? Held(Syscall.open(name, flags: flags | O_EXCL, mode: 0o666)) {
        (file, isNew) = (new, true)
      } else {
        (file, isNew) = (Held(try Syscall.open(name, flags: flags, mode: 0o666)), false)
      }
      let type = try file.lend { file throws(Errno) in try Syscall.fstat(file).type }
      if type != S_IFREG { throw .invalidArgument }
    } catch { throw Failure(path, "open", error, .noSink) }
  }

  func write(_ chart: BarChart) throws(Failure) {
    do throws(Errno) {
      try file.lend { file throws(Errno) in
        try Syscall.ftruncate(file, to: 0)
        try file.write(all: Array(chart.svg.utf8)[...])
      }
    } catch { throw Failure(path, "write", error, .failedUnderWay) }
  }

  /// What was made for a chart that does not come goes again.
  func discard() { if isNew { try? Syscall.unlink(FilePath(bytes: path.carriedBytes)) } }
}
