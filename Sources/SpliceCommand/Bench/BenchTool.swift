// `splice bench`: its flags, and the rounds.

import ArgumentParser
import CSplice
import Splice
import SpliceProcess
import SystemPackage

struct BenchTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure splicing beside copying on this machine.",
    discussion: """
      Each job is done by copying, by copying again and by splicing, in turn, for about a minute in all. What two \
      runs of the same differ by is this machine's noise; splicing has won or lost where it differs by more. CPU \
      is that of what moves the bytes, from the kernel's accounting.

      splice bench --chart bench.svg
      """)

  @Flag(help: "One JSON object instead of a table.")
  var json = false

  @Option(
    help: ArgumentHelp(
      "Also write a chart, which replaces that file; - writes it to standard output, in place of the table.",
      valueName: "file.svg"))
  var chart: String?

  @Option(
    help: ArgumentHelp("About how long to measure. More rounds make intervals smaller.", valueName: "time"))
  var time = Span(.seconds(60), word: "1m")

  func validate() throws {
    if json, chart == "-" { throw ValidationError("--json and --chart - both write to standard output") }
  }

  func run() { Signals.exit(BenchPlan(writesJSON: json, chart: chart, time: time.duration).run()) }
}

/// What is to be measured.
struct BenchPlan: Sendable {
  let writesJSON: Bool
  let chart: String?
  let time: Duration

  /// For all rounds of one job.
  private var jobTime: Duration { time / BenchJob.all.count }
  /// For one run by copying, in seconds: so that there are some twenty rounds.
  private var runTime: Double { min(0.15, Double(jobTime.nanoseconds) / 1e9 / 60) }
  /// Fewer have no interval.
  private static let leastRounds = 6

  /// Measures it, says it, and answers with the status to exit with.
  func run() -> Status {
    do throws(Failure) {
      let file: ChartFile? = if let chart, chart != "-" { try ChartFile(chart) } else { nil }
      guard let report = measured() else {
        file?.discard()
        return Signals.status ?? .interrupted
      }
      try file?.write(report.chart)
      if chart == "-" { return StandardDescriptors.show(report.chart.svg, .done) }
      // Of a bench that could measure nothing there is nothing to be had but why.
      return StandardDescriptors.show(
        writesJSON ? report.json : report.text(columns: StandardDescriptors.columns),
        report.isEmpty ? .failedUnderWay : .done)
    } catch {
      StandardDescriptors.complain(error.message)
      return error.status
    }
  }

  /// Nil when a signal came.
  private func measured() -> BenchReport? {
    let calls = Calls()
    var progress = BenchProgress(jobs: BenchJob.all.count)
    defer { progress.end() }
    var report = BenchReport()
    for job in BenchJob.all {
      progress.begin(job.name)
      let areSafe = calls.missing.isEmpty
      report.lines.append(
        BenchReport.Line(
          job: job,
          outcome: areSafe ? outcome(of: job) : .failed("a system call is refused: see splice doctor")))
      if Signals.status != nil { return nil }
    }
    return report
  }

  private func outcome(of job: BenchJob) -> BenchReport.Outcome {
    do {
      let amount = try amount(of: job)
      var rounds = Rounds()
      let deadline = ContinuousClock.now + jobTime
      while rounds.count < Self.leastRounds || .now < deadline {
        if Signals.status != nil { return .failed("interrupted") }
        try rounds.add { side in try job.run(side == .challenger ? .splicing : .copying, amount) }
      }
      guard let result = rounds.result else { return .failed("it costs too little to be measured") }
      return .measured(result, amount: amount, rounds: rounds.count)
    } catch { return .failed("\(error.errno)") }
  }

  /// As much as copying takes a run's time for. This warms the caches too.
  private func amount(of job: BenchJob) throws -> Int {
    var amount = job.least
    while true {
      _ = try job.run(.splicing, amount)
      let cost = try job.run(.copying, amount)
      if cost.wall >= runTime / 2 || amount >= job.most {
        return max(job.least, min(job.most, Int(Double(amount) * runTime / cost.wall)))
      }
      amount = min(job.most, amount * 4)
    }
  }
}

/// Says on a terminal what is being measured.
private struct BenchProgress {
  private let jobs: Int
  private var job = 0
  private let isDrawn = Syscall.isTerminal(.standardError) && Syscall.environment("TERM") != "dumb"

  init(jobs: Int) { self.jobs = jobs }

  mutating func begin(_ name: String) {
    job += 1
    let line = "splice bench: \(job) of \(jobs), \(name)"
    guard isDrawn else {
      StandardDescriptors.complain(line)
      return
    }
    let columns = (try? Syscall.columns(of: .standardError)).flatMap { $0 > 0 ? $0 : nil } ?? 80
    draw("\r\(line.prefix(columns - 1))\u{1b}[K")
  }

  /// Leaves the line empty.
  func end() { if isDrawn { draw("\r\u{1b}[K") } }

  private func draw(_ text: String) { StandardDescriptors.write(Array(text.utf8), patiently: false) }
}
