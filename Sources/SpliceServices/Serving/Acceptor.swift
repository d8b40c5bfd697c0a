// Takes clients from a listener, and has a task for each.

import Splice
import SystemPackage

/// A client from its first byte to its last.
protocol ClientTask: Sendable {
  associatedtype Server: Sendable

  /// Whether an inherited socket is to reset its peer when it is closed before that is taken back.
  static var resetsItsClient: Bool { get }

  init(_ server: Server, client: SocketAddress, on executor: EpollExecutor)

  /// Serves it to its end. The socket resets its peer when it is closed, unless that is taken back.
  func serve(_ socket: consuming Descriptor) async
}

extension ClientTask {
  static var resetsItsClient: Bool { true }
}

/// Takes clients of one kind on one thread.
struct Acceptor<Client: ClientTask>: Sendable {
  private let server: Client.Server
  private let serving: Serving
  private let executor: EpollExecutor

  init(for server: Client.Server, _ serving: Serving, on executor: EpollExecutor) {
    (self.server, self.serving, self.executor) = (server, serving, executor)
  }

  /// So many clients are taken before others have their turn.
  private static var most: Int { 64 }
  /// How long to wait when there are no descriptors or no memory: nothing tells when there are again.
  private static var scarcity: Duration { .milliseconds(100) }

  /// Takes clients from a listener until the server drains, and everybody who came by it has left or the time
  /// for that is over.
  func serve(_ listener: Listeners.Socket) async {
    let watch = Watch(listener, serving, on: executor)
    await withDiscardingTaskGroup { connections in
      await withTaskCancellationHandler {
        await take(from: listener, watch) { client, address in
          connections.addTask { [server, serving, executor] in
            let socket = Descriptor(stream: client, isUnix: address.isUnix)
            // The others have this from their listener.
            if listener.isInherited, Client.resetsItsClient { socket.resetUnlessFinished() }
            await Client(server, client: address, on: executor).serve(socket)
            serving.connections.leave()
          }
        }
        let end = serving.drainEnd
        while !Task.isCancelled, .now < end, serving.connections.waitForNext() {
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
    let connections = serving.connections
    var turn = 0
    var isScarce = false
    // Connections that were queued when the drain began are served while there is room; the rest are closed
    // with the listener.
    var promised = Listeners.backlog
    while !Task.isCancelled, promised > 0 {
      if connections.isClosed {
        promised = listener.isInherited || serving.drainEnd <= .now ? 0 : promised - 1
        if promised <= 0 { break }
      }
      guard connections.take() else {
        if connections.isClosed { break }
        if connections.waitForRoom() { await watch.wait(for: watch.change, or: watch.draining) }
        continue
      }
      do throws(Errno) {
        if let (client, address) = try listener.descriptor.acceptPeer() {
          serving.hasAccepted()
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
        serving.cannotAccept(error, isFirst: !isScarce)
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

  init(_ listener: Listeners.Socket, _ serving: Serving, on readiness: EpollExecutor) {
    self.readiness = readiness
    func watch(_ descriptor: FileDescriptor) -> Interest {
      Interest(readiness.attach(descriptor), as: .source)
    }
    clients = listener.descriptor.withFileDescriptor { watch($0) }
    change = watch(serving.connections.change.descriptor)
    draining = watch(serving.draining.descriptor)
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
