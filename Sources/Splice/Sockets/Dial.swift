// Connecting, listening and taking peers: while the calling thread waits, or a task.

import CSplice
import SystemPackage

extension SocketAddress {
  /// A stream socket connected to the first of these addresses that answers. They are tried in turn, each a
  /// short while after the one before or at once when one has failed (RFC 8305).  C: `socket`, `connect`
  package static func connect(
    toOneOf addresses: [SocketAddress], waitingIn poll: BlockingWait
  ) throws(SpliceError) -> Descriptor {
    var dialing = Dialing(addresses)
    while true {
      do throws(Errno) {
        if let attempt = try dialing.advance(prepare: { _ in }) { return attempt.take() }
      } catch { throw .sink(error) }
      do throws(SpliceError) { try poll.check() } catch { throw dialing.whyNot(error) }
      let interests = dialing.attempts.filter { !$0.isRefused }.map { $0.socket.interest(as: .sink) }
      do throws(Errno) {
        try poll.wait(forAnyOf: interests, atMost: dialing.next.map { max(.zero, $0 - .now) })
      } catch { throw .pipe(error) }
    }
  }

  /// A stream socket connected to the first of these addresses that answers, in a task of the executor that
  /// is to watch it. They are tried in turn, each a short while after the one before or at once when one has
  /// failed (RFC 8305); `prepare` sets the options of each socket first.  C: `socket`, `connect`
  package static func connect(
    toOneOf addresses: [SocketAddress], within time: Duration, watchedBy executor: EpollExecutor,
    prepare: (borrowing Descriptor) throws(Errno) -> Void
  ) async throws(SpliceError) -> Watched {
    let attempt = try await dial(oneOf: addresses, until: .now + time, watchedBy: executor, prepare: prepare)
    return attempt.takeWatched(by: executor)
  }

  /// The attempt that has connected.
  static func dial(
    oneOf addresses: [SocketAddress], until deadline: Moment?,
    watchedBy executor: EpollExecutor, prepare: (borrowing Descriptor) throws(Errno) -> Void
  ) async throws(SpliceError) -> Dialing.Attempt {
    let dialing = TaskDialing.begin(addresses, until: deadline, watchedBy: executor)
    var ready: ReadySet = []
    while true {
      if let attempt = try dialing.advance(ready, prepare) { return attempt }
      ready = try await dialing.wait()
    }
  }

  /// Who may listen on the same port.  C: SO_REUSEPORT
  package enum PortSharing: Sendable {
    /// Nobody.
    case none
    /// Sockets that come later and share it with everybody; when this one comes, nobody may have it.
    case laterOn
    /// Everybody who shares it.
    case everybody
  }

  /// A socket that listens on this address.  C: `socket`, `bind`, `listen`
  package func listen(backlog: Int, sharing: PortSharing = .none) throws(Errno) -> Descriptor {
    var file: SocketFile?
    return try listen(backlog: backlog, sharing: sharing, making: &file)
  }

  /// A socket that listens on this address, and the file that was made for it, if it is a unix socket with
  /// one. A file without a listener is replaced if `replacing`.  C: `socket`, `bind`, `listen`
  package func listen(
    backlog: Int, sharing: PortSharing = .none, replacing: Bool = false, making file: inout SocketFile?
  ) throws(Errno) -> Descriptor {
    let socket = Descriptor(owning: try Syscall.socket(domain: domain, type: CInt(SOCK_STREAM.rawValue)))
    if domain == AF_UNIX {
      file = try listen(on: socket, backlog: backlog, replacing: replacing)
      return socket
    }
    let number = socket.raw
    func share() throws(Errno) {
      try Syscall.setsockopt(number, level: SOL_SOCKET, option: SO_REUSEPORT, to: 1)
    }
    try Syscall.setsockopt(socket.raw, level: SOL_SOCKET, option: SO_REUSEADDR, to: 1)
    if sharing == .everybody { try share() }
    try Syscall.bind(socket.raw, to: bytes)
    try Syscall.listen(socket.raw, backlog: backlog)
    // Of two that have bound the same port, the second one to listen is refused: but for that, each could not
    // but share it with the other.
    if sharing == .laterOn { try share() }
    return socket
  }
}

/// Dialing in a task. An object, so that nothing of it is in the memory of the task.
private final class TaskDialing {
  private var dialing: Dialing
  private let deadline: Moment?
  private let executor: EpollExecutor
  /// Several sockets are waited for through an epoll of their own.  C: `epoll_create1`
  private var together: Watched?
  private var allOfThem: RegistrationKey?
  private var pause = Wait(nil, nil, until: nil)

  init(
    _ addresses: [SocketAddress], until deadline: Moment?, watchedBy executor: EpollExecutor
  ) {
    dialing = Dialing(addresses)
    self.deadline = deadline
    self.executor = executor
  }

  @inline(never)
  static func begin(
    _ addresses: [SocketAddress], until deadline: Moment?, watchedBy executor: EpollExecutor
  ) -> TaskDialing {
    TaskDialing(addresses, until: deadline, watchedBy: executor)
  }

  /// Goes on as far as it can, knowing what was told; the attempt that has connected, once one has.
  @inline(never)
  func advance(
    _ ready: ReadySet, _ prepare: (borrowing Descriptor) throws(Errno) -> Void
  ) throws(SpliceError) -> Dialing.Attempt? {
    do throws(Errno) {
      let isTold = pause.first?.direction == .sink && ready == .first
      if let attempt = try dialing.advance(isTold: isTold, prepare: prepare) { return attempt }
    } catch { throw .sink(error) }
    if let deadline, deadline <= .now { throw dialing.whyNot(.timedOut) }
    let underWay = dialing.attempts.filter { !$0.isRefused }
    var end = [deadline, dialing.next].compactMap { $0 }.min()
    var interest: Interest?
    if let only = underWay.first, underWay.count == 1 {
      interest = Interest(only.watched(by: executor), as: .sink)
    } else if !underWay.isEmpty {
      interest = all(underWay).map { Interest($0, as: .source) }
      // Without an epoll nothing tells of several.
      if interest == nil { end = min(.now + Dialing.untilTriedAgain, end ?? .now + Dialing.untilTriedAgain) }
    }
    pause = interest.map { Wait($0, nil, until: end) } ?? Wait(pausing: executor.pausing, until: end)
    return nil
  }

  func wait() async throws(SpliceError) -> ReadySet {
    let ready: ReadySet
    do throws(Errno) { ready = try await executor.waitUnlessCancelled(for: pause) } catch {
      throw .pipe(error)
    }
    if Task.isCancelled { throw .cancelled }
    return ready
  }

  /// Sockets that are being connected, as one descriptor that is readable when there is news of one of them; nil
  /// if there is none to be had.
  private func all(_ attempts: [Dialing.Attempt]) -> RegistrationKey? {
    if allOfThem == nil, let epoll = try? Syscall.epollCreate() {
      let watched = Watched(Descriptor(owning: epoll), by: executor)
      allOfThem = watched.key
      together = .some(watched)
    }
    guard let allOfThem else { return nil }
    for attempt in attempts {
      // EEXIST for one that was added before; the close of a socket takes it out.
      try? Syscall.epollControl(
        allOfThem.descriptor, .add, attempt.socket.raw, events: Syscall.EpollEvents.output, key: 0)
    }
    return allOfThem
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

  /// Sets options of a TCP connection, or of those that a listener takes from then on: small messages leave
  /// at once (TCP_NODELAY), and those of `options`. Does nothing to other sockets.  C: `setsockopt` with
  /// TCP_NODELAY, SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT
  package borrowing func setTCP(_ options: TCPOptions) throws(Errno) {
    guard kind == .tcpSocket else { return }
    let tcp = CInt(IPPROTO_TCP)
    try Syscall.setsockopt(raw, level: tcp, option: TCP_NODELAY, to: 1)
    if let keepalive = options.keepalive {
      let seconds = CInt(min(max(1, keepalive.components.seconds), TCPOptions.longestKeepalive))
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

  /// What is there to be read, up to this many bytes; empty at the end, nil when there is nothing yet.
  /// C: `recv`
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
  package borrowing func accept(waitingIn poll: BlockingWait) throws(SpliceError) -> Descriptor {
    while true {
      do throws(Errno) {
        if let peer = try acceptNow() { return peer }
      } catch { throw .source(error) }
      try poll.waitOnce(for: raw, as: .source)
    }
  }

  /// Waits until this may go on; EINTR stands for a wait that was ended early.
  package borrowing func wait(as direction: Direction, in poll: BlockingWait) throws(Errno) {
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
  /// Idle time before the first probe; the peer is dropped after three times that without an answer. In
  /// seconds, at least one. A peer that answers and does not read (a zero window) is alive.
  package var keepalive: Duration?
  /// What the kernel takes for TCP_KEEPIDLE, in seconds: MAX_TCP_KEEPIDLE.
  package static let longestKeepalive: Int64 = 32767
  /// How long bytes may stay unacknowledged, a zero window included, before the connection is dropped.
  package var userTimeout: Duration?

  package init(keepalive: Duration? = nil, userTimeout: Duration? = nil) {
    (self.keepalive, self.userTimeout) = (keepalive, userTimeout)
  }
}
