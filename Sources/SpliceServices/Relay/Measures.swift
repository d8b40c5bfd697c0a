// What a relay tells swift-metrics, under names and in units as Prometheus has them.
//
// Nothing here is on the path of a byte: bytes are counted by the meters of an upstream, and told when
// somebody looks.

import CoreMetrics
import Splice

/// What is measured of the relay as a whole.
struct Measures: Sendable {
  /// Clients that were not served: no upstream is up, none answered, their PROXY header was not one.
  let noneUp, notConnected, badHeader: Counter
  /// Connections that one side has reset.
  let resetByClient, resetByUpstream: Counter
  /// What took too long.
  let connectTimeouts, headerTimeouts, idleTimeouts, halfCloseTimeouts, drainTimeouts: Counter
  /// Pipes that are lent, the bytes of those and of idle ones, and how many those may be.
  let pipesLent, pipeBytes, pipeBudget: Meter

  init(_ factory: any MetricsFactory) {
    func counter(_ name: String, _ dimensions: (String, String)...) -> Counter {
      Counter(label: "splice_relay_\(name)_total", dimensions: dimensions, factory: factory)
    }
    func meter(_ name: String) -> Meter { Meter(label: "splice_relay_\(name)", factory: factory) }
    noneUp = counter("refused", ("reason", "none_up"))
    notConnected = counter("refused", ("reason", "connect"))
    badHeader = counter("refused", ("reason", "header"))
    resetByClient = counter("resets", ("by", "client"))
    resetByUpstream = counter("resets", ("by", "upstream"))
    connectTimeouts = counter("timeouts", ("kind", "connect"))
    headerTimeouts = counter("timeouts", ("kind", "header"))
    idleTimeouts = counter("timeouts", ("kind", "idle"))
    halfCloseTimeouts = counter("timeouts", ("kind", "half_close"))
    drainTimeouts = counter("timeouts", ("kind", "drain"))
    pipesLent = meter("pipes_lent")
    pipeBytes = meter("pipe_bytes")
    pipeBudget = meter("pipe_budget_bytes")
  }
}

extension Relay {
  /// What each of the relay's metrics is, by name, for a backend that tells.
  public static let metricsHelp = [
    "splice_relay_refused_total": "Clients that were not served, by the reason.",
    "splice_relay_resets_total": "Connections that were reset, by the side that did it.",
    "splice_relay_timeouts_total": "What took too long, by what it was.",
    "splice_relay_pipes_lent": "Pipes with bytes in flight.",
    "splice_relay_pipe_bytes": "Capacity of all pipes, lent and idle.",
    "splice_relay_pipe_budget_bytes": "How much that may be; past it bytes are copied.",
    "splice_relay_connections_total": "Connections made to an upstream for clients.",
    "splice_relay_connect_seconds": "How long an upstream took to answer a client's connection.",
    "splice_relay_connect_errors_total": "Times an upstream did not answer a client's connection.",
    "splice_relay_checks_total": "Health checks of an upstream, by their outcome.",
    "splice_relay_upstream_connections": "Connections to an upstream now.",
    "splice_relay_upstream_up": "Whether an upstream is believed to answer.",
    "splice_relay_bytes_total":
      "Bytes accepted by upstreams (sent, with PROXY headers) and by clients (received), by the way they travelled.",
  ].merging(Serving.metricsHelp(of: "relay")) { one, _ in one }
}

/// What is measured of one upstream.
struct UpstreamMeasures: Sendable {
  /// Connections that were made to it, and how long that took.
  let connections: Counter
  let connectTime: CoreMetrics.Timer
  /// Times it did not answer a client.
  let connectErrors: Counter
  /// Checks that it passed, and did not.
  let checksPassed, checksFailed: Counter
  /// Connections now; whether it is believed to answer.
  let active, isUp: Meter
  /// Bytes it accepted, and bytes its clients did.
  let sent, received: Bytes

  init(of upstream: ServerAddress, _ factory: any MetricsFactory) {
    let name = ("upstream", "\(upstream)")
    func counter(_ name: String, _ dimensions: (String, String)...) -> Counter {
      Counter(label: "splice_relay_\(name)_total", dimensions: dimensions, factory: factory)
    }
    connections = counter("connections", name)
    connectTime = CoreMetrics.Timer(
      label: "splice_relay_connect_seconds", dimensions: [name], factory: factory)
    connectErrors = counter("connect_errors", name)
    checksPassed = counter("checks", name, ("outcome", "passed"))
    checksFailed = counter("checks", name, ("outcome", "failed"))
    active = Meter(label: "splice_relay_upstream_connections", dimensions: [name], factory: factory)
    isUp = Meter(label: "splice_relay_upstream_up", dimensions: [name], factory: factory)
    func bytes(_ direction: String) -> Bytes {
      let direction = ("direction", direction)
      return Bytes(
        spliced: counter("bytes", name, direction, ("path", "splice")),
        copied: counter("bytes", name, direction, ("path", "copy")))
    }
    (sent, received) = (bytes("sent"), bytes("received"))
  }

  /// Bytes by the way they travelled, told from time to time.
  struct Bytes: Sendable {
    fileprivate let spliced, copied: Counter
    private let told = Locked(PathCounts())

    fileprivate init(spliced: Counter, copied: Counter) { (self.spliced, self.copied) = (spliced, copied) }

    /// Tells what has come on top of what was told before.
    func tell(_ passed: PathCounts) {
      told.withLock { told in
        spliced.increment(by: passed.splice - told.splice)
        copied.increment(by: passed.copy - told.copy)
        told = passed
      }
    }
  }
}
