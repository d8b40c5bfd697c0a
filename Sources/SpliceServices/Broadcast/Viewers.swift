// Clients of a broadcast, by how they come: as viewers over HTTP or without a word, and as senders.

import Splice
import SystemPackage

/// A viewer that asks for nothing: it gets the stream from the first byte on.
struct PlainViewer: ClientTask {
  private let mount: Broadcast.Mount
  private let client: SocketAddress
  private let executor: EpollExecutor

  init(_ mount: Broadcast.Mount, client: SocketAddress, on executor: EpollExecutor) {
    (self.mount, self.client, self.executor) = (mount, client, executor)
  }

  func serve(_ socket: consuming Descriptor) async {
    guard let place = mount.enter() else { return }
    await mount.show(place, socket, to: client, whenItCloses: .goOn, on: executor)
  }
}

/// A viewer that asks by HTTP.
struct HTTPViewer: ClientTask {
  /// The mount, and the door.
  struct Server: Sendable {
    let mount: Broadcast.Mount
    let door: ViewerDoor
  }

  private let server: Server
  private let client: SocketAddress
  private let executor: EpollExecutor

  init(_ server: Server, client: SocketAddress, on executor: EpollExecutor) {
    (self.server, self.client, self.executor) = (server, client, executor)
  }

  func serve(_ socket: consuming Descriptor) async {
    // What is sent from the head of the answer on, it is to get: so it has its place by then.
    guard let admitted = await server.door.admit(socket.release()) else { return }
    let viewer = Descriptor(stream: admitted.socket, isUnix: client.isUnix)
    viewer.resetUnlessFinished()
    // No client over HTTP says that it has asked for everything, and reads on.
    await server.mount.show(admitted.place, viewer, to: client, whenItCloses: .end, on: executor)
  }
}

/// One that sends the stream, and is the only one for as long as it does.
struct Sender: ClientTask {
  private let mount: Broadcast.Mount
  private let client: SocketAddress
  private let executor: EpollExecutor

  init(_ mount: Broadcast.Mount, client: SocketAddress, on executor: EpollExecutor) {
    (self.mount, self.client, self.executor) = (mount, client, executor)
  }

  func serve(_ socket: consuming Descriptor) async {
    // One that was still taken in when no more are to be.
    if mount.senders.connections.isClosed { return }
    let isLast = mount.options.once
    let failure = await mount.feed("\(client)", mayFollow: { !isLast }) {
      try await mount.hand(from: socket, on: executor)
      try socket.endOnClosing()
    }
    if isLast {
      mount.sourceFailure = failure
      mount.senders.close()
    }
  }
}
