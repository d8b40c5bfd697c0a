// A copy, planned and carried out: open the sources, open the sinks, let the library move the bytes, report.
//
// Everything that can be checked is checked, then all is opened, then what moves the bytes is made, then
// programs are run, and then files are emptied; threads begin last. A sink that may be slow has no part in
// that: it is opened beside the running copy.

import CSplice
import Splice
import SystemPackage

/// What is to be done.
struct CopyPlan: Sendable {
  /// Read one after the other.
  let sources: [Endpoint]
  let sinks: [SinkPlan]
  var limit = UInt64.max
  var offset, sinkOffset: Int64?
  var resumes = false
  var overwrites = SinkPlacement.Overwriting.firstSink
  var pipeSize = 1 << 20
  var buffer: Int?
  var alignment = 1
  var syncs = false
  var progress = ProgressMode.auto
  var total: UInt64?
  var moves = MoveOptions.Plan()
  var reports = ReportOptions.Plan()

  /// Does it, says what went wrong, and answers with the status to exit with.
  func run() -> Status {
    let stop = Signals.begin()
    let options = OpenEndpoint.Options(
      poll: BlockingWait(orStoppedBy: stop), idle: moves.idle, explains: reports.explains, pipeSize: pipeSize)
    var report = Report(
      sources: sources, sinks: sinks, isPart: limit < .max || offset.map { $0 != 0 } == true)
    var ends: [OpenEndpoint] = []
    var hasBegun = false
    do throws(Failure) {
      let (from, to) = try open(&ends, options)
      let occupied = OccupiedFiles()
      for end in ends { try occupied.add(end) }
      var range = try CopyRange(self, from, to)
      for end in to { try range.placement.mayOverwrite(end) }
      var between = try makeBuffer()
      var pipe = between == nil ? try makePipe(range) : nil
      let spread = isAlone ? nil : try makeSpread(range, occupied, options)
      try OpenEndpoint.runPrograms(ends, options)
      hasBegun = true
      try range.begin(to)
      if let spread {
        try move(range, through: spread, between.take(), to, options, &report)
      } else {
        let received = try move(range, between.take(), &pipe, to[0], stop, &report)
        for ended in range.ended(after: received) {
          if let failure = ended.source.reap(mayLoseReader: false, options) { throw failure }
        }
        try to[0].closeSink(synchronized: syncs, waitingIn: options.lastWords)
      }
      if offset != nil, report.received == 0, let pastTheEnd = range.sources[0].pastTheEnd {
        report.remark("seek", pastTheEnd)
      }
    } catch { report.add(error) }
    if !hasBegun { OpenEndpoint.undo(ends) }
    finish(ends, options, &report)
    return report.finish(reports)
  }

  /// Opens the sources and the sinks that are waited for, and checks that they are what the options need.
  private func open(
    _ ends: inout [OpenEndpoint], _ options: OpenEndpoint.Options
  ) throws(Failure) -> (from: [OpenEndpoint], to: [OpenEndpoint]) {
    for source in sources { ends.append(try source.begin(.source, options)) }
    let from = ends
    if offset != nil { try from[0].mustBeSeekable("--offset") }
    var to: [OpenEndpoint] = []
    for sink in sinks where sink.policy == .wait {
      let end = try sink.endpoint.begin(.sink, options)
      ends.append(end)
      to.append(end)
    }
    // One of them is enough, and one that is opened later may be the one.
    if !sinks.contains(where: { $0.policy != .wait && $0.endpoint.mayBeFile }) {
      if sinkOffset != nil {
        try OpenEndpoint.oneOf(to) { end throws(Failure) in try end.mustBeSeekable("--sink-offset") }
      }
      if syncs { try OpenEndpoint.oneOf(to) { end throws(Failure) in try end.mustBeSynchronizable() } }
    }
    try OpenEndpoint.settle(ends, options)
    return (from, to)
  }

  /// What one sink is spliced to through, unless it is in memory where none is to be had. From file to file
  /// it is only made beforehand where nothing else will do.
  private func makePipe(_ range: CopyRange) throws(Failure) -> SplicePipe? {
    guard isAlone, !range.isFromFileToFile || moves.via == .splice else { return nil }
    do throws(Errno) { return try SplicePipe.make(for: moves.via, capacity: pipeSize) } catch {
      throw Failure(using: "pipe", error)
    }
  }

  /// Whether there is one sink, which is waited for, and a descriptor.
  private var isAlone: Bool {
    sinks.count == 1 && sinks[0].policy == .wait && !sinks[0].endpoint.place.isDigest
  }

  /// Closes what is open still, after a failure the sink as well, and waits for programs.
  private func finish(_ ends: [OpenEndpoint], _ options: OpenEndpoint.Options, _ report: inout Report) {
    let lastWords = options.lastWords
    for end in ends {
      end.closeSource()
      end.abortSink(report.failures, waitingIn: lastWords)
    }
    for end in ends {
      if let failure = end.reap(mayLoseReader: end.role == .source, options) { report.add(failure) }
    }
  }
}

// MARK: - Moving

extension CopyPlan {
  private func move(
    _ range: CopyRange, _ between: consuming Buffer?, _ pipe: inout SplicePipe?, _ to: OpenEndpoint,
    _ stop: StopFlag?, _ report: inout Report
  ) throws(Failure) -> [UInt64] {
    var watch = watch(range, [to])
    let (outcome, received) =
      if let buffer = between {
        try fill(buffer, range, to, &watch, stop, &report)
      } else if let places = range.places {
        copy(range, places, through: &pipe, to, &watch, stop, &report)
      } else {
        try splice(range, through: &pipe, to, &watch, stop, &report)
      }
    if case .failed(.sink(.brokenPipe)) = outcome, sinks[0].endpoint.place == .standard {
      report.lostReader = true
    }
    let source = sources[received.count - 1]
    if let failure = outcome.failure(from: source, to: sinks[0].endpoint, idle: moves.idle) { throw failure }
    try range.mustBeWhole(after: received)
    return received
  }

  /// Shows progress, unless the data itself goes to or comes from a terminal.
  func watch(_ range: CopyRange, _ to: [OpenEndpoint]) -> Watch {
    let display = Display(
      progress, total: range.size ?? total,
      dataIsOnTerminal: range.sources.contains { $0.source.sourceKind == .terminal }
        || to.contains { $0.sinkKind == .terminal })
    return Watch(display, idle: moves.idle, pause: moves.pause)
  }

  /// From file to file, holes and all.
  private func copy(
    _ range: CopyRange, _ places: CopyRange.Places, through pipe: inout SplicePipe?, _ to: OpenEndpoint,
    _ watch: inout Watch, _ stop: StopFlag?, _ report: inout Report
  ) -> (Watch.Outcome, received: [UInt64]) {
    let from = range.sources[0].source
    var copy = FileCopy(
      from: places.source, to: places.sink, upTo: range.limit, options: moves.options())
    let outcome = watch.run(stoppedBy: stop) { poll in
      do throws(SpliceError) {
        try copy.run(from: from.source, to: to.sink, through: &pipe, pipeSize: pipeSize, waitingIn: poll)
        return Progress(error: nil, moved: copy.paths.total)
      } catch { return Progress(error: error, moved: copy.paths.total) }
    }
    // Those who share the files go on behind the last byte.
    from.withSource { _ = try? Syscall.lseek($0, to: copy.sourceOffset, from: .start) }
    to.withSink { _ = try? Syscall.lseek($0, to: copy.sinkOffset, from: .start) }
    report.account(received: [copy.paths], delivered: copy.paths, why: copy.why)
    return (outcome, [copy.paths.total])
  }

  /// Through a pipe.
  private func splice(
    _ range: CopyRange, through made: inout SplicePipe?, _ to: OpenEndpoint, _ watch: inout Watch,
    _ stop: StopFlag?, _ report: inout Report
  ) throws(Failure) -> (Watch.Outcome, received: [UInt64]) {
    guard var pipe = made.take() else { throw Failure(using: "pipe", Errno.badFileDescriptor) }
    let from = range.sources[0].source
    var flow = Flow(from: from.source, limit: range.limit, options: moves.options(), told: .levels)
    let outcome = watch.run(stoppedBy: stop) { poll in
      do throws(SpliceError) {
        _ = try pipe.run(&flow, from: from.source, to: to.sink, waitingIn: poll)
        return Progress(error: nil, moved: pipe.delivered)
      } catch {
        return Progress(
          error: error, moved: pipe.delivered, held: pipe.count, marks: [to.unconfirmed])
      }
    }
    report.account(pipe, from, to, moves.via)
    leave(range, behind: pipe.delivered, of: [pipe.received], &report)
    return (outcome, [pipe.received])
  }

  /// Leaves sources behind what sinks have taken of them.
  func leave(_ range: CopyRange, behind moved: UInt64, of received: [UInt64], _ report: inout Report) {
    range.leave(behind: moved, of: received)
    if range.sources.contains(where: { $0.source.sourceKind == .regularFile }) {
      report.limit(received: moved)
    }
  }
}

extension FileCopy {
  /// Why the kernel did not copy it by itself, where that is so.
  fileprivate var why: String {
    paths.splice + paths.copy == 0
      ? ""
      : refusals.sorted { $0.key.rawValue < $1.key.rawValue }.map {
        "\($0.key.rawValue) refused: \($0.value)"
      }
      .joined(separator: ", ")
  }
}

extension Watch.Outcome {
  /// Who failed, and how; nil when none did.
  func failure(from source: Endpoint, to sink: Endpoint, idle: Span?) -> Failure? {
    switch self {
    case .finished: nil
    case .failed(let error):
      switch error {
      case .sink: Failure(sink, .sink, "write", error, .failedUnderWay)
      case .pipe: Failure(using: "pipe", error)
      case .source, .truncated, .cancelled, .timedOut:
        Failure(source, .source, "read", error, .failedUnderWay)
      }
    case .idle(.source): Failure(source, .source, "read", nothing: "no byte", for: idle)
    case .idle(.sink): Failure(sink, .sink, "write", nothing: "no byte", for: idle)
    }
  }
}
