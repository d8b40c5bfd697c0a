// System calls of sockets.

import CSplice
import SystemPackage

extension Syscall {
  /// A new socket, non-blocking and closed on exec.  C: `socket`
  package static func socket(
    domain: CInt, type: CInt, protocol number: CInt = 0
  ) throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_socket(domain, type, number) }))
  }

  /// Begins to connect to a `sockaddr`. An interrupted call goes on in the kernel, so EINTR means what
  /// EINPROGRESS means.  C: `connect`
  package static func connect(_ socket: FileDescriptor, to address: [UInt8]) throws(Errno) {
    let result = unsafe address.withUnsafeBytes {
      unsafe csplice_connect(socket.rawValue, $0.baseAddress, socklen_t($0.count))
    }
    guard result < 0 else { return }
    let errno = Errno(rawValue: -result)
    throw errno == .interrupted ? .nowInProgress : errno
  }

  /// Gives a socket its address.  C: `bind`
  package static func bind(_ socket: FileDescriptor, to address: [UInt8]) throws(Errno) {
    _ = try call {
      unsafe address.withUnsafeBytes {
        unsafe csplice_bind(socket.rawValue, $0.baseAddress, socklen_t($0.count))
      }
    }
  }

  /// Lets peers connect.  C: `listen`
  package static func listen(_ socket: FileDescriptor, backlog: Int) throws(Errno) {
    _ = try call { csplice_listen(socket.rawValue, CInt(clamping: backlog)) }
  }

  /// Takes a peer, non-blocking and closed on exec, and its `sockaddr`.  C: `accept4`
  package static func accept4(
    _ socket: FileDescriptor
  ) throws(Errno) -> (peer: FileDescriptor, address: [UInt8]) {
    var peer: CInt = -1
    let address = try unsafe address { bytes, length throws(Errno) in
      peer = CInt(try call { unsafe csplice_accept4(socket.rawValue, bytes, &length) })
    }
    return (FileDescriptor(rawValue: peer), address)
  }

  /// A socket's own `sockaddr`.  C: `getsockname`
  package static func getsockname(_ socket: FileDescriptor) throws(Errno) -> [UInt8] {
    try unsafe address { bytes, length throws(Errno) in
      _ = try call { unsafe csplice_getsockname(socket.rawValue, bytes, &length) }
    }
  }

  /// The `sockaddr` of a socket's peer.  C: `getpeername`
  package static func getpeername(_ socket: FileDescriptor) throws(Errno) -> [UInt8] {
    try unsafe address { bytes, length throws(Errno) in
      _ = try call { unsafe csplice_getpeername(socket.rawValue, bytes, &length) }
    }
  }

  /// What the kernel writes into a place that is large enough for every `sockaddr`.
  private static func address(
    _ body: (UnsafeMutableRawPointer, inout socklen_t) throws(Errno) -> Void
  ) throws(Errno) -> [UInt8] {
    var place = sockaddr_storage()
    return try unsafe withUnsafeMutableBytes(of: &place) { bytes throws(Errno) -> [UInt8] in
      guard let start = bytes.baseAddress else { return [] }
      var length = socklen_t(bytes.count)
      try unsafe body(start, &length)
      // The kernel says how long the address is, not how much of it fits.
      return unsafe Array(bytes.prefix(Int(length)))
    }
  }

  /// An option that is an int.  C: `getsockopt`
  package static func getsockopt(_ socket: FileDescriptor, level: CInt, option: CInt) throws(Errno) -> CInt {
    CInt(try call { csplice_getsockopt(socket.rawValue, level, option) })
  }

  /// Whether a TCP socket sends full packets only. False when it already did.
  /// C: `setsockopt`, `getsockopt` with TCP_CORK
  static func cork(_ socket: FileDescriptor, _ isCorked: Bool) -> Bool {
    if isCorked, (try? getsockopt(socket, level: CInt(IPPROTO_TCP), option: TCP_CORK)) != 0 { return false }
    return (try? setsockopt(socket, level: CInt(IPPROTO_TCP), option: TCP_CORK, to: isCorked ? 1 : 0)) != nil
  }

  /// Sets an option that is an int.  C: `setsockopt`
  package static func setsockopt(
    _ socket: FileDescriptor, level: CInt, option: CInt, to value: CInt
  ) throws(Errno) {
    _ = try call { csplice_setsockopt(socket.rawValue, level, option, value) }
  }

  /// Ends one direction or both.  C: `shutdown`
  package static func shutdown(_ socket: FileDescriptor, _ how: Shutdown) throws(Errno) {
    _ = try call { csplice_shutdown(socket.rawValue, CInt(how.rawValue)) }
  }

  /// Which direction of a socket to end.
  package enum Shutdown: CInt, Sendable {
    /// What the peer sends is refused.
    case reading
    /// The peer sees our end.
    case writing
    /// Both.
    case both
  }
}
