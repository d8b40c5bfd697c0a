// Which upstream is next, and the next one when it does not answer.

import CoreMetrics
import Logging
import Splice
import Synchronization
import SystemPackage

/// Where clients are forwarded to.
final class Upstreams: Sendable {
  let all: [Upstream]
  private let next = Atomic<Int>(0)
  private let options: Relay.Options
  private let measures: Measures
  private let logger: Logger

  init(
    _ addresses: [ServerAddress], _ options: Relay.Options, _ measures: Measures,
    _ metrics: any MetricsFactory, _ logger: Logger
  ) throws(ServerAddress.Failure) {
    var all: [Upstream] = []
    for address in addresses { all.append(try Upstream(address, options, metrics)) }
    (self.all, self.options, self.measures, self.logger) = (all, options, measures, logger)
  }

  /// Whether a client would be served.
  var isAnyUp: Bool { all.contains { $0.isUp } }

  /// The order in which they are tried for one client.
  private func order() -> [Int] {
    let first = next.wrappingAdd(1, ordering: .relaxed).oldValue
    let inTurn = all.indices.map { Int(UInt(bitPattern: first &+ $0) % UInt(all.count)) }
    let turns = inTurn.map { (index: $0, turn: all[$0].turn) }
    var order = turns.filter { $0.turn == .inTurn }.map(\.index)
    if options.balance == .leastConnections {
      // Equals in their turn.
      let counts = order.enumerated().map { (index: $0.element, key: (all[$0.element].active, $0.offset)) }
      order = counts.sorted { $0.key < $1.key }.map(\.index)
    }
    return order + turns.filter { $0.turn == .last }.map(\.index)
  }

  /// Why nobody is there for a client.
  enum Failure: Error {
    /// Known before it came.
    case noneIsUp
    /// The last that was tried did not answer.
    case last(SpliceError)
  }

  /// A connection to the first one that answers, which counts as that one's until it is given up.
  func connect(watchedBy executor: EpollExecutor) async throws(Failure) -> Link {
    var failure = Failure.noneIsUp
    for index in order() {
      let upstream = all[index]
      // Counted from now on, so that clients who come meanwhile are spread.
      upstream.begin()
      do throws(SpliceError) {
        let begun = ContinuousClock.now
        let socket = try await connect(to: upstream, watchedBy: executor)
        upstream.measures.connections.increment()
        upstream.measures.connectTime.recordNanoseconds((.now - begun).nanoseconds)
        return Link(to: upstream, socket)
      } catch {
        upstream.end()
        failure = .last(error)
        if error == .cancelled { break }
        upstream.measures.connectErrors.increment()
        if error == .timedOut { measures.connectTimeouts.increment() }
      }
    }
    throw failure
  }

  /// A connection to one of them. What comes of it is noted.
  func connect(
    to upstream: Upstream, watchedBy executor: EpollExecutor
  ) async throws(SpliceError) -> Watched {
    var failure = SpliceError.sink(.addressNotAvailable)
    for place in upstream.places {
      do throws(SpliceError) {
        let socket = try await place.connect(
          until: .now + options.connectTimeout, watchedBy: executor
        ) { socket throws(Errno) in try socket.setTCP(options.tcp) }
        note(upstream, nil)
        return socket
      } catch {
        failure = error
        if error == .cancelled { throw error }
      }
    }
    note(upstream, failure)
    throw failure
  }

  private func note(_ upstream: Upstream, _ failure: SpliceError?) {
    guard upstream.note(failure == nil) else { return }
    let name: Logger.MetadataValue = "\(upstream.address)"
    if let failure {
      logger.warning("upstream is down", metadata: ["upstream": name, "reason": "\(failure.reason)"])
    } else {
      logger.notice("upstream is up", metadata: ["upstream": name])
    }
  }

  /// A connection to one of them, which has begun to count.
  struct Link: ~Copyable {
    let socket: Watched
    let upstream: Upstream

    fileprivate init(to upstream: Upstream, _ socket: consuming Watched) {
      self.upstream = upstream
      self.socket = socket
    }

    /// What has passed, once it is known.
    func count(sent: UInt64, received: UInt64) {
      upstream.count(Relay.Traffic(connections: 1, sent: sent, received: received))
    }

    deinit { upstream.end() }
  }
}
