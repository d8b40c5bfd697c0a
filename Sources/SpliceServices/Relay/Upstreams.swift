// Where clients are forwarded to: which upstream is next, and the next one when it does not answer.

import Splice
import SystemPackage

/// Where clients are forwarded to.
final class Upstreams: Sendable {
  /// One of them.
  final class Upstream: Sendable {
    let address: Relay.Address
    fileprivate let places: [SocketAddress]
    fileprivate let traffic = Locked(Relay.Traffic())

    init(_ address: Relay.Address) throws(Relay.Failure) {
      self.address = address
      places = try address.resolve()
    }
  }

  private struct State {
    /// Connections of each.
    var active: [Int]
    /// Whose turn it is.
    var next = 0
  }

  let all: [Upstream]
  private let state: Locked<State>
  private let options: Relay.Options

  init(_ addresses: [Relay.Address], _ options: Relay.Options) throws(Relay.Failure) {
    var all: [Upstream] = []
    for address in addresses { all.append(try Upstream(address)) }
    self.all = all
    self.options = options
    state = Locked(State(active: [Int](repeating: 0, count: all.count)))
  }

  /// The order in which they are tried for one client.
  private func order() -> [Int] {
    state.withLock { state in
      let first = state.next
      state.next = (first + 1) % all.count
      let turn = all.indices.map { (first + $0) % all.count }
      switch options.balance {
      case .roundRobin: return turn
      // Equals in their turn.
      case .leastConnections:
        return turn.enumerated().sorted {
          (state.active[$0.element], $0.offset) < (state.active[$1.element], $1.offset)
        }.map(\.element)
      }
    }
  }

  /// A connection to the first one that answers, which counts as that one's until it is given up.
  ///
  /// - Throws: Why the last one did not answer.
  func connect(watchedBy executor: EpollExecutor) async throws(SpliceError) -> Link {
    var failure = SpliceError.sink(.connectionRefused)
    for index in order() {
      for place in all[index].places {
        do throws(SpliceError) {
          let socket = try await place.connect(
            until: .now + options.connectTimeout, watchedBy: executor
          ) { socket throws(Errno) in try socket.setTCP(keepalive: options.keepalive) }
          return Link(to: index, of: self, socket)
        } catch {
          if error == .cancelled { throw error }
          failure = error
        }
      }
    }
    throw failure
  }

  /// A connection to one of them.
  struct Link: ~Copyable {
    let socket: Watched
    let index: Int
    private let upstreams: Upstreams

    fileprivate init(to index: Int, of upstreams: Upstreams, _ socket: consuming Watched) {
      upstreams.state.withLock { $0.active[index] += 1 }
      (self.index, self.upstreams) = (index, upstreams)
      self.socket = socket
    }

    /// What has passed, once it is known.
    func count(sent: UInt64, received: UInt64) {
      upstreams.all[index].traffic.withLock {
        $0.add(Relay.Traffic(connections: 1, sent: sent, received: received))
      }
    }

    deinit { upstreams.state.withLock { $0.active[index] -= 1 } }
  }
}

extension Upstreams.Upstream {
  var soFar: Relay.Traffic { traffic.withLock { $0 } }
}
