// The PROXY protocol, versions 1 and 2: a header in front of a stream says between whom it runs. Pure.
//
// Strict, as the specification asks for: what is not a whole and well-formed header of a version that is
// accepted is an error at the first byte that shows it. A header is short, so one that does not come to its
// end is an error too.

import Splice

/// The two ends of a stream, as a proxy tells them in front of it.
struct ProxyHeader: Sendable, Hashable {
  /// Nil where the proxy speaks for itself (a health check), or does not say: then the stream runs between
  /// the two ends of its connection.
  var source, destination: SocketAddress?
  /// Extensions of version 2 (TLVs), as they came: ALPN, SSL, unique IDs and whatever else. They go on in
  /// version 2; a checksum among them is computed anew. Version 1 has no place for them.
  var extensions: [UInt8] = []

  /// What is wrong with a header.
  struct Malformed: Error, Sendable, Hashable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
  }

  /// Longer ones are refused: 107 bytes are the most there can be in version 1, and in 2 this leaves room for
  /// extensions.
  static let longest = 4096

  /// The header that begins these bytes, and its length; nil when more bytes are needed to tell.
  static func parse(
    _ bytes: ArraySlice<UInt8>, accepting accepted: Set<Relay.ProxyVersion>
  ) throws(Malformed) -> (header: ProxyHeader, length: Int)? {
    let mayBe1 = accepted.contains(.v1) && startsAlike(bytes, Version1.opening)
    let mayBe2 = accepted.contains(.v2) && startsAlike(bytes, Version2.opening)
    guard mayBe1 || mayBe2 else { throw Malformed("not a PROXY header") }
    if mayBe1, bytes.count >= Version1.opening.count { return try Version1.parse(bytes) }
    if mayBe2, bytes.count >= Version2.opening.count { return try Version2.parse(bytes) }
    return nil
  }

  private static func startsAlike(_ bytes: ArraySlice<UInt8>, _ opening: [UInt8]) -> Bool {
    zip(bytes, opening).allSatisfy { $0 == $1 }
  }

  /// Whether it tells the two ends.
  var isSpecified: Bool { source != nil && destination != nil }

  /// The bytes to send.
  func bytes(_ version: Relay.ProxyVersion) -> [UInt8] {
    switch version {
    case .v1: Version1.bytes(self)
    case .v2: Version2.bytes(self)
    }
  }

  /// Both addresses, when they are of one family, as two of IPv4 inside IPv6 are.
  fileprivate var pair: (source: SocketAddress, destination: SocketAddress)? {
    guard let source = source?.unmapped, let destination = destination?.unmapped,
      source.domain == destination.domain
    else { return nil }
    return (source, destination)
  }
}

// MARK: - Version 1

/// One line of text.
private enum Version1 {
  static let opening = Array("PROXY ".utf8)
  private static let longest = 107

  static func parse(_ bytes: ArraySlice<UInt8>) throws(ProxyHeader.Malformed) -> (ProxyHeader, Int)? {
    guard let end = bytes.prefix(longest).firstIndex(of: UInt8(ascii: "\r")) else {
      if bytes.count >= longest { throw .init("a line of more than \(longest) bytes") }
      return nil
    }
    guard end + 1 < bytes.endIndex else { return nil }
    guard bytes[end + 1] == UInt8(ascii: "\n"), end + 2 - bytes.startIndex <= longest else {
      throw .init("a line that does not end with CR LF")
    }
    let fields = bytes[..<end].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      .map { String(decoding: $0, as: UTF8.self) }
    let length = end + 2 - bytes.startIndex
    if fields[1] == "UNKNOWN" { return (ProxyHeader(), length) }
    let count = try octets(fields[1])
    guard fields.count == 6 else { throw .init("\(fields.count) words instead of 6") }
    return (
      ProxyHeader(
        source: try address(fields[2], fields[4], count),
        destination: try address(fields[3], fields[5], count)),
      length
    )
  }

  private static func octets(_ family: String) throws(ProxyHeader.Malformed) -> Int {
    switch family {
    case "TCP4": return 4
    case "TCP6": return 16
    default: throw .init("unknown family")
    }
  }

  private static func address(
    _ ip: String, _ port: String, _ count: Int
  ) throws(ProxyHeader.Malformed) -> SocketAddress {
    guard let ip = IPAddress.parse(ip, count: count) else { throw .init("not an address") }
    // No sign, no zeros in front.
    guard let number = UInt16(port), String(number) == port else { throw .init("not a port") }
    return SocketAddress(ip: ip, port: number)
  }

  static func bytes(_ header: ProxyHeader) -> [UInt8] {
    guard let (source, destination) = header.pair, let from = source.ip, let to = destination.ip,
      let fromPort = source.port, let toPort = destination.port
    else { return Array("PROXY UNKNOWN\r\n".utf8) }
    let family = from.count == 4 ? "TCP4" : "TCP6"
    return Array(
      "PROXY \(family) \(IPAddress.text(from)) \(IPAddress.text(to)) \(fromPort) \(toPort)\r\n".utf8)
  }
}

// MARK: - Version 2

/// Binary: a signature, version and command, family and protocol, a length, addresses, extensions.
private enum Version2 {
  static let opening: [UInt8] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
  ]
  private static let fixed = 16
  private static let pathSize = 108

  static func parse(_ bytes: ArraySlice<UInt8>) throws(ProxyHeader.Malformed) -> (ProxyHeader, Int)? {
    guard bytes.count >= fixed else { return nil }
    let start = bytes.startIndex
    let length = fixed + number(bytes, at: start + 14)
    guard length <= ProxyHeader.longest else {
      throw .init("\(length) bytes, where \(ProxyHeader.longest) are allowed")
    }
    guard bytes[start + 12] >> 4 == 2 else { throw .init("not version 2") }
    guard bytes.count >= length else { return nil }
    let whole = bytes[start..<start + length]
    switch bytes[start + 12] & 0xf {
    case 0: return (ProxyHeader(), length)
    case 1:
      var (header, extensions) = try addresses(bytes[start + 13], whole.dropFirst(fixed))
      try check(extensions, of: whole)
      header.extensions = Array(extensions)
      return (header, length)
    default: throw .init("unknown command")
    }
  }

  /// The addresses, and what stands behind them.
  private static func addresses(
    _ family: UInt8, _ rest: ArraySlice<UInt8>
  ) throws(ProxyHeader.Malformed) -> (ProxyHeader, ArraySlice<UInt8>) {
    let size: Int
    switch family {
    case 0x00: return (ProxyHeader(), [])
    case 0x11: size = 4
    case 0x21: size = 16
    case 0x31: size = pathSize
    default: throw .init("unknown family")
    }
    let isUnix = size == pathSize
    let all = 2 * size + (isUnix ? 0 : 4)
    guard rest.count >= all else { throw .init("too short for its addresses") }
    let start = rest.startIndex
    let (one, two) = (rest[start..<start + size], rest[start + size..<start + 2 * size])
    let header =
      isUnix
      ? ProxyHeader(source: path(one), destination: path(two))
      : ProxyHeader(
        source: SocketAddress(ip: Array(one), port: UInt16(number(rest, at: start + 2 * size))),
        destination: SocketAddress(ip: Array(two), port: UInt16(number(rest, at: start + 2 * size + 2))))
    return (header, rest.dropFirst(all))
  }

  /// A name ends with its first 0, or at the end; one that begins with 0 is abstract, and ends before the
  /// zeros at its end.
  private static func path(_ bytes: ArraySlice<UInt8>) -> SocketAddress? {
    let used = bytes.lastIndex { $0 != 0 }.map { bytes[...$0] } ?? []
    let name = used.first == 0 ? Array(used) : used.prefix { $0 != 0 } + (used.isEmpty ? [] : [0])
    return SocketAddress(unixPath: name)
  }

  /// Every extension is whole, and a checksum is right.
  private static func check(
    _ extensions: ArraySlice<UInt8>, of header: ArraySlice<UInt8>
  ) throws(ProxyHeader.Malformed) {
    guard let place = try checksum(in: extensions) else { return }
    let said = header[place].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    var copy = header
    for index in place { copy[index] = 0 }
    guard CRC32C.of(copy) == said else { throw .init("a wrong checksum") }
  }

  /// Where the value of the checksum stands among extensions, each of which is whole.
  private static func checksum(in extensions: ArraySlice<UInt8>) throws(ProxyHeader.Malformed) -> Range<Int>?
  {
    var rest = extensions
    var found: Range<Int>?
    while !rest.isEmpty {
      guard rest.count >= 3 else { throw .init("an extension that is cut short") }
      let value = rest.startIndex + 3
      let end = value + number(rest, at: value - 2)
      guard end <= rest.endIndex else { throw .init("an extension that is cut short") }
      if rest[value - 3] == 0x03 {
        guard end == value + 4 else { throw .init("a checksum of another size") }
        guard found == nil else { throw .init("two checksums") }
        found = value..<end
      }
      rest = rest[end...]
    }
    return found
  }

  private static func number(_ bytes: ArraySlice<UInt8>, at index: Int) -> Int {
    Int(bytes[index]) << 8 | Int(bytes[index + 1])
  }

  static func bytes(_ header: ProxyHeader) -> [UInt8] {
    let (family, addresses) = header.pair.map(encoded) ?? (0x00, [])
    // Without addresses a reader takes what follows for nothing.
    let rest = family == 0x00 ? [] : addresses + header.extensions
    var bytes = opening + [0x21, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xff)] + rest
    guard let place = try? checksum(in: bytes[(bytes.count - rest.count + addresses.count)...]) else {
      return bytes
    }
    for index in place { bytes[index] = 0 }
    let sum = CRC32C.of(bytes[...])
    for (shift, index) in zip([24, 16, 8, 0], place) {
      bytes[index] = UInt8(truncatingIfNeeded: sum >> shift)
    }
    return bytes
  }

  private static func encoded(
    _ pair: (source: SocketAddress, destination: SocketAddress)
  ) -> (UInt8, [UInt8]) {
    if let from = pair.source.path, let to = pair.destination.path {
      return (0x31, [from, to].flatMap { $0 + [UInt8](repeating: 0, count: pathSize - $0.count) })
    }
    guard let from = pair.source.ip, let to = pair.destination.ip, let fromPort = pair.source.port,
      let toPort = pair.destination.port
    else { return (0x00, []) }
    let ports = [fromPort, toPort].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    return (from.count == 4 ? 0x11 : 0x21, from + to + ports)
  }
}

/// The checksum of version 2: polynomial 0x1EDC6F41, reflected (RFC 9260, appendix B). A header is short: bit
/// by bit will do.
private enum CRC32C {
  static func of(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var sum = ~UInt32(0)
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82f6_3b78 }
    }
    return ~sum
  }
}
