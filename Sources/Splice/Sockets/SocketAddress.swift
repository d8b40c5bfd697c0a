// Addresses of sockets: a name and a port resolved, or the path of a unix socket.

import Glibc
import SystemPackage

/// Where a socket listens or connects to.
package struct SocketAddress: Sendable, Hashable {
  /// AF_INET, AF_INET6 or AF_UNIX.
  package let domain: CInt
  /// A `sockaddr` of that domain.
  package let bytes: [UInt8]

  /// Whether this is a unix socket.
  package var isUnix: Bool { domain == AF_UNIX }

  /// A name that could not be resolved, with the resolver's reason.
  package struct Unresolved: Error, Sendable, Hashable {
    /// The resolver's words.
    package let reason: String
  }

  /// Every address of a name, in the order in which they should be tried.  C: `getaddrinfo`
  package static func resolve(
    host: String, port: UInt16, toListen: Bool = false
  ) throws(Unresolved) -> [SocketAddress] {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV | (toListen ? AI_PASSIVE : 0)
    var first: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &first)
    guard code == 0 else {
      throw Unresolved(
        reason: code == EAI_SYSTEM ? "\(Errno(rawValue: errno))" : unsafe String(cString: gai_strerror(code)))
    }
    // The list is the resolver's until it is freed, and is read before that.
    defer { unsafe freeaddrinfo(first) }
    var addresses: [SocketAddress] = []
    var next = unsafe first
    while let info = unsafe next {
      let length = unsafe Int(info.pointee.ai_addrlen)
      let bytes = unsafe UnsafeRawBufferPointer(start: info.pointee.ai_addr, count: length)
      addresses.append(SocketAddress(domain: unsafe info.pointee.ai_family, bytes: unsafe Array(bytes)))
      unsafe next = info.pointee.ai_next
    }
    return addresses
  }

  /// A unix socket; a name that begins with `@` is abstract and has no file.
  package static func unix(_ path: String) throws(Errno) -> SocketAddress {
    let isAbstract = path.hasPrefix("@")
    let name: [UInt8] = isAbstract ? [0] + path.utf8.dropFirst() : path.utf8 + [0]
    guard name.count <= 108 else { throw .fileNameTooLong }
    let family = unsafe withUnsafeBytes(of: sa_family_t(AF_UNIX)) { unsafe Array($0) }
    return SocketAddress(domain: AF_UNIX, bytes: family + name)
  }

  /// The port that was bound, for an address of the internet.
  package static func port(of socket: borrowing Descriptor) -> UInt16? {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    // IPv4 and IPv6 have the port at the same place, and the larger of the two is given room.
    let result = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(socket.raw.rawValue, $0, &length)
      }
    }
    return result == 0 ? UInt16(bigEndian: address.sin6_port) : nil
  }
}
