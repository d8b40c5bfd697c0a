// What all threads of a relay share: the options, the upstreams, the pipes.

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
    let serving: Serving
    let logger: Logger
    let measures: Measures
    /// One for each thread that serves.
    let heartbeats: [Heartbeat]
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
        serving = try Serving(
          atMost: budget.connections, drainTimeout: options.drainTimeout, metrics, of: "relay", logger)
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

    func sayLimit() {
      let message = "limit of simultaneous connections"
      logger.log(
        level: budget.isEnough ? .notice : .warning,
        budget.isEnough ? "\(message)" : "\(message) is above what descriptors and local ports allow",
        metadata: ["connections": "\(budget.connections)", "descriptors": "\(descriptors)"])
    }

    /// Tells what is not told when it happens.
    func report() {
      serving.report()
      measures.pipesLent.set(pool.counters.lent)
      measures.pipeBytes.set(pool.counters.bytes)
      measures.pipeBudget.set(options.pipeBudget)
      for upstream in upstreams.all { upstream.report() }
    }
  }
}
