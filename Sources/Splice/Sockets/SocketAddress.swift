// Addresses of sockets: a name and a port resolved, or the path of a unix socket.

import CSplice
import SystemPackage

/// Where a socket listens or connects to.
public struct SocketAddress: Sendable, Hashable {
  /// AF_INET, AF_INET6 or AF_UNIX.
  package let domain: CInt
  /// A `sockaddr` of that domain.
  package let bytes: [UInt8]

  private init(domain: CInt, bytes: [UInt8]) {
    self.domain = domain
    self.bytes = bytes
  }

  /// A `sockaddr` as the kernel gave it.
  package init(_ bytes: [UInt8]) {
    let family = bytes.count < 2 ? 0 : unsafe bytes.withUnsafeBytes { unsafe $0.load(as: sa_family_t.self) }
    self.init(domain: CInt(family), bytes: bytes)
  }

  /// An address of the internet: 4 or 16 bytes in the order of the network.
  public init(ip: [UInt8], port: UInt16) {
    let domain = ip.count == 4 ? AF_INET : AF_INET6
    let family = unsafe withUnsafeBytes(of: sa_family_t(domain)) { unsafe Array($0) }
    let head = family + [UInt8(port >> 8), UInt8(port & 0xff)]
    self.init(
      domain: domain,
      bytes: ip.count == 4
        ? head + ip + [UInt8](repeating: 0, count: 8)
        : head + [UInt8](repeating: 0, count: 4) + ip + [UInt8](repeating: 0, count: 4))
  }

  /// Whether this is a unix socket.
  package var isUnix: Bool { domain == AF_UNIX }

  /// A name that could not be resolved, with the resolver's reason.
  public struct Unresolved: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was looked up.
    public let host: String
    /// The resolver's words.
    public let reason: String

    /// Who, then why.
    public var description: String { "\(host): \(reason)" }
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
        host: host,
        reason: code == EAI_SYSTEM
          ? "\(Errno(rawValue: csplice_errno()))" : unsafe String(cString: gai_strerror(code)))
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

  /// A unix socket; a name that begins with `@` is abstract and has no file. Bytes that are not UTF-8 are
  /// carried: see `String.init(carrying:)`.
  public static func unix(_ path: String) throws(Errno) -> SocketAddress {
    let path = path.carriedBytes
    let name = path.first == UInt8(ascii: "@") ? [0] + path.dropFirst() : path + [0]
    guard name.count <= 108 else { throw .fileNameTooLong }
    return SocketAddress(unixPath: name)
  }

  /// The address of a unix socket by its name as the kernel has it: a path and a 0, or 0 and a name; empty
  /// for a socket without one.
  package init(unixPath name: [UInt8]) {
    let family = unsafe withUnsafeBytes(of: sa_family_t(AF_UNIX)) { unsafe Array($0) }
    self.init(domain: AF_UNIX, bytes: family + name)
  }

  /// The address a socket is bound to.  C: `getsockname`
  package init(of socket: borrowing Descriptor) throws(Errno) {
    self.init(try Syscall.getsockname(socket.raw))
  }

  /// The port that was bound, for an address of the internet.
  package static func port(of socket: borrowing Descriptor) -> UInt16? {
    (try? SocketAddress(of: socket))?.port
  }
}

// MARK: - What it says

extension SocketAddress {
  /// 4 or 16 bytes of an address of the internet.
  public var ip: [UInt8]? {
    switch domain {
    case AF_INET where bytes.count >= 8: Array(bytes[4..<8])
    case AF_INET6 where bytes.count >= 24: Array(bytes[8..<24])
    default: nil
    }
  }

  /// The port of an address of the internet.
  public var port: UInt16? { ip == nil ? nil : UInt16(bytes[2]) << 8 | UInt16(bytes[3]) }

  /// An address of IPv4 that stands inside one of IPv6, as a listener for both sees it, by itself.
  package var unmapped: SocketAddress {
    guard let ip, let port, ip.count == 16, ip.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff] else {
      return self
    }
    return SocketAddress(ip: Array(ip.suffix(4)), port: port)
  }

  /// The file of a unix socket; nil for one that is abstract or has no name.
  public var file: FilePath? {
    guard let path, let first = path.first, first != 0 else { return nil }
    return FilePath(bytes: path)
  }

  /// The path of a unix socket; empty when it has none, with a 0 in front when it is abstract.
  package var path: [UInt8]? {
    guard isUnix else { return nil }
    let name = bytes.dropFirst(2)
    return Array(name.first == 0 ? name : name.prefix { $0 != 0 })
  }
}

extension SocketAddress: CustomStringConvertible {
  /// As the command's endpoints are written: `127.0.0.1:80`, `[::1]:80`, `unix:PATH`, the bytes of a path
  /// escaped.
  public var description: String {
    if let ip, let port {
      let text = IPAddress.text(ip)
      return ip.count == 4 ? "\(text):\(port)" : "[\(text)]:\(port)"
    }
    guard let path else { return "unknown" }
    let name = path.first == 0 ? "@" + path.dropFirst().escaped : path.escaped
    return "unix:" + name
  }
}

/// Addresses of the internet as text.
package enum IPAddress {
  /// As the C library writes them.  C: `inet_ntop`
  package static func text(_ ip: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let domain = ip.count == 4 ? AF_INET : AF_INET6
    unsafe inet_ntop(domain, ip, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Whether a host is an address and not a name.
  package static func isNumeric(_ host: String) -> Bool {
    parse(host, count: 4) != nil || parse(host, count: 16) != nil
  }

  /// 4 or 16 bytes, where the text says as many.  C: `inet_pton`
  package static func parse(_ text: String, count: Int) -> [UInt8]? {
    // The call would not see what stands behind a 0.
    if text.utf8.contains(0) { return nil }
    var ip = [UInt8](repeating: 0, count: count)
    return unsafe inet_pton(count == 4 ? AF_INET : AF_INET6, text, &ip) == 1 ? ip : nil
  }
}
