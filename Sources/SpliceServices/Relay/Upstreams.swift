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
    _ addresses: [(ServerAddress, places: [SocketAddress])], _ options: Relay.Options,
    _ measures: Measures, _ metrics: any MetricsFactory, _ logger: Logger
  ) {
    all = addresses.map { Upstream($0.0, at: $0.places, options, metrics) }
    (self.options, self.measures, self.logger) = (options, measures, logger)
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

  /// Why there is no upstream for a client.
  enum Unavailable: Error {
    /// Known before it came.
    case noneIsUp
    /// The last that was tried did not answer.
    case last(SpliceError)
  }

  /// A connection to the first one that answers, which counts as that one's until it is given up.
  func connect(watchedBy executor: EpollExecutor) async throws(Unavailable) -> Link {
    var failure = Unavailable.noneIsUp
    for index in order() {
      let upstream = all[index]
      // Counted from now on, so that clients who come meanwhile are spread.
      upstream.begin()
      do throws(SpliceError) {
        let begun = ContinuousClock.now
        let socket = try await connect(to: upstream, resetting: true, watchedBy: executor)
        return link(upstream, socket, since: begun)
      } catch {
        failure = .last(error)
        if !hasFailed(upstream, error) { break }
      }
    }
    throw failure
  }

  @inline(never)
  private func link(
    _ upstream: Upstream, _ socket: consuming Watched, since begun: ContinuousClock.Instant
  ) -> Link {
    upstream.measures.connections.increment()
    upstream.measures.connectTime.recordNanoseconds((.now - begun).nanoseconds)
    return Link(to: upstream, socket)
  }

  /// Counts a connection that was not made; whether another upstream is to be tried.
  @inline(never)
  private func hasFailed(_ upstream: Upstream, _ error: SpliceError) -> Bool {
    upstream.end()
    if error == .cancelled { return false }
    if error.isLocal { return true }
    upstream.measures.connectErrors.increment()
    if error == .timedOut { measures.connectTimeouts.increment() }
    return true
  }

  /// A connection to one of them, to whichever of its addresses answers first. What comes of it is noted,
  /// unless it failed for a reason of this side. If `resetting`, the upstream is reset when the connection is
  /// closed, until that is taken back.
  func connect(
    to upstream: Upstream, resetting: Bool = false, watchedBy executor: EpollExecutor
  ) async throws(SpliceError) -> Watched {
    do throws(SpliceError) {
      let socket = try await SocketAddress.connect(
        toOneOf: upstream.places, within: options.connectTimeout, watchedBy: executor
      ) { socket throws(Errno) in
        try socket.setTCP(options.tcp)
        if resetting { socket.resetUnlessFinished() }
      }
      note(upstream, nil)
      return socket
    } catch {
      if error != .cancelled, !error.isLocal { note(upstream, error) }
      throw error
    }
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
  final class Link {
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

extension SpliceError {
  /// Whether a connection could not be made for a reason of this side, which says nothing of the upstream: no
  /// descriptor, memory or local port.
  var isLocal: Bool {
    switch self {
    case .source(let errno), .sink(let errno): errno.isShortage || errno == .addressNotAvailable
    case .pipe: true
    case .truncated, .cancelled, .timedOut: false
    }
  }
}
