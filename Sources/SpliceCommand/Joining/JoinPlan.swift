// A join, planned and carried out: open both, run both directions until one ends, pass that end on, let the
// other finish.

import Splice
import SystemPackage

/// What is to be done.
struct JoinPlan: Sendable {
  let first, second: Endpoint
  let halfCloseTimeout: Span
  let moves: MoveOptions.Plan
  let reports: ReportOptions.Plan

  /// Does it, says what went wrong, and answers with the status to exit with.
  func run() -> Status {
    let stop = Signals.begin()
    let options = OpenEndpoint.Options(
      poll: BlockingWait(orStoppedBy: stop), idle: moves.idle, explains: reports.explains)
    var report = JoinReport(first, second)
    var ends: [OpenEndpoint] = []
    do throws(Failure) {
      for endpoint in [first, second] { ends.append(try endpoint.begin(.both, options)) }
      try OpenEndpoint.settle(ends, options)
      let occupied = OccupiedFiles()
      for end in ends { try occupied.addSource(end) }
      for end in ends { try occupied.addSink(end) }
      try OpenEndpoint.runPrograms(ends, options)
      if try move(ends[0], ends[1], options, &report) == .whole {
        for end in ends { try end.closeSink(waitingIn: BlockingWait(until: .now)) }
      }
    } catch { report.add(error) }
    // Of what was cut off, neither side may take it for finished.
    let lastWords = options.lastWords
    for end in ends {
      end.closeSource()
      end.abortSink(report.failures, waitingIn: lastWords)
    }
    for end in ends {
      if let failure = end.reap(mayLoseReader: true, options) { report.add(failure) }
    }
    return report.finish(reports)
  }
}

// MARK: - Moving

extension JoinPlan {
  /// How long after the end of its output a program is waited for before that end is passed on: one that has
  /// crashed has exited by then, and one that lives on has only closed its output.
  private static let exitTime = Duration.seconds(1)

  private func move(
    _ one: OpenEndpoint, _ two: OpenEndpoint, _ options: OpenEndpoint.Options, _ report: inout JoinReport
  ) throws(Failure) -> Ending {
    var duplex = Duplex()
    let files = Files(
      forward: try SourceRange(one, skipping: 0, upTo: .max),
      backward: try SourceRange(two, skipping: 0, upTo: .max))
    defer {
      report.forward.account(duplex.forward, one, two, moves.via)
      report.backward.account(duplex.backward, two, one, moves.via)
      // What no sink has accepted of a file is there for the next command.
      if one.giveBack(UInt64(duplex.forward.count)) {
        report.forward.limit(received: duplex.forward.delivered)
      }
      if two.giveBack(UInt64(duplex.backward.count)) {
        report.backward.limit(received: duplex.backward.delivered)
      }
    }
    let flows = Duplex.Flows(
      forward: Flow(from: one.source, limit: .max, options: moves.options(), told: .levels),
      backward: Flow(from: two.source, limit: .max, options: moves.options(), told: .levels),
      waitedFor: Duplex.Keys(polling: one.source, two.sink, two.source, one.sink))
    var ended = Duplex.Direction.forward
    var failed: Duplex.Direction?
    var watch = Watch(Display(.never, total: nil), idle: moves.idle, pause: moves.pause)
    let outcome = watch.run(stoppedBy: options.poll.stop) { poll in
      do throws(Duplex.Failure) {
        ended = try duplex.run(
          flows, from: one.source, to: two.sink, from: two.source, to: one.sink, waitingIn: poll)
        return duplex.progress(nil, one, two)
      } catch {
        failed = error.direction
        return duplex.progress(error.error, one, two)
      }
    }
    try check(outcome, failed ?? .forward, idle: moves.idle)
    if let refusal = flows.refusal {
      // Who takes no more has left, and what it had said before arrives all the same.
      let left = ended == .forward ? two : one
      do throws(Failure) { try check(.failed(refusal.error), ended, idle: nil) } catch {
        // Who writes to our standard input is somebody else than who read our standard output.
        if left.endpoint.place == .standard, left.sinkKind == .pipe { throw error }
        report.add(error)
      }
      (ended == .forward ? one : two).refuseSource()
      _ = try alone(ended.other, &duplex, flows, files, one, two, options, &report)
      return .cutOff
    }
    try files.mustBeWhole(ended, duplex)
    let poll = BlockingWait(until: .now + Self.exitTime, orStoppedBy: options.poll.stop)
    if let failure = try? (ended == .forward ? one : two).confirmEnd(waitingIn: poll) { throw failure }
    return try alone(ended.other, &duplex, flows, files, one, two, options, &report)
  }

  /// What the two sources have promised, where they are files.
  private struct Files {
    let forward, backward: SourceRange

    /// Throws when the source of a direction that has ended has kept back something of it.
    func mustBeWhole(_ direction: Duplex.Direction, _ duplex: borrowing Duplex) throws(Failure) {
      switch direction {
      case .forward: try forward.mustBeWhole(after: duplex.forward.received)
      case .backward: try backward.mustBeWhole(after: duplex.backward.received)
      }
    }
  }

  /// How both directions have ended.
  private enum Ending {
    /// By the ends of their sources.
    case whole
    /// One of them was idle for the time that is given to it then.
    case cutOff
  }

  /// What is left of one direction once the other has ended.
  private func alone(
    _ direction: Duplex.Direction, _ duplex: inout Duplex, _ flows: Duplex.Flows, _ files: Files,
    _ one: OpenEndpoint, _ two: OpenEndpoint, _ options: OpenEndpoint.Options, _ report: inout JoinReport
  ) throws(Failure) -> Ending {
    let last = direction == .forward ? one : two
    // The end of the other is passed on: its sink is half-closed, or closed where it is a descriptor of its
    // own.
    // One that has failed meanwhile may have said something before, which arrives all the same.
    var isWhole = true
    do throws(Failure) { try last.passEndOn() } catch {
      report.add(error)
      isWhole = false
    }
    let isImpatient = moves.idle.map { $0.duration < halfCloseTimeout.duration } == true
    let idle = isImpatient ? moves.idle : halfCloseTimeout
    var watch = Watch(Display(.never, total: nil), idle: idle, pause: moves.pause)
    let outcome = watch.run(stoppedBy: options.poll.stop) { poll in
      do throws(SpliceError) {
        switch direction {
        case .forward:
          _ = try duplex.forward.run(
            &flows.forward, from: one.source, to: two.sink, followingSink: false, waitingIn: poll)
        case .backward:
          _ = try duplex.backward.run(
            &flows.backward, from: two.source, to: one.sink, followingSink: false, waitingIn: poll)
        }
        return duplex.progress(nil, one, two, only: direction)
      } catch { return duplex.progress(error, one, two, only: direction) }
    }
    // That the other side has nothing more to say is no failure, and no end that it has made either; the idle
    // timeout is one.
    if case .idle(.source) = outcome, !isImpatient {
      report.remark(
        direction, "read", "no byte for \(halfCloseTimeout.word) after the other direction's end, cut off")
      return .cutOff
    }
    try check(outcome, direction, idle: watch.idle)
    try files.mustBeWhole(direction, duplex)
    if let failure = last.reap(mayLoseReader: false, options) { throw failure }
    return isWhole ? .whole : .cutOff
  }

  private func check(_ outcome: Watch.Outcome, _ direction: Duplex.Direction, idle: Span?) throws(Failure) {
    let (from, to) = direction == .forward ? (first, second) : (second, first)
    if let failure = outcome.failure(from: from, to: to, idle: idle) { throw failure }
  }
}

extension Duplex {
  /// How far both are; what a direction that has ended could not hand over is not waited for.
  fileprivate func progress(
    _ error: SpliceError?, _ one: OpenEndpoint, _ two: OpenEndpoint, only: Direction? = nil
  ) -> Progress {
    let held = (only != .backward ? forward.count : 0) + (only != .forward ? backward.count : 0)
    return Progress(
      error: error, moved: forward.delivered + backward.delivered, held: held,
      marks: [one.unconfirmed, two.unconfirmed])
  }
}

/// The account of both directions.
struct JoinReport: Sendable {
  var forward, backward: Report
  private let first, second: Endpoint

  init(_ first: Endpoint, _ second: Endpoint) {
    forward = Report(sources: [first], sinks: [SinkPlan(endpoint: second)])
    backward = Report(sources: [second], sinks: [SinkPlan(endpoint: first)])
    (self.first, self.second) = (first, second)
  }

  var failures: [Failure] { forward.failures + backward.failures }

  /// Something about the source of a direction that is no failure.
  mutating func remark(_ direction: Duplex.Direction, _ act: String, _ remark: String) {
    switch direction {
    case .forward: forward.remark(act, remark)
    case .backward: backward.remark(act, remark)
    }
  }

  /// A failure belongs to the direction in which its endpoint has that role.
  mutating func add(_ failure: Failure) {
    let isBackward = failure.side != nil && failure.number == (failure.side == .sink ? first : second).number
    if isBackward { backward.add(failure) } else { forward.add(failure) }
  }

  /// Says what there is to say, and answers with the status to exit with.
  func finish(_ plan: ReportOptions.Plan) -> Status {
    Report.finish([forward, backward], plan) { format in
      switch format {
      case .json:
        JSON.object([
          ("seconds", forward.secondsText), ("directions", "[\(forward.json),\(backward.json)]"),
        ])
      case .text: "\(forward.text)\n\(backward.text)"
      }
    }
  }
}
