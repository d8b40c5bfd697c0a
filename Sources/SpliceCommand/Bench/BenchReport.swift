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

  /// Of what machine the figures are.
  private var machine: String {
    let kernel = (try? Syscall.uname()).map { "Linux \($0.release)" } ?? "Linux"
    let processor =
      ProcText("/proc/cpuinfo")?.value(of: "model name\t") ?? (try? Syscall.uname().machine)
      ?? "unknown processor"
    let cores = sysconf(CInt(_SC_NPROCESSORS_ONLN))
    return "\(kernel), \(processor), \(cores) cores, \(CalendarTime.now.utc.prefix(10))"
  }
}

// MARK: - For people

extension BenchReport {
  var text: String {
    let columns = (try? Syscall.columns(of: .standardOutput)).flatMap { $0 > 0 ? $0 : nil } ?? 100
    var text = [machine, ""]
    if columns >= 78 { text.append(row("splice beside copying", "CPU", "throughput", "verdict")) }
    for line in lines {
      switch line.outcome {
      case .failed(let why): text.append("\(line.job.name): not measured: \(why)")
      case .measured(let result, _, _):
        if columns >= 78 {
          text.append(row(line.job.name, result.cpu.text, result.throughput.text, line.verdict))
        } else {
          text.append("\(line.job.name): \(line.verdict)")
        }
      }
    }
    text += [
      "",
      columns >= 78
        ? "1 is what copying takes, and does; in brackets the interval that holds the true one (95 %)." : "",
    ]
    text += lines.compactMap(\.advice)
    return text.joined(separator: "\n")
  }

  private func row(_ name: String, _ cpu: String, _ throughput: String, _ verdict: String) -> String {
    name.padded(to: 24) + cpu.padded(to: 20) + throughput.padded(to: 20) + verdict
  }
}

extension String {
  fileprivate func padded(to columns: Int) -> String {
    self + String(repeating: " ", count: max(1, columns - count))
  }
}

extension BenchReport.Line {
  fileprivate var verdict: String {
    guard case .measured(let result, _, _) = outcome else { return "not measured" }
    return switch result.verdict {
    case .won: "splicing won"
    case .lost: "copying won"
    case .undecided: "undecided"
    }
  }

  /// What follows.
  fileprivate var advice: String? {
    guard case .measured(let result, _, _) = outcome else { return nil }
    return "\(job.name): \(result.verdict == .won ? job.advice.won : job.advice.lost)"
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
  /// Whether it could be written; says what was wrong with that.
  func write(chart path: String) -> Bool {
    let bars = lines.compactMap { line -> BarChart.Bar? in
      guard case .measured(let result, _, _) = line.outcome else { return nil }
      return BarChart.Bar(label: line.job.name, value: result.cpu, verdict: result.verdict)
    }
    let chart = BarChart(
      title: "CPU time of splicing, where copying takes 1 (less is better)", bars: bars, footer: machine)
    do throws(Errno) {
      let path = FilePath(bytes: path.carriedBytes)
      let file = Held(try Syscall.open(path, flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o666))
      var rest = Array(chart.svg.utf8)[...]
      while !rest.isEmpty {
        let part = Array(rest)
        rest = rest.dropFirst(try file.lend { file throws(Errno) in try Syscall.write(file, part) })
      }
      return true
    } catch {
      StandardDescriptors.complain("splice: \(path.escapedName): write: \(error)")
      return false
    }
  }
}
