// Connecting and listening, while the calling thread waits.

import Glibc
import SystemPackage

extension SocketAddress {
  /// A stream socket connected to the first of these addresses that answers.  C: `socket`, `connect`
  package static func connect(
    toOneOf addresses: [SocketAddress], waitingIn poll: Poll
  ) throws(SpliceError) -> Descriptor {
    var failure = SpliceError.source(.addressNotAvailable)
    for address in addresses {
      do throws(SpliceError) { return try address.connect(waitingIn: poll) } catch {
        if error == .cancelled || error == .timedOut { throw error }
        failure = error
      }
    }
    throw failure
  }

  private func connect(waitingIn poll: Poll) throws(SpliceError) -> Descriptor {
    do throws(Errno) {
      let socket = Descriptor(owning: try Syscall.socket(domain: domain, type: CInt(SOCK_STREAM.rawValue)))
      while try !begin(on: socket) {
        poll.pause(for: Self.untilTriedAgain)
        if (try? poll.check()) == nil { throw .interrupted }
      }
      return try finish(socket, poll)
    } catch {
      try poll.check()
      throw .source(error)
    }
  }

  /// How long a listener with a full backlog is left alone: nothing tells when it has room.
  private static let untilTriedAgain = Duration.milliseconds(10)

  /// False when the listener of a unix socket has no room for us now.
  private func begin(on socket: borrowing Descriptor) throws(Errno) -> Bool {
    do throws(Errno) { try Syscall.connect(socket.raw, to: bytes) } catch {
      if error == .wouldBlock { return false }
      guard error == .nowInProgress else { throw error }
    }
    return true
  }

  /// The outcome of a connection that was begun.
  private func finish(_ socket: consuming Descriptor, _ poll: Poll) throws(Errno) -> Descriptor {
    if isUnix { return socket }
    try socket.wait(as: .sink, in: poll)
    let outcome = try Syscall.getsockopt(socket.raw, level: SOL_SOCKET, option: SO_ERROR)
    if outcome != 0 { throw Errno(rawValue: outcome) }
    return socket
  }

  /// A socket that listens on this address.  C: `socket`, `bind`, `listen`
  package func listen(backlog: Int) throws(Errno) -> Descriptor {
    let socket = Descriptor(owning: try Syscall.socket(domain: domain, type: CInt(SOCK_STREAM.rawValue)))
    if domain != AF_UNIX {
      try Syscall.setsockopt(socket.raw, level: SOL_SOCKET, option: SO_REUSEADDR, to: 1)
    }
    try Syscall.bind(socket.raw, to: bytes)
    try Syscall.listen(socket.raw, backlog: backlog)
    return socket
  }
}

extension Descriptor {
  /// Takes the next peer of a listening socket, if there is one now.  C: `accept4`
  package borrowing func acceptNow() throws(Errno) -> Descriptor? {
    while true {
      do throws(Errno) { return Descriptor(owning: try Syscall.accept4(raw)) } catch {
        if error == .wouldBlock { return nil }
        // A peer that was gone before it was taken is none.
        guard error == .connectionAbort else { throw error }
      }
    }
  }

  /// Takes the next peer of a listening socket.  C: `accept4`
  package borrowing func accept(waitingIn poll: Poll) throws(SpliceError) -> Descriptor {
    while true {
      do throws(Errno) {
        if let peer = try acceptNow() { return peer }
      } catch { throw .source(error) }
      try poll.check()
      do throws(Errno) { try wait(as: .source, in: poll) } catch { throw .source(error) }
    }
  }

  /// Waits until this may go on; EINTR stands for a wait that was ended early.
  package borrowing func wait(as direction: Direction, in poll: Poll) throws(Errno) {
    while try poll.wait(for: Interest(self, as: direction)).isEmpty {
      if (try? poll.check()) == nil { throw .interrupted }
    }
  }

  /// This, in one of its roles, as a thing to wait for with `poll`.
  package borrowing func interest(as direction: Direction) -> Interest { Interest(self, as: direction) }

  /// Whether it can be gone on with right now.  C: `poll`
  package borrowing func isReady(as direction: Direction) throws(Errno) -> Bool {
    try Syscall.isReady(raw, direction == .source ? POLLIN : POLLOUT)
  }
}
