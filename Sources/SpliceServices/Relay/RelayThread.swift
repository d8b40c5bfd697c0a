// One thread of a relay: takes clients from its listeners, and has a task for each.

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

  /// So many clients are taken before others have their turn.
  private static let most = 64
  /// How long to wait when there are no descriptors or no memory: nothing tells when there are again.
  private static let scarcity = Duration.milliseconds(100)

  /// Until the relay drains, and everybody has left or the time for that is over.
  func run() async {
    async let beating: Void = heartbeat.run(on: executor, until: end)
    await withDiscardingTaskGroup { group in
      for listener in listeners { group.addTask { await serve(listener) } }
    }
    end.signal()
    await beating
  }

  private func serve(_ listener: Listeners.Socket) async {
    let watch = Watch(listener, shared, on: executor)
    await withDiscardingTaskGroup { connections in
      await withTaskCancellationHandler {
        await take(from: listener, watch) { client, address in
          connections.addTask { [shared, executor] in
            let socket = Descriptor(stream: client, isUnix: address.isUnix)
            // The others have this from their listener.
            if listener.isInherited { socket.resetUnlessFinished() }
            await Connection(shared, client: address, on: executor).serve(socket)
            shared.connections.leave()
          }
        }
        let end = shared.drainEnd
        while !Task.isCancelled, .now < end, shared.connections.waitForNext() {
          await watch.wait(for: watch.change, until: end)
        }
      } onCancel: {
        watch.interrupt()
      }
      connections.cancelAll()
    }
  }

  private func take(
    from listener: Listeners.Socket, _ watch: Watch, _ begin: (FileDescriptor, SocketAddress) -> Void
  ) async {
    let connections = shared.connections
    var turn = 0
    var isScarce = false
    // Connections that were queued when the drain began are served while there is room; the rest are closed
    // with the listener.
    var promised = Listeners.backlog
    while !Task.isCancelled, promised > 0 {
      if connections.isClosed {
        promised = listener.isInherited || shared.drainEnd <= .now ? 0 : promised - 1
      }
      guard connections.take() else {
        if connections.isClosed { break }
        if connections.waitForRoom() { await watch.wait(for: watch.change, or: watch.draining) }
        continue
      }
      do throws(Errno) {
        if let (client, address) = try listener.descriptor.acceptPeer() {
          shared.hasAccepted()
          begin(client, address)
          isScarce = false
          turn += 1
          if turn.isMultiple(of: Self.most) { await Task.yield() }
          continue
        }
        connections.leave()
        if connections.isClosed { break }
        await watch.wait(for: watch.clients, or: watch.draining)
      } catch {
        connections.leave()
        // What is missing may be missing until the end, and what is closed stays so.
        if connections.isClosed { break }
        shared.measures.acceptErrors.increment()
        if !isScarce { shared.logger.warning("cannot accept connections", metadata: ["reason": "\(error)"]) }
        isScarce = true
        await watch.wait(for: watch.draining, until: .now + Self.scarcity)
      }
    }
    listener.close()
  }
}

/// What the task of a listener waits for.
private final class Watch: Sendable {
  /// A client has come; a connection has ended; no more clients are to be taken.
  let clients, change, draining: Interest
  private let readiness: EpollExecutor

  init(_ listener: Listeners.Socket, _ shared: Relay.Shared, on readiness: EpollExecutor) {
    self.readiness = readiness
    func watch(_ descriptor: FileDescriptor) -> Interest {
      Interest(readiness.attach(descriptor), as: .source)
    }
    clients = listener.descriptor.withFileDescriptor { watch($0) }
    change = watch(shared.connections.change.descriptor)
    draining = watch(shared.draining.descriptor)
  }

  deinit { for interest in [clients, change, draining] { readiness.detach(interest.key) } }

  /// Until one of them is ready, a time has come, or the task is cancelled.
  func wait(
    for one: Interest, or other: Interest? = nil, until end: ContinuousClock.Instant? = nil
  ) async {
    // An error of epoll itself: then nothing would ever be ready, and trying again at once would spin.
    do throws(Errno) { _ = try await readiness.wait(for: one, or: other, until: end) } catch {
      try? await Task.sleep(for: .milliseconds(100))
    }
  }

  func interrupt() { for interest in [clients, change, draining] { readiness.interrupt(interest.key) } }
}
