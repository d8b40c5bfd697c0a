// A copy to several sinks: one thread hands out, and each sink has one of its own, so that a disk that stalls or a peer that does not
// read holds up nobody it may not hold up.

import Splice
import SystemPackage

extension CopyPlan {
  /// Moves the stretch to all sinks. One that fails is reported, and the others are finished.
  func spread(
    _ stretch: Stretch, _ from: OpenEndpoint, _ to: [OpenEndpoint], _ stop: Stop?, _ report: inout Report
  ) throws(Failure) {
    let fan: FanOut
    var servings: [Serving] = []
    do throws(Errno) {
      fan = try FanOut(buffer == nil ? .kernel : .memory, alignedTo: alignment)
      for (end, sink) in zip(to, sinks) {
        let place = try fan.attach(sink.policy.ofFanOut, seesTheSame: sink.endpoint.place == .digest)
        servings.append(try Serving(place, to: end))
      }
    } catch { throw Failure("pipe", nil, "use", error, .failedUnderWay) }
    let waitedFor = zip(servings, sinks).filter { $1.policy == .wait }.map(\.0)
    var between: Buffer?
    if let buffer { between = try makeBuffer(buffer, stretch, from) }

    let display = Display(
      progress, total: stretch.promised ?? stretch.diskSize,
      dataIsOnTerminal: from.source.kind == .terminal || to.contains { $0.sink.kind == .terminal })
    var watch = Watch(display, idle: moves.idle)
    var end: End?
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) {
        if end == nil { end = try handOut(fan, &between, stretch, from, servings, poll) }
        for serving in waitedFor { try serving.wait(waitingIn: poll) }
      } catch let caught { error = caught }
      let fared = servings.map(\.counters)
      return Standing(
        error: error, moved: waitedFor.map(\.counters.delivered).min() ?? 0,
        held: fared.map(\.lag).max() ?? 0,
        fill: between?.fill, sinks: zip(to, fared).map { SinkLine(word: $0.word, fared: $1) })
    }
    if case .finished = outcome { Serving.linger(servings, stoppedBy: stop) }

    let filled = between?.finish()
    report.account(
      received: filled?.received ?? fan.receivedBy, why: filled == nil ? "" : "through the buffer")
    for (index, (serving, open)) in zip(servings, to).enumerated() {
      let failure = serving.end(open, end?.isWhole == true, synchronized: syncs, Poll(orStoppedBy: stop))
      report.account(sink: index, serving.deliveredBy, serving.counters, digest: serving.digest)
      if let failure { report.add(failure, ofSink: index) }
    }
    if let failure = outcome.failure(from: source, to: sinks[0].endpoint, idle: moves.idle) { throw failure }
    if case .failed(let failure)? = end { throw failure }
  }

  /// How handing out has ended.
  private enum End {
    case whole
    case failed(Failure)

    var isWhole: Bool { if case .whole = self { true } else { false } }
  }

  /// Hands out until the source has ended, or nobody is left; what is left of it, when it is called again.
  private func handOut(
    _ fan: FanOut, _ between: inout Buffer?, _ stretch: Stretch, _ from: OpenEndpoint, _ servings: [Serving],
    _ poll: Poll
  ) throws(SpliceError) -> End {
    var end = End.whole
    do throws(SpliceError) {
      if try between?.handOut(by: fan, waitingIn: poll) == nil {
        try fan.splice(
          from: from.source, upTo: stretch.limit - fan.position, via: moves.via, pace: moves.pace,
          waitingIn: poll)
      }
      if let missing = stretch.missing(after: fan.position, from) {
        end = .failed(Failure(source.word, .source, "read", .truncated(missing: missing), .failedUnderWay))
      }
    } catch {
      switch error {
      case .cancelled, .timedOut: throw error
      // Each of them says why.
      case .sink(.brokenPipe): break
      default: end = .failed(Failure(source.word, .source, "read", error, .failedUnderWay))
      }
    }
    if !end.isWhole { for serving in servings { serving.isTruncated = true } }
    fan.finish()
    return end
  }
}
