// A socket that listens, for programs: on a port or on a path, and what it makes it takes away.

import CSplice
import SystemPackage

/// A stream socket that listens.
///
/// ```swift
/// let listener = try Listener(host: "127.0.0.1", port: 0)
/// while true {
///   let client = try await listener.accept()
///   print(try client.localAddress())
/// }
/// ```
public struct Listener: ~Copyable, Sendable {
  private let socket: Descriptor
  private var file: SocketFile?
  /// Where it listens: the port is the one that was bound.
  public let address: SocketAddress

  /// Listens on an address and a port.
  ///
  /// - Parameters:
  ///   - host: A number, such as "127.0.0.1", "::1" or "::" for everybody, or a name, which is looked up
  ///     here, as long as that takes.
  ///   - port: 0 is a port that is free: ``address`` tells which.
  ///   - backlog: Connections that the kernel keeps until they are taken.
  /// - Throws: ``SocketAddress/Unresolved`` for a name that is none, and what the kernel says.
  ///
  /// C: `getaddrinfo`, `socket`, `bind` with SO_REUSEADDR, `listen`
  public init(host: String, port: UInt16, backlog: Int = 4096) throws {
    guard let first = try SocketAddress.resolve(host: host, port: port, toListen: true).first else {
      throw SocketAddress.Unresolved(host: host, reason: "no address")
    }
    try self.init(on: first, backlog: backlog)
  }

  /// Listens on the path of a unix socket, whose file is removed with this; a name that begins with `@` is
  /// abstract and has no file.
  ///
  /// - Parameters:
  ///   - path: At most 107 bytes, or ENAMETOOLONG.
  ///   - replacing: Whether a socket that refuses connections, since its owner was killed, makes way. Any
  ///     other file stays, with EADDRINUSE.
  ///   - backlog: Connections that the kernel keeps until they are taken.
  ///
  /// C: `socket`, `bind`, `listen`
  public init(unix path: String, replacing: Bool = false, backlog: Int = 4096) throws(Errno) {
    try self.init(on: try .unix(path), replacing: replacing, backlog: backlog)
  }

  private init(on address: SocketAddress, replacing: Bool = false, backlog: Int) throws(Errno) {
    var made: SocketFile?
    let listening = try address.listen(backlog: backlog, replacing: replacing, making: &made)
    file = made
    // Of a socket that is bound the kernel knows the name.
    self.address = (try? SocketAddress(of: listening)) ?? address
    socket = listening
  }

  deinit { file?.remove() }

  /// Takes the next peer.
  ///
  /// - Throws: ``SpliceError``: EMFILE and the like as ``SpliceError/source(_:)``, and the peer is taken by a
  ///   later call; `timedOut` at the deadline, `cancelled` when the task is.
  ///
  /// C: `accept4`
  public borrowing func accept(
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> Descriptor {
    while true {
      do throws(Errno) { if let peer = try socket.acceptNow() { return peer } } catch { throw .source(error) }
      try await socket.wait(as: .source, until: deadline, waitingOn: readiness)
    }
  }

  /// Waits on the calling thread for the next peer.  C: `accept4`
  public borrowing func accept(waitingIn poll: BlockingWait) throws(SpliceError) -> Descriptor {
    try socket.accept(waitingIn: poll)
  }
}
