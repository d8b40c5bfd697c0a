// The taps of a relay: copies of what it forwards, each to an endpoint that is opened again when it fails,
// and that begins where the stream is then.
//
// The relay is given the fan-outs, and listens. Only then are the taps begun, as nothing speaks against the
// relay any more: what is refused has emptied no file and run no program. And what the relay has inherited is
// taken by then, so no program of a tap inherits it.

#if Services
import CoreMetrics
import Logging
import Splice
import SpliceServices
import SystemPackage

/// The taps of a relay.
final class RelayTaps: Sendable {
  /// What the relay shows its bytes to.
  private let forward, backward: FanOut?
  var fans: Duplex.Taps { Duplex.Taps(forward: forward, backward: backward) }
  private let endpoints: [(endpoint: Endpoint, fan: FanOut, direction: Direction)]
  private let taps = Locked<[(tap: Tap, measures: TapMeasures)]>([])
  private let files = OccupiedFiles()
  private let logger: Logger
  private let metrics: any MetricsFactory

  /// Which way the bytes go that a tap gets.
  fileprivate enum Direction: String, Sendable {
    case upstream, downstream
  }

  /// How long those that open at once may keep the first client back.
  private static let headStart = Duration.milliseconds(250)
  /// A tap that has left is begun again this long after it was begun.
  private static let interval = Duration.seconds(1)
  /// How long all of them have for their last bytes.
  private static let lastBytes = Duration.seconds(1)

  /// Opens none of them. Two that would write one file are refused.
  init(
    upstream: [Endpoint], downstream: [Endpoint], _ metrics: any MetricsFactory, _ logger: Logger
  ) throws(Failure) {
    (self.logger, self.metrics) = (logger, metrics)
    let files = OccupiedFiles()
    let all = upstream + downstream
    for endpoint in all { try files.add(endpoint) }
    do throws(Errno) {
      forward = upstream.isEmpty ? nil : try FanOut()
      backward = downstream.isEmpty ? nil : try FanOut()
    } catch { throw Failure(all[0], .sink, "tap", error, .noSink) }
    endpoints = [(upstream, forward, Direction.upstream), (downstream, backward, .downstream)]
      .flatMap { endpoints, fan, direction in fan.map { fan in endpoints.map { ($0, fan, direction) } } ?? []
      }
  }

  /// How many descriptors they need at most.
  var descriptors: Int { Tap.descriptors * endpoints.count }

  /// Where they connect to.
  var addresses: [ServerAddress] {
    endpoints.compactMap { endpoint, _, _ in
      switch endpoint.place {
      case .tcp(let host, let port): .tcp(host: host, port: port)
      case .unix(let path): .unix(path)
      default: nil
      }
    }
  }

  /// Begins all of them, and waits for those that open at once. Throws when two turn out to be one file;
  /// ``finish()`` is called in any case.
  func begin(stoppedBy stop: StopFlag?) throws(Failure) {
    let refused = Locked<Failure?>(nil)
    for (endpoint, fan, direction) in endpoints {
      do throws(Errno) {
        let tap = try tap(endpoint, on: fan, direction, refused)
        try tap.begin()
        taps.withLock { $0.append((tap, TapMeasures(of: endpoint, direction, metrics))) }
      } catch { throw Failure(endpoint, .sink, "tap", error, .noSink) }
    }
    Tap.awaitOpening(all, atMost: Self.headStart, stoppedBy: stop)
    if let failure = refused.withLock({ $0 }) { throw failure }
  }

  private func tap(
    _ endpoint: Endpoint, on fan: FanOut, _ direction: Direction, _ refused: Locked<Failure?>
  ) throws(Errno) -> Tap {
    let metadata: Logger.Metadata = [
      "tap": "\(endpoint.word.escapedName)", "direction": "\(direction.rawValue)",
    ]
    let file = Locked<OccupiedFiles.File?>(nil)
    return try Tap(
      endpoint, on: fan, .skip, OpenEndpoint.Options(poll: BlockingWait(), isolatesPrograms: true),
      Tap.Hooks(
        prepare: { [files] open, isFirst throws(Failure) in
          do throws(Failure) {
            let own = try files.add(open)
            file.withLock { $0 = own }
          } catch {
            if isFirst { refused.withLock { $0 = $0 ?? error } }
            throw error
          }
          if isFirst { try open.truncate() } else { try open.seekToEnd() }
        },
        began: { [logger] in logger.info("tap begins", metadata: metadata) },
        left: { [files, logger] departure in
          if let own = file.withLock({ $0.take() }) { files.remove(own) }
          departure.say(metadata, logger)
          return Self.interval
        }, endsWithReader: true))
  }

  private var all: [Tap] { taps.withLock { $0.map(\.tap) } }

  /// Opens all of them anew.
  func reopen() { for tap in all { tap.reopen() } }

  /// Lets all of them have what they were shown, for a second, and ends them.
  func finish() {
    forward?.finish()
    backward?.finish()
    Tap.finish(all, within: Self.lastBytes, stoppedBy: nil)
  }

  /// Tells the metrics what has come on top of what they were told before.
  func report() {
    for (tap, measures) in taps.withLock({ $0 }) { measures.tell(tap.passed) }
  }
}

extension Tap.Departure {
  /// Says what it got, what it missed and what was still on its way; and why it left, if it failed.
  fileprivate func say(_ tap: Logger.Metadata, _ logger: Logger) {
    var metadata = tap
    if let counters {
      metadata["delivered"] = "\(counters.delivered)"
      metadata["skipped"] = "\(counters.skipped)"
      metadata["left"] = "\(counters.lag)"
    }
    if let failure {
      metadata["act"] = "\(failure.act)"
      metadata["reason"] = "\(failure.reason)"
    }
    // One that was told to leave before it was open has nothing to tell.
    if counters == nil, failure == nil { return }
    let isWhole = failure == nil && counters?.skipped == 0 && counters?.lag == 0
    logger.log(
      level: isWhole ? .notice : .warning, counters == nil ? "tap did not begin" : "tap left",
      metadata: metadata)
  }
}

// MARK: - What is measured

/// What is measured of one tap.
private struct TapMeasures: Sendable {
  private let delivered, skipped: Counter
  private let told = Locked<(delivered: UInt64, skipped: UInt64)>((0, 0))

  init(of tap: Endpoint, _ direction: RelayTaps.Direction, _ factory: any MetricsFactory) {
    func counter(_ what: String) -> Counter {
      Counter(
        label: "splice_relay_tap_\(what)_bytes_total",
        dimensions: [("direction", direction.rawValue), ("tap", tap.word)], factory: factory)
    }
    (delivered, skipped) = (counter("delivered"), counter("skipped"))
  }

  func tell(_ passed: (delivered: UInt64, skipped: UInt64)) {
    told.withLock { told in
      delivered.increment(by: passed.delivered - min(told.delivered, passed.delivered))
      skipped.increment(by: passed.skipped - min(told.skipped, passed.skipped))
      told = (max(told.delivered, passed.delivered), max(told.skipped, passed.skipped))
    }
  }
}

extension RelayTaps {
  /// What each of the metrics is, by name.
  static let metricsHelp = [
    "splice_relay_tap_delivered_bytes_total": "Bytes that a tap accepted.",
    "splice_relay_tap_skipped_bytes_total":
      "Bytes that went by without a tap, which was too slow or not there.",
  ]
}

/// A relay and its taps, as those see it who look after it.
struct TappedRelay: Administered {
  let relay: Relay
  let taps: RelayTaps

  var unhealthy: String? { relay.unhealthy }
  var unready: String? { relay.unready }
  var overview: Overview { relay.overview }

  func report() {
    relay.report()
    taps.report()
  }
}
#endif
