// A copy to several sinks: one thread hands out, and each sink has one of its own, so that a disk that stalls or a peer that does not
// read holds up nobody it may not hold up.

import Splice
import SystemPackage

extension CopyPlan {
  /// How long a sink that nobody waits for may keep the first byte back: one that is there at once misses nothing.
  private static let headStart = Duration.milliseconds(250)
  /// How long such sinks have at the end, all of them together.
  private static let lastBytes = Duration.seconds(5)

  /// Moves the stretch to all sinks: to those in `to`, which are open and waited for, and the others. One that fails is reported, and the
  /// others are finished.
  func spread(
    _ stretch: Stretch, _ from: OpenEndpoint, _ to: [OpenEndpoint], _ occupied: OccupiedFiles,
    _ manner: OpenEndpoint.Manner, _ report: inout Report
  ) throws(Failure) {
    let stop = manner.poll.stop
    // Asked before the descriptors go to the threads of their sinks.
    let isFile = from.source.kind == .regularFile && to.contains { $0.sink.kind == .regularFile }
    let fillsHoles = isFile ? "for several sinks, holes are written as zeros" : ""
    let fan: FanOut
    var servings: [Serving] = []
    var taps: [Tap] = []
    do throws(Errno) {
      fan = try FanOut(buffer == nil ? .kernel : .memory, alignedTo: alignment)
      for end in to {
        // What each reads of a file by itself, one that comes later could not have any more.
        let seesTheSame = end.endpoint.place == .digest || to.count < sinks.count
        servings.append(try Serving(try fan.attach(seesTheSame: seesTheSame), to: end))
      }
      for sink in sinks where sink.policy != .wait {
        taps.append(try tap(sink, on: fan, stretch, occupied, manner))
      }
    } catch { throw Failure("pipe", nil, "use", error, .failedUnderWay) }
    Tap.awaitOpening(taps, atMost: Self.headStart, stoppedBy: stop)
    var between: Buffer?
    if let buffer { between = try makeBuffer(buffer, stretch, from) }

    let display = Display(
      progress, total: stretch.promised ?? stretch.diskSize,
      dataIsOnTerminal: from.source.kind == .terminal || to.contains { $0.sink.kind == .terminal })
    var watch = Watch(display, idle: moves.idle, pace: moves.pace)
    var end: End?
    var pace = moves.pace
    var lags: [UInt64] = []
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) {
        if end == nil { end = try handOut(fan, &between, &pace, stretch, from, servings, taps, poll) }
        for serving in servings { try serving.wait(waitingIn: poll) }
      } catch let caught { error = caught }
      let fared = servings.map(\.counters)
      lags = fared.map { UInt64($0.lag) }
      return Standing(
        error: error, moved: fared.map(\.delivered).min() ?? 0, held: fared.map(\.lag).max() ?? 0,
        fill: between?.fill,
        sinks: zip(sinks, fared + taps.map(\.counters)).map { SinkLine(word: $0.endpoint.word, fared: $1) })
    }
    let filled = between?.finish()
    report.account(
      received: filled?.received ?? fan.receivedBy, why: filled == nil ? fillsHoles : "through the buffer")
    for (index, (serving, open)) in zip(servings, to).enumerated() {
      let failure = serving.end(open, end?.isWhole == true, synchronized: syncs, manner)
      report.account(sink: index, serving.deliveredBy, serving.counters, digest: serving.digest)
      if let failure { report.add(failure, ofSink: index) }
    }
    if case .finished = outcome {
      Tap.finish(taps, within: Self.lastBytes, stoppedBy: stop)
    } else {
      for tap in taps { tap.isTruncated = true }
      Tap.finish(taps, within: .zero, stoppedBy: stop)
    }
    for (index, tap) in taps.enumerated() { tap.account(in: &report, asSink: to.count + index) }
    // What stands still is waiting for the one that is furthest behind.
    let slowest = zip(to, lags).max { $0.1 < $1.1 }?.0.endpoint ?? sinks[0].endpoint
    if let failure = outcome.failure(from: source, to: slowest, idle: moves.idle) { throw failure }
    if case .failed(let failure)? = end { throw failure }
  }

  private func tap(
    _ sink: SinkPlan, on fan: FanOut, _ stretch: Stretch, _ occupied: OccupiedFiles,
    _ manner: OpenEndpoint.Manner
  ) throws(Errno) -> Tap {
    try Tap(
      sink.endpoint, on: fan, sink.policy.ofFanOut, manner,
      Tap.Hooks(
        prepare: { open, _ throws(Failure) in
          try occupied.add(open)
          try stretch.begin(open)
        }, isSynchronized: syncs))
  }

  /// How handing out has ended.
  private enum End {
    case whole
    case failed(Failure)

    var isWhole: Bool { if case .whole = self { true } else { false } }
  }

  /// Hands out until the source has ended, or nobody is left; what is left of it, when it is called again.
  private func handOut(
    _ fan: FanOut, _ between: inout Buffer?, _ pace: inout Pace?, _ stretch: Stretch, _ from: OpenEndpoint,
    _ servings: [Serving], _ taps: [Tap], _ poll: Poll
  ) throws(SpliceError) -> End {
    var end = End.whole
    do throws(SpliceError) {
      if try between?.handOut(by: fan, waitingIn: poll) == nil {
        try fan.splice(
          from: from.source, upTo: stretch.limit - fan.position, via: moves.via, pacedBy: &pace,
          waitingIn: poll)
      }
      if let missing = stretch.missing(after: fan.position, from) {
        end = .failed(Failure(source.word, .source, "read", .truncated(missing: missing), .failedUnderWay))
      } else if fan.position < stretch.limit, let failure = try from.confirmEnd(waitingIn: poll) {
        end = .failed(failure)
      }
    } catch {
      switch error {
      case .cancelled, .timedOut: throw error
      // Each of them says why.
      case .sink(.brokenPipe): break
      case .pipe: end = .failed(Failure("pipe", nil, "use", error, .failedUnderWay))
      default: end = .failed(Failure(source.word, .source, "read", error, .failedUnderWay))
      }
    }
    if !end.isWhole {
      for serving in servings { serving.isTruncated = true }
      for tap in taps { tap.isTruncated = true }
    }
    fan.finish()
    return end
  }
}
