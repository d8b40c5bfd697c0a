// Where clients are forwarded to: which upstream is next, and the next one when it does not answer.

import Splice
import SystemPackage

/// Where clients are forwarded to.
final class Upstreams: Sendable {
  /// One of them.
  final class Upstream: Sendable {
    let address: Relay.Address
    fileprivate let places: [SocketAddress]

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

  private let all: [Upstream]
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

  /// Runs `body` with a connection to the first one that answers, which counts as that one's until it is done.
  ///
  /// - Throws: Why the last one did not answer.
  func withConnection(
    watchedBy executor: EpollExecutor, _ body: (Upstream, borrowing Descriptor) async -> Void
  ) async throws(SpliceError) {
    var failure = SpliceError.sink(.connectionRefused)
    for index in order() {
      for place in all[index].places {
        do throws(SpliceError) {
          let socket = try await place.connect(
            until: .now + options.connectTimeout, watchedBy: executor
          ) { socket throws(Errno) in try socket.setTCP(keepalive: options.keepalive) }
          state.withLock { $0.active[index] += 1 }
          await body(all[index], socket.descriptor)
          state.withLock { $0.active[index] -= 1 }
          return
        } catch {
          if error == .cancelled { throw error }
          failure = error
        }
      }
    }
    throw failure
  }
}
