// A copy to several sinks: one thread hands out, and each sink has one of its own, so that a disk that stalls
// or a peer that does not read holds up nobody it may not hold up.

import Splice
import SystemPackage

/// What a copy to several sinks needs, made while nothing has been changed: what is missing later is a thread
/// at most.
struct Spread {
  let fan: FanOut
  let workers: [SinkWorker]
  let taps: [Tap]

  /// How far all of them are. Those that have failed do not count, and those that have everything do not
  /// either.
  fileprivate func progress(_ error: SpliceError?, _ buffered: Int, _ fill: Double?) -> Progress {
    let working = workers.filter(\.isWorking)
    return Progress(
      error: error,
      moved: workers.filter { !$0.hasFailed }.map(\.counters.delivered).min()
        ?? workers.map(\.counters.delivered).max() ?? 0,
      held: working.map(\.counters.lag).max() ?? 0,
      marks: [fan.position, UInt64(buffered)] + working.map(\.counters.delivered)
        + working.map { UInt64($0.unconfirmed) }, fill: fill,
      news: workers.compactMap { $0.takeNews() },
      sinks: workers.map { SinkLine(word: $0.endpoint.word, fared: $0.counters, hasFailed: $0.hasFailed) }
        + taps.map { SinkLine(word: $0.endpoint.word, fared: $0.counters, hasFailed: $0.hasFailed) })
  }
}

extension CopyPlan {
  /// How long an optional sink may keep the first byte back: one that is there at once misses
  /// nothing.
  private static let headStart = Duration.milliseconds(250)
  /// A piece is no larger: four of them are what the kernel grants a user for a pipe.
  private static let largestPiece = 256 << 10
  /// How long such sinks have at the end, all of them together.
  private static let lastBytes = Duration.seconds(5)

  /// Makes what it takes to move the range to all sinks: to those that are waited for, and the others.
  func makeSpread(
    _ range: CopyRange, _ occupied: OccupiedFiles, _ options: OpenEndpoint.Options
  ) throws(Failure) -> Spread {
    do throws(Errno) {
      let fan = try FanOut(
        buffer == nil ? .kernel : .memory, alignedTo: alignment, pieceSize: min(pipeSize, Self.largestPiece))
      var workers: [SinkWorker] = []
      var taps: [Tap] = []
      let isForAll = sinks.allSatisfy { $0.policy == .wait }
      for sink in sinks {
        switch sink.policy {
        case .wait:
          // What each reads of a file by itself, one that comes later could not have any more.
          let seesTheSame = sink.endpoint.place.isDigest || !isForAll
          workers.append(
            try SinkWorker(sink.endpoint, try fan.attach(seesTheSame: seesTheSame, comesAgain: true)))
        case .skip, .detach: taps.append(try tap(sink, on: fan, range.placement, occupied, options))
        }
      }
      return Spread(fan: fan, workers: workers, taps: taps)
    } catch { throw Failure(using: "pipe", error) }
  }

  /// Moves the range to all sinks: to those in `to`, which are open and waited for, and the others. One that
  /// fails is reported, and the others are finished.
  func move(
    _ range: CopyRange, through spread: Spread, _ between: consuming Buffer?, _ to: [OpenEndpoint],
    _ options: OpenEndpoint.Options, _ report: inout Report
  ) throws(Failure) {
    let stop = options.poll.stop
    let (workers, taps) = (spread.workers, spread.taps)
    // Asked before the descriptors go to the threads of their sinks.
    let isFile =
      range.sources[0].source.sourceKind == .regularFile && to.contains { $0.sinkKind == .regularFile }
    let fillsHoles = isFile ? "for several sinks, holes are written as zeros" : ""
    var watch = watch(range, to)
    var between = between
    var end = begin(range, spread, between, to, stop)
    let flows = moves.options()
    var slowest = workers.first
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) {
        if end == nil { end = try handOut(spread, &between, flows, range, poll) }
        for worker in workers { try worker.wait(waitingIn: poll) }
      } catch let caught { error = caught }
      let working = workers.filter(\.isWorking)
      slowest = working.max { $0.counters.lag < $1.counters.lag } ?? slowest
      return spread.progress(error, between?.reader.count ?? 0, between?.fill)
    }
    let paths = between?.finish().received
    report.account(
      received: paths ?? [spread.fan.receivedBy], why: paths == nil ? fillsHoles : whyBuffered)
    let received = paths?.map(\.total) ?? [spread.fan.position]
    close(workers, to, options, &report)
    var isWhole = false
    if case .finished = outcome { isWhole = end?.isAbandoned != true }
    if !isWhole { for tap in taps { tap.isTruncated = true } }
    Tap.finish(taps, within: isWhole ? Self.lastBytes : .zero, stoppedBy: stop)
    for (index, tap) in taps.enumerated() { tap.account(in: &report, asSink: to.count + index) }
    let moved = (workers.map(\.position) + taps.map(\.position)).max() ?? 0
    leave(range, behind: moved, of: received, &report)
    // What stands still is waiting for the one that is furthest behind.
    let blamed = slowest?.endpoint ?? sinks[0].endpoint
    if let failure = outcome.failure(
      from: sources[received.count - 1], to: blamed, idle: moves.idle)
    {
      throw failure
    }
    if case .failed(let failure)? = end { throw failure }
  }

  /// Begins all threads. Where one cannot be had, the stream has ended for those that have begun, and is
  /// truncated.
  private func begin(
    _ range: CopyRange, _ spread: Spread, _ between: borrowing Buffer?, _ to: [OpenEndpoint],
    _ stop: StopFlag?
  ) -> End? {
    do throws(Errno) {
      for (worker, open) in zip(spread.workers, to) { try worker.begin(open) }
      // One without a thread fails by itself.
      for tap in spread.taps { try? tap.begin() }
      Tap.awaitOpening(spread.taps, atMost: Self.headStart, stoppedBy: stop)
      try between?.begin(from: range, moves.options())
      return nil
    } catch {
      spread.fan.finish()
      return .failed(Failure(using: "thread", error))
    }
  }

  /// Ends the sinks that were waited for. Their last words have one time, which does not run while a disk is
  /// waited for.
  private func close(
    _ workers: [SinkWorker], _ to: [OpenEndpoint], _ options: OpenEndpoint.Options, _ report: inout Report
  ) {
    for (worker, open) in zip(workers, to) { worker.end(open) }
    let lastWords = options.lastWords
    for isOnDisk in [false, true] {
      for (index, open) in to.enumerated() where open.isSinkOnDisk == isOnDisk {
        let worker = workers[index]
        let failure = worker.close(open, synchronized: syncs, waitingIn: lastWords)
        report.account(sink: index, worker.deliveredBy, worker.counters, digest: worker.digest)
        if let failure { report.add(failure) }
      }
    }
  }

  private func tap(
    _ sink: SinkPlan, on fan: FanOut, _ placement: SinkPlacement, _ occupied: OccupiedFiles,
    _ options: OpenEndpoint.Options
  ) throws(Errno) -> Tap {
    let tap = try Tap(
      sink.endpoint, on: fan, sink.policy.ofFanOut, options,
      Tap.Hooks(
        prepare: { open, _ throws(Failure) in
          try occupied.add(open)
          try placement.begin(open)
        }, isSynchronized: syncs))
    tap.isTruncated = true
    return tap
  }

  /// How handing out has ended.
  private enum End {
    case whole
    case failed(Failure)
    /// No sink is left that is waited for: each of them says why.
    case abandoned

    var isWhole: Bool { if case .whole = self { true } else { false } }
    var isAbandoned: Bool { if case .abandoned = self { true } else { false } }
  }

  /// Hands out until the source has ended, or no sink is left that is waited for; what is left of it, when it
  /// is called again.
  private func handOut(
    _ spread: Spread, _ between: inout Buffer?, _ flows: FlowOptions, _ range: CopyRange,
    _ poll: BlockingWait
  ) throws(SpliceError) -> End {
    let fan = spread.fan
    var end = End.whole
    do throws(SpliceError) {
      if spread.workers.allSatisfy(\.hasFailed) { throw .sink(.brokenPipe) }
      if try between?.handOut(by: fan, waitingIn: poll) == nil {
        try fan.fill(
          from: range.sources[0].source.source, upTo: range.limit - fan.position, options: flows,
          waitingIn: poll)
      }
      if let failure = try confirmEnd(range, received(fan, between), waitingIn: poll) {
        end = .failed(failure)
      }
    } catch {
      switch error {
      case .cancelled, .timedOut: throw error
      case .sink(.brokenPipe): end = .abandoned
      case .pipe: end = .failed(Failure(using: "pipe", error))
      default:
        let source = sources[received(fan, between).count - 1]
        end = .failed(Failure(source, .source, "read", error, .failedUnderWay))
      }
    }
    // Only here, so that nothing else that ends a stream looks like this.
    if end.isWhole {
      for worker in spread.workers { worker.isTruncated = false }
      for tap in spread.taps { tap.isTruncated = false }
    }
    fan.finish()
    return end
  }

  /// Bytes that have come from each source that was begun.
  private func received(_ fan: FanOut, _ between: borrowing Buffer?) -> [UInt64] {
    between?.finish().received.map(\.total) ?? [fan.position]
  }

  /// Whether the ends of the sources are what they seem to be: none has less than it promised, and no program
  /// has failed.
  private func confirmEnd(
    _ range: CopyRange, _ received: [UInt64], waitingIn poll: BlockingWait
  ) throws(SpliceError) -> Failure? {
    do throws(Failure) { try range.mustBeWhole(after: received) } catch { return error }
    for ended in range.ended(after: received) {
      if let failure = try ended.source.confirmEnd(waitingIn: poll) { return failure }
    }
    return nil
  }
}
