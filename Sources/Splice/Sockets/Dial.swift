// Connecting, listening and taking peers: while the calling thread waits, or a task.

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

  /// A stream socket connected to this address, in a task of the executor that is to watch it. `prepare` sets its options first.
  /// C: `socket`, `connect`
  package func connect(
    until deadline: ContinuousClock.Instant?, watchedBy executor: EpollExecutor,
    prepare: (borrowing Descriptor) throws(Errno) -> Void
  ) async throws(SpliceError) -> Watched {
    let socket: Watched
    do throws(Errno) {
      socket = Watched(try makeSocket(prepare), by: executor, inBothDirections: true)
    } catch { throw .sink(error) }
    while true {
      do throws(Errno) { if try begin(on: socket.descriptor) { break } } catch { throw .sink(error) }
      let next = ContinuousClock.now + Self.untilTriedAgain
      do throws(Errno) { _ = try await executor.wait(for: nil, or: nil, until: next) } catch {
        throw .pipe(error)
      }
      if Task.isCancelled { throw .cancelled }
      if let deadline, deadline <= .now { throw .timedOut }
    }
    if isUnix { return socket }
    try await executor.waitOnce(for: socket.descriptor.raw, as: .sink, until: deadline)
    do throws(Errno) {
      // Told by nobody but the deadline.
      if let deadline, deadline <= .now, try !Syscall.isReady(socket.descriptor.raw, POLLOUT) {
        throw .timedOut
      }
      let outcome = try Syscall.getsockopt(socket.descriptor.raw, level: SOL_SOCKET, option: SO_ERROR)
      if outcome != 0 { throw Errno(rawValue: outcome) }
    } catch { throw error == .timedOut ? .timedOut : .sink(error) }
    return socket
  }

  private func makeSocket(
    _ prepare: (borrowing Descriptor) throws(Errno) -> Void
  ) throws(Errno) -> Descriptor {
    let socket = Descriptor(
      stream: try Syscall.socket(domain: domain, type: CInt(SOCK_STREAM.rawValue)), isUnix: isUnix)
    try prepare(socket)
    return socket
  }

  /// A socket that listens on this address; several may `share` a port.  C: `socket`, `bind`, `listen`
  package func listen(backlog: Int, sharing: Bool = false) throws(Errno) -> Descriptor {
    let socket = Descriptor(owning: try Syscall.socket(domain: domain, type: CInt(SOCK_STREAM.rawValue)))
    if domain != AF_UNIX {
      try Syscall.setsockopt(socket.raw, level: SOL_SOCKET, option: SO_REUSEADDR, to: 1)
      if sharing { try Syscall.setsockopt(socket.raw, level: SOL_SOCKET, option: SO_REUSEPORT, to: 1) }
    }
    try Syscall.bind(socket.raw, to: bytes)
    try Syscall.listen(socket.raw, backlog: backlog)
    return socket
  }
}

extension Descriptor {
  /// Takes the next peer of a listening socket, and its address, if there is one now.  C: `accept4`
  package borrowing func acceptPeer() throws(Errno) -> (FileDescriptor, SocketAddress)? {
    while true {
      do throws(Errno) {
        let (peer, address) = try Syscall.accept4(raw)
        return (peer, SocketAddress(address))
      } catch {
        if error == .wouldBlock { return nil }
        // A peer that was gone before it was taken is none.
        guard error == .connectionAbort else { throw error }
      }
    }
  }

  /// Sets options of a TCP connection, or of those that a listener takes from then on: small messages leave at once (TCP_NODELAY), and
  /// those of `options`. Does nothing to other sockets.
  /// C: `setsockopt` with TCP_NODELAY, SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT
  package borrowing func setTCP(_ options: TCPOptions) throws(Errno) {
    guard kind == .tcpSocket else { return }
    let tcp = CInt(IPPROTO_TCP)
    try Syscall.setsockopt(raw, level: tcp, option: TCP_NODELAY, to: 1)
    if let keepalive = options.keepalive {
      let seconds = CInt(clamping: max(1, keepalive.components.seconds))
      try Syscall.setsockopt(raw, level: SOL_SOCKET, option: SO_KEEPALIVE, to: 1)
      try Syscall.setsockopt(raw, level: tcp, option: TCP_KEEPIDLE, to: seconds)
      try Syscall.setsockopt(raw, level: tcp, option: TCP_KEEPINTVL, to: seconds)
      // The kernel gives up when the next probe would be due: after three times the time.
      try Syscall.setsockopt(raw, level: tcp, option: TCP_KEEPCNT, to: 2)
    }
    if let time = options.userTimeout {
      let milliseconds = CInt(clamping: max(1, time.nanoseconds / 1_000_000))
      try Syscall.setsockopt(raw, level: tcp, option: TCP_USER_TIMEOUT, to: milliseconds)
    }
  }

  /// What is there to be read, up to so many bytes; empty at the end, nil when there is nothing yet.  C: `recv`
  package borrowing func receive(upTo count: Int) throws(Errno) -> [UInt8]? {
    do throws(Errno) {
      var failure: Errno?
      let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
        do throws(Errno) {
          used = try unsafe Syscall.recv(raw, into: UnsafeMutableRawBufferPointer(buffer))
        } catch { failure = error }
      }
      if let failure { throw failure }
      return bytes
    } catch {
      if error == .wouldBlock { return nil }
      throw error
    }
  }

  /// Waits until this may go on, in a task.
  package borrowing func wait(
    as direction: Direction, until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness
  ) async throws(SpliceError) {
    try await readiness.waitOnce(for: raw, as: direction, until: deadline)
    if let deadline, deadline <= .now { throw .timedOut }
  }

  /// Takes the next peer of a listening socket, if there is one now.  C: `accept4`
  package borrowing func acceptNow() throws(Errno) -> Descriptor? {
    while true {
      do throws(Errno) { return Descriptor(owning: try Syscall.accept4(raw).peer) } catch {
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

/// Options of TCP connections that their user chooses.
package struct TCPOptions: Sendable, Hashable {
  /// Idle time before the first probe; the peer is dropped after three times that without an answer. In seconds, at least one. A peer
  /// that answers and does not read (a zero window) is alive.
  package var keepalive: Duration?
  /// How long bytes may stay unacknowledged, a zero window included, before the connection is dropped.
  package var userTimeout: Duration?

  package init(keepalive: Duration? = nil, userTimeout: Duration? = nil) {
    (self.keepalive, self.userTimeout) = (keepalive, userTimeout)
  }
}
