// A copy, planned and carried out: open the source, open the sinks, let the library move the bytes, report.
//
// Everything that can be checked is checked, then all is opened, then what moves the bytes is made, then programs are run, and then files
// are emptied; threads begin last. A sink that may be slow has no part in that: it is opened beside the running copy.

import CSplice
import Splice
import SystemPackage

/// What is to be done.
struct CopyPlan: Sendable {
  let source: Endpoint
  let sinks: [SinkPlan]
  let limit: UInt64
  let offset, sinkOffset: Int64?
  let resumes: Bool
  let overwrites: Stretch.Overwriting
  let pipeSize: Int
  let buffer: Int?
  let alignment: Int
  let syncs: Bool
  let progress: ProgressMode
  let moves: MannerOptions.Plan
  let reports: ReportOptions.Plan

  /// Does it, says what went wrong, and answers with the status to exit with.
  func run() -> Status {
    let stop = Signals.begin()
    let manner = OpenEndpoint.Manner(
      poll: BlockingWait(orStoppedBy: stop), idle: moves.idle, explains: reports.explains, pipeSize: pipeSize)
    var report = Report(source: source, sinks: sinks)
    var ends: [OpenEndpoint] = []
    var hasBegun = false
    do throws(Failure) {
      let (from, to) = try open(&ends, manner)
      let occupied = OccupiedFiles()
      for end in ends { try occupied.add(end) }
      var stretch = try Stretch(self, from, to)
      for end in to { try stretch.mayOverwrite(end) }
      var between = try makeBuffer()
      var pipe = between == nil ? try makePipe(stretch) : nil
      let spread = isAlone ? nil : try makeSpread(stretch, occupied, manner)
      try OpenEndpoint.runPrograms(ends, manner)
      hasBegun = true
      try stretch.begin(to)
      if let spread {
        try move(stretch, through: spread, between.take(), from, to, manner, &report)
      } else {
        try move(stretch, between.take(), &pipe, from, to[0], stop, &report)
        if report.received < stretch.limit, let failure = from.reap(mayLoseReader: false, manner) {
          throw failure
        }
        try to[0].closeSink(synchronized: syncs, waitingIn: manner.lastWords)
      }
      stretch.remarkIfPastTheEnd(from, &report)
    } catch { report.add(error) }
    if !hasBegun { for end in ends { end.undo() } }
    finish(ends, manner, &report)
    return report.finish(reports)
  }

  /// Opens the source and the sinks that are waited for, and checks that they are what the options need.
  private func open(
    _ ends: inout [OpenEndpoint], _ manner: OpenEndpoint.Manner
  ) throws(Failure) -> (from: OpenEndpoint, to: [OpenEndpoint]) {
    let from = try source.begin(.source, manner)
    ends.append(from)
    if offset != nil { try from.mustBeSeekable("--offset") }
    var to: [OpenEndpoint] = []
    for sink in sinks where sink.policy == .wait {
      let end = try sink.endpoint.begin(.sink, manner)
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
    try OpenEndpoint.settle(ends, manner)
    return (from, to)
  }

  /// What one sink is spliced to through, unless it is in memory where none is to be had. From file to file it is only made beforehand where
  /// nothing else will do.
  private func makePipe(_ stretch: Stretch) throws(Failure) -> SplicePipe? {
    guard isAlone, !stretch.isFromFileToFile || moves.via == .splice else { return nil }
    do throws(Errno) { return try SplicePipe.make(for: moves.via, capacity: pipeSize) } catch {
      throw Failure(using: "pipe", error)
    }
  }

  /// Whether there is one sink, which is waited for, and a descriptor.
  private var isAlone: Bool {
    sinks.count == 1 && sinks[0].policy == .wait && !sinks[0].endpoint.place.isDigest
  }

  /// Closes what is open still, after a failure the sink as well, and waits for programs.
  private func finish(_ ends: [OpenEndpoint], _ manner: OpenEndpoint.Manner, _ report: inout Report) {
    let lastWords = manner.lastWords
    for end in ends {
      end.closeSource()
      end.abortSink(report.failures, waitingIn: lastWords)
    }
    for end in ends {
      if let failure = end.reap(mayLoseReader: end.role == .source, manner) { report.add(failure) }
    }
  }
}

// MARK: - Moving

extension CopyPlan {
  private func move(
    _ stretch: Stretch, _ between: consuming Buffer?, _ pipe: inout SplicePipe?, _ from: OpenEndpoint,
    _ to: OpenEndpoint, _ stop: StopFlag?, _ report: inout Report
  ) throws(Failure) {
    let display = Display(
      progress, total: stretch.promised ?? stretch.diskSize,
      dataIsOnTerminal: from.source.kind == .terminal || to.sink.kind == .terminal)
    var watch = Watch(display, idle: moves.idle, pause: moves.pause)
    let (outcome, received) =
      if let buffer = between {
        try fill(buffer, stretch, from, to, &watch, stop, &report)
      } else if let places = stretch.places {
        copy(stretch, places, through: &pipe, from, to, &watch, stop, &report)
      } else {
        try splice(stretch, through: &pipe, from, to, &watch, stop, &report)
      }
    if case .failed(.sink(.brokenPipe)) = outcome, sinks[0].endpoint.place == .standard {
      report.lostReader = true
    }
    if let failure = outcome.failure(from: source, to: sinks[0].endpoint, idle: moves.idle) { throw failure }
    if let missing = stretch.missing(after: received, from) {
      throw Failure(source, .source, "read", .truncated(missing: missing), .failedUnderWay)
    }
  }

  /// From file to file, holes and all.
  private func copy(
    _ stretch: Stretch, _ places: Stretch.Places, through pipe: inout SplicePipe?, _ from: OpenEndpoint,
    _ to: OpenEndpoint, _ watch: inout Watch, _ stop: StopFlag?, _ report: inout Report
  ) -> (Watch.Outcome, received: UInt64) {
    var copy = FileCopy(
      from: places.source, to: places.sink, upTo: stretch.limit, options: moves.options())
    let outcome = watch.run(stoppedBy: stop) { poll in
      do throws(SpliceError) {
        try copy.run(from: from.source, to: to.sink, through: &pipe, pipeSize: pipeSize, waitingIn: poll)
        return Standing(error: nil, moved: copy.paths.total)
      } catch { return Standing(error: error, moved: copy.paths.total) }
    }
    // Those who share the files go on behind the last byte.
    from.withSource { _ = try? Syscall.lseek($0, to: copy.sourceOffset, from: .start) }
    to.withSink { _ = try? Syscall.lseek($0, to: copy.sinkOffset, from: .start) }
    report.account(received: copy.paths, delivered: copy.paths, why: copy.why)
    return (outcome, copy.paths.total)
  }

  /// Through a pipe.
  private func splice(
    _ stretch: Stretch, through made: inout SplicePipe?, _ from: OpenEndpoint, _ to: OpenEndpoint,
    _ watch: inout Watch, _ stop: StopFlag?, _ report: inout Report
  ) throws(Failure) -> (Watch.Outcome, received: UInt64) {
    guard var pipe = made.take() else { throw Failure(using: "pipe", Errno.badFileDescriptor) }
    var flow = Flow(from: from.source, limit: stretch.limit, options: moves.options(), told: .levels)
    let outcome = watch.run(stoppedBy: stop) { poll in
      do throws(SpliceError) {
        _ = try pipe.run(&flow, from: from.source, to: to.sink, waitingIn: poll)
        return Standing(error: nil, moved: pipe.delivered)
      } catch {
        return Standing(
          error: error, moved: pipe.delivered, held: pipe.count, marks: [UInt64(to.sink.unconfirmed)])
      }
    }
    report.account(pipe, from.source, to.sink, moves.via)
    stretch.leave(from, behind: pipe.delivered, &report)
    return (outcome, pipe.received)
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
  /// Who failed, and how; nil when nobody did.
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
