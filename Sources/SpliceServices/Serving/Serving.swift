// What the threads of a server share: its clients, and whether more are taken.

import CoreMetrics
import Logging
import Splice
import SystemPackage

/// The clients of a server, and whether more are taken.
final class Serving: Sendable {
  let connections: ConnectionLimit
  /// Clients that were taken.
  let accepted = AtomicCounter(0)
  /// Readable once no more clients are to be taken.
  let draining: Event
  private let drainBegan = Locked<ContinuousClock.Instant?>(nil)
  private let drainTimeout: Duration
  private let measures: ClientMeasures
  private let logger: Logger

  /// `name` is that of the server in what is measured.
  init(
    atMost limit: Int, drainTimeout: Duration, _ metrics: any MetricsFactory, of name: String,
    _ logger: Logger
  ) throws(Errno) {
    connections = try ConnectionLimit(limit)
    draining = try Event()
    (self.drainTimeout, self.logger) = (drainTimeout, logger)
    measures = ClientMeasures(of: name, metrics)
  }

  /// When clients that go on are cut off, once the server drains: one time for everything that has to end
  /// until then.
  var drainEnd: ContinuousClock.Instant { (drainBegan.withLock { $0 } ?? .now) + drainTimeout }

  func drain() {
    close()
    sayDraining()
  }

  /// No more clients are taken, whose time begins to run.
  func close() {
    drainBegan.withLock { $0 = $0 ?? .now }
    connections.close()
    draining.signal()
  }

  /// Says so again from time to time, and not just after it was said first.
  func sayDraining(after time: Duration) {
    if let began = drainBegan.withLock({ $0 }), began + time <= .now { sayDraining() }
  }

  private func sayDraining() {
    logger.notice("draining", metadata: ["connections": "\(connections.taken)"])
  }

  func hasAccepted() {
    accepted.add(1)
    measures.accepted.increment()
  }

  /// For want of descriptors or memory, the first time in a row or not.
  func cannotAccept(_ error: Errno, isFirst: Bool) {
    measures.acceptErrors.increment()
    if isFirst { logger.warning("cannot accept connections", metadata: ["reason": "\(error)"]) }
  }

  /// A thread can open what it should not need.
  func cannotConfine(_ error: Errno) {
    logger.notice("threads are not confined by Landlock", metadata: ["reason": "\(error)"])
  }

  /// Tells what is not told when it happens.
  func report() {
    measures.clients.set(connections.taken)
    measures.draining.set(connections.isClosed ? 1 : 0)
  }
}

/// What is measured of the clients of a server.
private struct ClientMeasures: Sendable {
  /// Clients that were taken; times none could be, for want of descriptors or memory.
  let accepted, acceptErrors: Counter
  /// Clients now; whether no more are taken.
  let clients, draining: Meter

  init(of name: String, _ factory: any MetricsFactory) {
    accepted = Counter(label: "splice_\(name)_accepted_total", factory: factory)
    acceptErrors = Counter(label: "splice_\(name)_accept_errors_total", factory: factory)
    clients = Meter(label: "splice_\(name)_clients", factory: factory)
    draining = Meter(label: "splice_\(name)_draining", factory: factory)
  }
}

extension Serving {
  /// What each of these metrics is, by name, for a backend that tells.
  static func metricsHelp(of name: String) -> [String: String] {
    [
      "splice_\(name)_accepted_total": "Clients that were taken.",
      "splice_\(name)_accept_errors_total":
        "Times no client could be taken, for want of descriptors or memory.",
      "splice_\(name)_clients": "Clients that are served now.",
      "splice_\(name)_draining": "Whether no more clients are taken.",
    ]
  }
}
