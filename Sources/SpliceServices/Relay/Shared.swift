// What all threads of a relay share: the options, the upstreams, the pipes, the connections.

import CoreMetrics
import Logging
import Splice
import SystemPackage

extension Relay {
  /// What all threads of a relay share.
  final class Shared: Sendable {
    let options: Options
    let upstreams: Upstreams
    let pool: PipePool
    let connections: ConnectionLimit
    let logger: Logger
    let measures: Measures
    /// Clients that were taken.
    let accepted = AtomicCounter(0)
    /// One for each thread that serves.
    let heartbeats: [Heartbeat]
    /// Readable once no more clients are to be taken.
    let draining: Event
    private let drainBegan = Locked<ContinuousClock.Instant?>(nil)
    private let budget: DescriptorBudget
    private let descriptors: Int

    init(
      _ addresses: [(ServerAddress, places: [SocketAddress])], _ options: Options, listeners: Int,
      _ metrics: any MetricsFactory, _ logger: Logger
    ) throws(ServerAddress.Unusable) {
      self.options = options
      self.logger = logger
      let threads = max(1, options.threads)
      heartbeats = (0..<threads).map { Heartbeat(of: "splice-relay-\($0)") }
      measures = Measures(metrics)
      upstreams = Upstreams(addresses, options, measures, metrics, logger)
      let places = addresses.flatMap(\.places)
      let needs = DescriptorNeeds(
        threads: threads, listeners: listeners, places: places.count, others: options.otherDescriptors)
      do throws(Errno) {
        descriptors = try Syscall.descriptorLimit()
        budget = DescriptorBudget(
          limit: descriptors, needs: needs, wish: options.maxConnections, ports: Self.ports(to: places),
          pipeBytes: options.pipeBudget)
        connections = try ConnectionLimit(budget.connections)
        draining = try Event()
      } catch {
        throw ServerAddress.Unusable(address: addresses[0].0, act: "relay", reason: "\(error)")
      }
      guard descriptors >= needs.least else {
        throw ServerAddress.Unusable(
          address: addresses[0].0, act: "relay",
          reason:
            "\(descriptors) open descriptors are too few for \(threads) threads and what else it has: \(needs.least) are needed"
        )
      }
      pool = PipePool(budget: options.pipeBudget, pipes: budget.pipes)
    }

    /// Local ports for connections to these addresses: each has all of them. A unix socket needs none.
    private static func ports(to places: [SocketAddress]) -> Int? {
      guard !places.contains(where: \.isUnix), let range = LocalPorts.range else { return nil }
      return places.count * range.count
    }

    /// How the bytes of a connection go, each direction at a pace of its own.
    func flows(_ upstream: Upstream) -> Duplex.Options {
      let pace = { self.options.rateLimit.map { Pace(bytesPerSecond: $0) } }
      return Duplex.Options(
        forward: FlowOptions(pace: pace(), meter: upstream.meters.sent),
        backward: FlowOptions(pace: pace(), meter: upstream.meters.received),
        idle: options.idleTimeout, halfClose: options.halfCloseTimeout)
    }

    /// When connections that go on are cut off, once the relay drains: one time for everything that has to
    /// end until then.
    var drainEnd: ContinuousClock.Instant { (drainBegan.withLock { $0 } ?? .now) + options.drainTimeout }

    func drain() {
      drainBegan.withLock { $0 = .now }
      connections.close()
      draining.signal()
      sayDraining()
    }

    func sayLimit() {
      let message = "limit of simultaneous connections"
      logger.log(
        level: budget.isEnough ? .notice : .warning,
        budget.isEnough ? "\(message)" : "\(message) is above what descriptors and local ports allow",
        metadata: ["connections": "\(budget.connections)", "descriptors": "\(descriptors)"])
    }

    /// Says so again from time to time, and not just after it was said first.
    func sayDraining(after time: Duration) {
      if let began = drainBegan.withLock({ $0 }), began + time <= .now { sayDraining() }
    }

    private func sayDraining() {
      logger.notice("draining", metadata: ["connections": "\(connections.taken)"])
    }

    /// A thread that has not turned for too long.
    var stalled: Heartbeat? { heartbeats.first { $0.silence.map { $0 > options.longestTurn } == true } }

    func hasAccepted() {
      accepted.add(1)
      measures.accepted.increment()
    }

    /// Tells what is not told when it happens.
    func report() {
      measures.clients.set(connections.taken)
      measures.draining.set(connections.isClosed ? 1 : 0)
      measures.pipesLent.set(pool.counters.lent)
      measures.pipeBytes.set(pool.counters.bytes)
      measures.pipeBudget.set(options.pipeBudget)
      for upstream in upstreams.all { upstream.report() }
    }
  }
}

/// The connections that are served at once: at most this many.
final class ConnectionLimit: Sendable {
  private struct State {
    var taken = 0
    var isClosed = false
    /// A thread waits for the next that ends.
    var isWaitedFor = false
  }

  private let state = Locked(State())
  private let limit: Int
  /// Signalled when a connection has ended and a thread waits for that.
  let change: Event

  init(_ limit: Int) throws(Errno) {
    self.limit = limit
    change = try Event()
  }

  var taken: Int { state.withLock { $0.taken } }
  var isClosed: Bool { state.withLock { $0.isClosed } }

  /// No connection is waited for any more; clients that have come may still be served.
  func close() { state.withLock { $0.isClosed = true } }

  func take() -> Bool {
    state.withLock { state in
      guard state.taken < limit else { return false }
      state.taken += 1
      return true
    }
  }

  func leave() {
    let isWaitedFor = state.withLock { state in
      state.taken -= 1
      defer { state.isWaitedFor = false }
      return state.isWaitedFor
    }
    if isWaitedFor { change.signal() }
  }

  /// Whether there is anybody to wait for: `change` tells of the next who leaves.
  func waitForNext() -> Bool {
    state.withLock { state in
      state.isWaitedFor = state.taken > 0
      return state.isWaitedFor
    }
  }

  /// Waits for room, unless there is some, or none will ever be: whether there is something to wait
  /// for.
  func waitForRoom() -> Bool {
    state.withLock { state in
      guard !state.isClosed, state.taken >= limit else { return false }
      state.isWaitedFor = true
      return true
    }
  }
}
