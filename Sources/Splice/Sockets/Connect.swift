// Connecting, for programs: names are looked up beside the task, all addresses are tried.

import CSplice
import SystemPackage

extension Descriptor {
  /// Connects to a host, by whatever of its addresses answers first: they are tried in turn, each a short
  /// while after the one before or at once when one has failed (RFC 8305).
  ///
  /// - Throws: ``SocketAddress/Unresolved``, or ``SpliceError``: why the last address did not answer as
  ///   ``SpliceError/sink(_:)``.
  ///
  /// C: `getaddrinfo`, `socket`, `connect`
  public static func connect(
    host: String, port: UInt16, until deadline: ContinuousClock.Instant? = nil
  ) async throws -> Descriptor {
    let addresses = try await SocketAddress.lookUp(host: host, port: port, until: deadline)
    return try await connect(to: addresses, until: deadline)
  }

  /// Connects to a host while the calling thread waits.  C: `getaddrinfo`, `socket`, `connect`
  public static func connect(host: String, port: UInt16, waitingIn poll: BlockingWait) throws -> Descriptor {
    try connect(to: SocketAddress.lookUp(host: host, port: port, waitingIn: poll), waitingIn: poll)
  }

  /// Connects to a unix socket; a name that begins with `@` is abstract.  C: `socket`, `connect`
  public static func connect(
    unix path: String, until deadline: ContinuousClock.Instant? = nil
  ) async throws(SpliceError) -> Descriptor {
    try await connect(to: [try unixAddress(path)], until: deadline)
  }

  /// Connects to a unix socket while the calling thread waits.  C: `socket`, `connect`
  public static func connect(
    unix path: String, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> Descriptor {
    try connect(to: [try unixAddress(path)], waitingIn: poll)
  }

  /// Connects to the first of these addresses that answers.  C: `socket`, `connect`
  public static func connect(
    to addresses: [SocketAddress], until deadline: ContinuousClock.Instant? = nil
  ) async throws(SpliceError) -> Descriptor {
    let executor = EpollExecutor.current ?? .shared
    let attempt = try await SocketAddress.dial(
      oneOf: addresses, until: deadline.map(Moment.init), watchedBy: executor, prepare: { _ in })
    return attempt.takeUnwatched()
  }

  /// Connects to the first of these addresses that answers, while the calling thread waits.  C: `socket`,
  /// `connect`
  public static func connect(
    to addresses: [SocketAddress], waitingIn poll: BlockingWait
  ) throws(SpliceError) -> Descriptor {
    try SocketAddress.connect(toOneOf: addresses, waitingIn: poll)
  }

  private static func unixAddress(_ path: String) throws(SpliceError) -> SocketAddress {
    do throws(Errno) { return try SocketAddress.unix(path) } catch { throw .sink(error) }
  }

  /// Opens a file, closed on exec, and as a descriptor of this library.  C: `open`
  public static func open(
    _ path: FilePath, _ mode: FileDescriptor.AccessMode, options: FileDescriptor.OpenOptions = [],
    permissions: FilePermissions? = nil
  ) throws(Errno) -> Descriptor {
    let flags = mode.rawValue | options.rawValue | O_CLOEXEC
    return try Descriptor(
      opened: try Syscall.open(path, flags: flags, mode: permissions?.rawValue ?? 0o666))
  }

  /// Small messages leave at once: for connections that answer.  C: `setsockopt` with TCP_NODELAY
  public borrowing func setNoDelay() throws(Errno) { try setTCP(TCPOptions()) }

  /// The address of its own end.  C: `getsockname`
  public borrowing func localAddress() throws(Errno) -> SocketAddress { try SocketAddress(of: self) }
}

// MARK: - Names

extension SocketAddress {
  private typealias Answer = Result<[SocketAddress], Unresolved>

  /// A lookup on a thread of its own: a resolver may keep that for minutes, and it is not waited for longer
  /// than they wish.
  private struct Question: Sendable {
    let event: Event
    let answer = Locked<Answer?>(nil)

    init(host: String, port: UInt16, toListen: Bool) throws(Errno) {
      event = try Event()
      try Syscall.startThread(name: "splice-resolver") { [event, answer] in
        let found = Answer { () throws(Unresolved) in
          try SocketAddress.resolve(host: host, port: port, toListen: toListen)
        }
        answer.withLock { $0 = found }
        event.signal()
      }
    }
  }

  /// Every address of a name, in the order in which they should be tried.
  ///
  /// - Throws: ``Unresolved``, or ``SpliceError``: no thread for it, the deadline, cancellation.
  ///
  /// C: `getaddrinfo`
  public static func lookUp(
    host: String, port: UInt16, until deadline: ContinuousClock.Instant? = nil
  ) async throws -> [SocketAddress] {
    if IPAddress.isNumeric(host) { return try resolve(host: host, port: port) }
    let question: Question
    do throws(Errno) { question = try Question(host: host, port: port, toListen: false) } catch {
      throw SpliceError.pipe(error)
    }
    while true {
      if let answer = question.answer.withLock({ $0 }) { return try answer.get() }
      try await EpollExecutor.shared.waitOnce(for: question.event.descriptor, as: .source, until: deadline)
      if let deadline, deadline <= .now { throw SpliceError.timedOut }
    }
  }

  /// Looks a name up while the calling thread waits; without another thread or a descriptor to be had it is
  /// asked here, as long as that takes.  C: `getaddrinfo`
  package static func lookUp(
    host: String, port: UInt16, toListen: Bool = false, waitingIn poll: BlockingWait
  ) throws -> [SocketAddress] {
    guard !IPAddress.isNumeric(host),
      let question = try? Question(host: host, port: port, toListen: toListen)
    else { return try resolve(host: host, port: port, toListen: toListen) }
    while true {
      if let answer = question.answer.withLock({ $0 }) { return try answer.get() }
      try poll.waitOnce(for: question.event.descriptor, as: .source)
    }
  }
}
