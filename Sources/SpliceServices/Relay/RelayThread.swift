// One thread of a relay: its listeners, and that it turns.

import Splice
import SystemPackage

/// One thread of a relay.
struct RelayThread: Sendable {
  private let listeners: [Listeners.Socket]
  private let shared: Relay.Shared
  private let executor: EpollExecutor
  private let heartbeat: Heartbeat
  /// Signalled when it serves no connection any more.
  private let end: Event

  init(
    _ listeners: [Listeners.Socket], _ shared: Relay.Shared, _ heartbeat: Heartbeat,
    on executor: EpollExecutor,
    ending end: Event
  ) {
    self.listeners = listeners
    self.shared = shared
    self.heartbeat = heartbeat
    self.executor = executor
    self.end = end
  }

  /// Until the relay drains, and everybody has left or the time for that is over.
  func run() async {
    async let beating: Void = heartbeat.run(on: executor, until: end)
    let acceptor = Acceptor<Connection>(for: shared, shared.serving, on: executor)
    await withDiscardingTaskGroup { group in
      for listener in listeners { group.addTask { await acceptor.serve(listener) } }
    }
    end.signal()
    await beating
  }
}
