// A copy to several sinks: one thread hands out, and each sink has one of its own, so that a disk that stalls or a peer that does not
// read holds up nobody it may not hold up.

import Splice
import SystemPackage

/// What a copy to several sinks needs, made while nothing has been changed: what is missing later is a thread at most.
struct Spread {
  let fan: FanOut
  let servings: [Serving]
  let taps: [Tap]

  /// How far all of them are. Those that have failed hold up nobody, and those that have everything do not either.
  fileprivate func standing(_ error: SpliceError?, _ buffered: Int, _ fill: Double?) -> Standing {
    let working = servings.filter(\.isWorking)
    return Standing(
      error: error, moved: servings.filter { !$0.hasFailed }.map(\.counters.delivered).min() ?? 0,
      held: working.map(\.counters.lag).max() ?? 0,
      marks: [fan.position, UInt64(buffered)] + working.map(\.counters.delivered)
        + working.map { UInt64($0.unconfirmed) }, fill: fill,
      news: servings.compactMap { $0.takeNews() },
      sinks: servings.map { SinkLine(word: $0.endpoint.word, fared: $0.counters, hasFailed: $0.hasFailed) }
        + taps.map { SinkLine(word: $0.endpoint.word, fared: $0.counters, hasFailed: $0.hasFailed) })
  }
}

extension CopyPlan {
  /// How long a sink that nobody waits for may keep the first byte back: one that is there at once misses nothing.
  private static let headStart = Duration.milliseconds(250)
  /// How long such sinks have at the end, all of them together.
  private static let lastBytes = Duration.seconds(5)

  /// Makes what it takes to move the stretch to all sinks: to those that are waited for, and the others.
  func makeSpread(
    _ stretch: Stretch, _ occupied: OccupiedFiles, _ manner: OpenEndpoint.Manner
  ) throws(Failure) -> Spread {
    do throws(Errno) {
      let fan = try FanOut(buffer == nil ? .kernel : .memory, alignedTo: alignment)
      var servings: [Serving] = []
      var taps: [Tap] = []
      let isForAll = sinks.allSatisfy { $0.policy == .wait }
      for sink in sinks {
        switch sink.policy {
        case .wait:
          // What each reads of a file by itself, one that comes later could not have any more.
          let seesTheSame = sink.endpoint.place.isDigest || !isForAll
          servings.append(
            try Serving(sink.endpoint, try fan.attach(seesTheSame: seesTheSame, comesAgain: true)))
        case .skip, .detach: taps.append(try tap(sink, on: fan, stretch, occupied, manner))
        }
      }
      return Spread(fan: fan, servings: servings, taps: taps)
    } catch { throw Failure(using: "pipe", error) }
  }

  /// Moves the stretch to all sinks: to those in `to`, which are open and waited for, and the others. One that fails is reported, and the
  /// others are finished.
  func move(
    _ stretch: Stretch, through spread: Spread, _ between: consuming Buffer?, _ from: OpenEndpoint,
    _ to: [OpenEndpoint], _ manner: OpenEndpoint.Manner, _ report: inout Report
  ) throws(Failure) {
    let stop = manner.poll.stop
    let (servings, taps) = (spread.servings, spread.taps)
    // Asked before the descriptors go to the threads of their sinks.
    let isFile = from.source.kind == .regularFile && to.contains { $0.sink.kind == .regularFile }
    let fillsHoles = isFile ? "for several sinks, holes are written as zeros" : ""
    let display = Display(
      progress, total: stretch.promised ?? stretch.diskSize,
      dataIsOnTerminal: from.source.kind == .terminal || to.contains { $0.sink.kind == .terminal })
    var watch = Watch(display, idle: moves.idle, pause: moves.pause)
    var between = between
    var end = begin(stretch, spread, between, from, to, stop)
    let options = moves.options()
    var slowest = servings.first
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) {
        if end == nil { end = try handOut(spread, &between, options, stretch, from, poll) }
        for serving in servings { try serving.wait(waitingIn: poll) }
      } catch let caught { error = caught }
      let working = servings.filter(\.isWorking)
      slowest = working.max { $0.counters.lag < $1.counters.lag } ?? slowest
      return spread.standing(error, between?.reader.count ?? 0, between?.fill)
    }
    let filled = between?.finish()
    report.account(
      received: filled?.received ?? spread.fan.receivedBy,
      why: filled == nil ? fillsHoles : "through the buffer")
    close(servings, to, manner, &report)
    var isWhole = false
    if case .finished = outcome { isWhole = end?.isAbandoned != true }
    if !isWhole { for tap in taps { tap.isTruncated = true } }
    Tap.finish(taps, within: isWhole ? Self.lastBytes : .zero, stoppedBy: stop)
    for (index, tap) in taps.enumerated() { tap.account(in: &report, asSink: to.count + index) }
    stretch.leave(from, behind: (servings.map(\.position) + taps.map(\.position)).max() ?? 0, &report)
    // What stands still is waiting for the one that is furthest behind.
    let blamed = slowest?.endpoint ?? sinks[0].endpoint
    if let failure = outcome.failure(from: source, to: blamed, idle: moves.idle) { throw failure }
    if case .failed(let failure)? = end { throw failure }
  }

  /// Begins all threads. Where one cannot be had, the stream has ended for those that have begun, and is truncated.
  private func begin(
    _ stretch: Stretch, _ spread: Spread, _ between: borrowing Buffer?, _ from: OpenEndpoint,
    _ to: [OpenEndpoint], _ stop: StopFlag?
  ) -> End? {
    do throws(Errno) {
      for (serving, open) in zip(spread.servings, to) { try serving.begin(open) }
      // One without a thread fails by itself.
      for tap in spread.taps { try? tap.begin() }
      Tap.awaitOpening(spread.taps, atMost: Self.headStart, stoppedBy: stop)
      try between?.begin(from: from.source, upTo: stretch.limit, moves.options())
      return nil
    } catch {
      spread.fan.finish()
      return .failed(Failure(using: "thread", error))
    }
  }

  /// Ends the sinks that were waited for. Their last words have one time, which does not run while a disk is waited for.
  private func close(
    _ servings: [Serving], _ to: [OpenEndpoint], _ manner: OpenEndpoint.Manner, _ report: inout Report
  ) {
    for (serving, open) in zip(servings, to) { serving.end(open) }
    let lastWords = manner.lastWords
    for isOnDisk in [false, true] {
      for (index, open) in to.enumerated() where open.sink.isOnDisk == isOnDisk {
        let serving = servings[index]
        let failure = serving.close(open, synchronized: syncs, waitingIn: lastWords)
        report.account(sink: index, serving.deliveredBy, serving.counters, digest: serving.digest)
        if let failure { report.add(failure) }
      }
    }
  }

  private func tap(
    _ sink: SinkPlan, on fan: FanOut, _ stretch: Stretch, _ occupied: OccupiedFiles,
    _ manner: OpenEndpoint.Manner
  ) throws(Errno) -> Tap {
    let tap = try Tap(
      sink.endpoint, on: fan, sink.policy.ofFanOut, manner,
      Tap.Hooks(
        prepare: { open, _ throws(Failure) in
          try occupied.add(open)
          try stretch.begin(open)
        }, isSynchronized: syncs))
    tap.isTruncated = true
    return tap
  }

  /// How handing out has ended.
  private enum End {
    case whole
    case failed(Failure)
    /// Nobody is left who is waited for: each of them says why.
    case abandoned

    var isWhole: Bool { if case .whole = self { true } else { false } }
    var isAbandoned: Bool { if case .abandoned = self { true } else { false } }
  }

  /// Hands out until the source has ended, or nobody is left who is waited for; what is left of it, when it is called again.
  private func handOut(
    _ spread: Spread, _ between: inout Buffer?, _ options: FlowOptions, _ stretch: Stretch,
    _ from: OpenEndpoint, _ poll: BlockingWait
  ) throws(SpliceError) -> End {
    let fan = spread.fan
    var end = End.whole
    do throws(SpliceError) {
      if spread.servings.allSatisfy(\.hasFailed) { throw .sink(.brokenPipe) }
      if try between?.handOut(by: fan, waitingIn: poll) == nil {
        try fan.fill(
          from: from.source, upTo: stretch.limit - fan.position, options: options, waitingIn: poll)
      }
      if let missing = stretch.missing(after: fan.position, from) {
        end = .failed(Failure(source, .source, "read", .truncated(missing: missing), .failedUnderWay))
      } else if fan.position < stretch.limit, let failure = try from.confirmEnd(waitingIn: poll) {
        end = .failed(failure)
      }
    } catch {
      switch error {
      case .cancelled, .timedOut: throw error
      case .sink(.brokenPipe): end = .abandoned
      case .pipe: end = .failed(Failure(using: "pipe", error))
      default: end = .failed(Failure(source, .source, "read", error, .failedUnderWay))
      }
    }
    // Only here, so that nothing else that ends a stream looks like this.
    if end.isWhole {
      for serving in spread.servings { serving.isTruncated = false }
      for tap in spread.taps { tap.isTruncated = false }
    }
    fan.finish()
    return end
  }
}
