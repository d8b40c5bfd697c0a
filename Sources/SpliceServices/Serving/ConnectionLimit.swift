// How many clients a server has at once.

import Splice
import SystemPackage

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
