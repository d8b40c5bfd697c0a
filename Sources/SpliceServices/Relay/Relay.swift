// Connections forwarded to upstreams, without copying the bytes.
//
// Three rooms: `Listeners` take clients, `Upstreams` choose where each goes, a `Connection` is one task from
// the first byte to the line in the log. A thread of the relay takes clients and serves them, and shares
// nothing with the others but counters.

import CoreMetrics
import Logging
import ServiceLifecycle
import Splice
import SystemPackage

/// Forwards every connection to an upstream: bytes are spliced, never copied, and ends and resets are passed
/// on as they are.
///
/// ```swift
/// let relay = try Relay(on: [.tcp(host: "0.0.0.0", port: 5432)], to: [.tcp(host: "db1", port: 5432)])
/// try await ServiceGroup(services: [relay], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public final class Relay: Service {
  /// Which upstream is next.
  public enum Balance: String, Sendable, Hashable, CaseIterable {
    /// Each in its turn.
    case roundRobin = "round-robin"
    /// The one with the fewest connections of ours.
    case leastConnections = "least-connections"
  }

  /// A version of the PROXY protocol.
  public enum ProxyVersion: String, Sendable, Hashable, CaseIterable {
    /// One line of text.
    case v1
    /// Binary.
    case v2
  }

  /// How it is done.
  public struct Options: Sendable {
    /// Which upstream is next.
    public var balance = Balance.roundRobin
    /// How long each upstream has to answer, with all addresses of its name; the next one is tried after
    /// that.
    public var connectTimeout = Duration.seconds(5)
    /// Ends a connection on which no byte was accepted either way for this long.
    public var idleTimeout: Duration?
    /// Ends a connection of which one side has ended and the other is idle for this long.
    public var halfCloseTimeout: Duration?
    /// No more are served at once; further ones wait in the kernel's queue. Nil: as many as this process has
    /// descriptors for (RLIMIT_NOFILE), and local ports to connect to the upstreams from.
    public var maxConnections: Int?
    /// TCP keepalive, on both sides: idle time before the first probe, in seconds, 32767 at most; a peer is
    /// dropped after three times that without an answer. One that answers and does not read is alive.
    /// C: SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT
    public var keepalive: Duration?
    /// How long bytes of ours may stay unacknowledged before a connection is dropped, on both sides. A peer
    /// that does not read (a zero window) counts too, and with it set, it decides in place of ``keepalive``
    /// when a silent peer is dropped.  C: TCP_USER_TIMEOUT
    public var userTimeout: Duration?
    /// Shares the port with other processes that do the same, such as another relay; without it a port that
    /// is taken is an error.
    public var reusePort = false
    /// Versions of the PROXY protocol that clients begin with; when there are any, every client has to.
    public var proxyIn: Set<ProxyVersion> = []
    /// How long a client has for that.
    public var headerTimeout = Duration.seconds(5)
    /// The version each upstream is told the client's address in.
    public var proxyOut: ProxyVersion?
    /// Bytes a second, each direction of each connection.
    public var rateLimit: UInt64?
    /// Bytes of pipes that are lent at once; past it bytes are copied.
    public var pipeBudget = 32 << 20
    /// Threads that serve.
    public var threads = 1
    /// Fan-outs whose sinks see what clients send (`forward`) and are sent, of all connections in the order
    /// in which it is forwarded. Sinks come and go as they like, and miss what they are too slow for.
    public var taps = Duplex.Taps()
    /// Checks each upstream so often whether it can be connected to. One that is down is not tried for a
    /// client, and when all are, clients are reset at once. Without it, one that did not answer comes last
    /// for ten seconds.
    public var healthInterval: Duration?
    /// So many outcomes in a row, of checks or of clients' connections, bring an upstream up that is down.
    public var healthRise = 2
    /// So many bring one down that is up. The first outcome of all decides by itself.
    public var healthFall = 3
    /// Descriptors that this process needs for other things than this relay, such as
    /// ``AdminServer/descriptors`` and the sinks of taps. The relay does not begin without them, and leaves
    /// them free.
    public var otherDescriptors = 0
    /// How long connections may go on once the relay is to end.
    public var drainTimeout = Duration.seconds(30)

    /// The usual.
    public init() {}

    /// A thread that has not turned for this long is taken to be stuck.
    var longestTurn = Duration.seconds(5)

    var tcp: TCPOptions { TCPOptions(keepalive: keepalive, userTimeout: userTimeout) }
  }

  /// What connections that have ended have moved, exact to the byte also where it was spliced.
  public struct Traffic: Sendable, Hashable {
    /// Connections.
    public internal(set) var connections: UInt64 = 0
    /// Bytes upstreams accepted, without headers of ours.
    public internal(set) var sent: UInt64 = 0
    /// Bytes clients accepted.
    public internal(set) var received: UInt64 = 0

    mutating func add(_ other: Traffic) {
      connections += other.connections
      sent += other.sent
      received += other.received
    }
  }

  let shared: Shared
  private let listeners: Listeners
  private let caretaking: Maintenance
  private let threads: [(executor: OwnExecutor, thread: RelayThread)]

  /// Listens, so that clients may come from now on; they are served by ``run()``.
  ///
  /// - Parameters:
  ///   - addresses: Where to listen.
  ///   - upstreams: Where clients are forwarded to.
  ///   - options: How.
  ///   - metrics: Gets what is measured.
  ///   - logger: Gets a line at the end of each connection.
  /// - Throws: ``ServerAddress/Unusable`` for an address that cannot be listened on, a name that is not
  ///   known, and an upstream that is this relay.  C: `getaddrinfo`, `bind`, `listen`
  public convenience init(
    on addresses: [ServerAddress], to upstreams: [ServerAddress], options: Options = Options(),
    metrics: any MetricsFactory = MetricsSystem.factory, logger: Logger = Logger(label: "splice.relay")
  ) throws(ServerAddress.Unusable) {
    try self.init(
      on: addresses, to: upstreams, options: options, metrics: metrics, logger: logger, stoppedBy: nil)
  }

  /// `taps` are where the sinks of its taps connect to: none of them may be this relay. `stop` ends the wait
  /// for a resolver, which is a failure then.
  package init(
    on addresses: [ServerAddress], to upstreams: [ServerAddress], tapping taps: [ServerAddress] = [],
    options: Options,
    metrics: any MetricsFactory, logger: Logger, stoppedBy stop: StopFlag?
  ) throws(ServerAddress.Unusable) {
    let count = max(1, options.threads)
    let places = try Lookup.all(upstreams, waitingIn: BlockingWait(orStoppedBy: stop))
    let listeners = try Listeners(
      on: addresses, sharedBy: count, reusingPort: options.reusePort, tcp: options.tcp, resetting: true,
      stoppedBy: stop)
    for (upstream, places) in zip(upstreams, places) {
      try listeners.mustNotBeReached(by: upstream, at: places)
    }
    // A name that leads to another port is of no interest, and one that is not known now may be known when
    // its tap is opened.
    for tap in taps where listeners.mayBeReached(by: tap) {
      guard let places = try? Lookup.all([tap], waitingIn: BlockingWait(orStoppedBy: stop)) else { continue }
      try listeners.mustNotBeReached(by: tap, at: places.flatMap { $0 })
    }
    self.listeners = listeners
    shared = try Shared(
      Array(zip(upstreams, places)), options, listeners: count * listeners.bound.count, metrics, logger)
    do throws(Errno) {
      caretaking = try Maintenance(of: shared)
      threads = try Self.threads(listeners, shared)
    } catch { throw ServerAddress.Unusable(address: addresses[0], act: "relay", reason: "\(error)") }
  }

  private static func threads(
    _ listeners: Listeners, _ shared: Shared
  ) throws(Errno) -> [(executor: OwnExecutor, thread: RelayThread)] {
    var threads: [(executor: OwnExecutor, thread: RelayThread)] = []
    for (sockets, heartbeat) in zip(listeners.sockets, shared.heartbeats) {
      let own = try OwnExecutor(name: heartbeat.name)
      let thread = RelayThread(sockets, shared, heartbeat, on: own.executor, ending: try Event())
      threads.append((own, thread))
    }
    return threads
  }

  /// Where it listens, with the ports that were chosen for 0.
  public var addresses: [ServerAddress] { listeners.bound }

  /// Connections that are served now.
  public var connections: Int { shared.serving.connections.taken }

  /// What went to each upstream, in the order in which they were named.
  public var traffic: [(upstream: ServerAddress, traffic: Traffic)] {
    shared.upstreams.all.map { ($0.address, $0.traffic) }
  }

  /// Serves until it is cancelled, or shut down gracefully: then no more clients are taken, and those that
  /// are there have the drain timeout to end.
  public func run() async throws {
    // The runtime opens descriptors for its first thread and its first timer, and without any it ends the
    // process: before clients have them.
    try? await Task.sleep(nanoseconds: 1)
    shared.sayLimit()
    await withGracefulShutdownHandler {
      await withTaskGroup(of: Void.self) { [caretaking] group in
        group.addTask { await caretaking.run() }
        await serve()
        group.cancelAll()
      }
      listeners.close()
      sayTraffic()
      report()
    } onGracefulShutdown: { [shared, listeners] in
      // A successor has the paths while this one drains.
      listeners.close()
      shared.serving.drain()
    }
  }

  private func serve() async {
    await withTaskGroup(of: Void.self) { group in
      for (own, thread) in threads {
        group.addTask(executorPreference: own.executor) { await thread.run() }
      }
    }
  }
}

extension Relay {
  /// Why a client would not be served now, nil when it would: the relay drains, or no upstream is up.
  public var unready: String? {
    if shared.serving.connections.isClosed { return "draining" }
    return shared.upstreams.isAnyUp ? nil : "no upstream is up"
  }

  /// Why this process should be restarted, nil while all is well: a thread has not turned for five seconds,
  /// and its connections stand still.
  public var unhealthy: String? {
    Heartbeat.complaint(of: shared.heartbeats, after: shared.options.longestTurn)
  }

  /// Tells swift-metrics what is not told when it happens: bytes, and whatever is a state. It does so by
  /// itself every few seconds, and may be asked to just before it is read.
  public func report() { shared.report() }

  /// A line for each upstream, and one for all of them.
  private func sayTraffic() {
    var total = Traffic()
    for (upstream, traffic) in traffic {
      total.add(traffic)
      shared.logger.info("upstream", metadata: traffic.metadata(["upstream": "\(upstream)"]))
    }
    shared.logger.info("total", metadata: total.metadata())
  }
}

extension Relay.Traffic {
  fileprivate func metadata(_ other: Logger.Metadata = [:]) -> Logger.Metadata {
    other.merging(["connections": "\(connections)", "sent": "\(sent)", "received": "\(received)"]) { $1 }
  }
}
