// PROXY headers: what is well-formed is understood whatever it comes in, what is not is refused.

import Splice
import Testing

@testable import SpliceServices

private let any: Set<Relay.ProxyVersion> = [.v1, .v2]

private func parse(
  _ bytes: [UInt8], _ versions: Set<Relay.ProxyVersion> = any
) throws -> (header: ProxyHeader, length: Int)? {
  // Somewhere inside of something else, where indices do not begin at 0.
  try ProxyHeader.parse(([9, 9] + bytes)[2...], accepting: versions)
}

private func parse(_ text: String) throws -> (header: ProxyHeader, length: Int)? {
  try parse(Array(text.utf8))
}

private let signature: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]

private let headers = [
  ProxyHeader(
    source: SocketAddress(ip: [192, 0, 2, 1], port: 65535),
    destination: SocketAddress(ip: [10, 0, 0, 1], port: 1)),
  ProxyHeader(
    source: SocketAddress(ip: [0x20, 1, 0xd, 0xb8] + [UInt8](repeating: 0, count: 11) + [7], port: 443),
    destination: SocketAddress(ip: [UInt8](repeating: 0, count: 15) + [1], port: 0)),
]
private let unix = ProxyHeader(
  source: SocketAddress(unixPath: Array("/run/client\0".utf8)),
  destination: SocketAddress(unixPath: [0] + Array("name".utf8)))

@Suite struct ProxyHeaderTests {
  @Test(arguments: headers, Relay.ProxyVersion.allCases)
  func `what is written is read`(_ header: ProxyHeader, _ version: Relay.ProxyVersion) throws {
    let bytes = header.bytes(version)
    let read = try #require(try parse(bytes + [1, 2, 3]))
    #expect(read.header == header && read.length == bytes.count)
    // However few come at once.
    for count in 0..<bytes.count { #expect(try parse(Array(bytes[..<count])) == nil) }
    // The other version was asked for.
    let other: Relay.ProxyVersion = version == .v1 ? .v2 : .v1
    #expect(throws: ProxyHeader.Malformed.self) { try parse(bytes, [other]) }
  }

  @Test func `the bytes are those of the specification`() throws {
    #expect(headers[0].bytes(.v1) == Array("PROXY TCP4 192.0.2.1 10.0.0.1 65535 1\r\n".utf8))
    #expect(headers[1].bytes(.v1) == Array("PROXY TCP6 2001:db8::7 ::1 443 0\r\n".utf8))
    #expect(
      headers[0].bytes(.v2) == signature + [0x21, 0x11, 0, 12, 192, 0, 2, 1, 10, 0, 0, 1, 0xff, 0xff, 0, 1])
    #expect(unix.bytes(.v2).prefix(16) == (signature + [0x21, 0x31, 0, 216])[...])
    #expect(try parse(unix.bytes(.v2))?.header == unix)
    // Version 1 has no word for these, nor for two that are not of one kind.
    let mixed = ProxyHeader(source: headers[0].source, destination: headers[1].destination)
    for header in [unix, mixed, ProxyHeader()] {
      #expect(header.bytes(.v1) == Array("PROXY UNKNOWN\r\n".utf8))
    }
    #expect(mixed.bytes(.v2) == signature + [0x21, 0, 0, 0])
    #expect(try parse("PROXY UNKNOWN\r\n")?.header == ProxyHeader())
    #expect(try parse("PROXY UNKNOWN ffff::1 whatever 1 2\r\nGET")?.length == 36)
    // A listener for both sees IPv4 inside IPv6.
    let inside = SocketAddress(ip: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1], port: 65535)
    #expect(
      ProxyHeader(source: inside, destination: headers[0].destination).bytes(.v1) == headers[0].bytes(.v1))
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n", "PROXX", "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4\0junk 1.2.3.4 1 2\r\n",
    "PROXY TCP6 ::1 ::1\0 1 2\r\n", "PROXY TCP4\0 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY UNKNOWN\0\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n", "PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r",
    "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY \r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + String(repeating: "x", count: 80),
    "PROXY UNKNOWN " + String(repeating: "x", count: 93),
  ])
  func `a line that is no header is refused`(_ text: String) {
    #expect(throws: ProxyHeader.Malformed.self, "\(text)") { try parse(text) }
  }

  @Test func `binary bytes that are no header are refused`() throws {
    let good = headers[0].bytes(.v2)
    func with(_ index: Int, _ byte: UInt8) -> [UInt8] {
      var copy = good
      copy[index] = byte
      return copy
    }
    for index in 0..<12 { #expect(throws: ProxyHeader.Malformed.self) { try parse(with(index, 0xaa)) } }
    for (index, byte) in [(12, 0x11), (12, 0x22), (13, 0x12), (13, 0x41), (14, 0x10), (15, 11)]
      as [(Int, UInt8)]
    {
      #expect(throws: ProxyHeader.Malformed.self, "\(index)") { try parse(with(index, byte) + [0, 0, 0, 0]) }
    }
    // A proxy that speaks for itself, and says whatever else.
    #expect(try parse(with(12, 0x20))?.header == ProxyHeader())
    // Extensions: one that is whole, one that is not, a checksum.
    func extended(_ bytes: [UInt8]) -> [UInt8] { with(15, UInt8(12 + bytes.count)) + bytes }
    #expect(try parse(extended([4, 0, 1, 0]))?.length == good.count + 4)
    for bytes in [[4], [4, 0], [4, 0, 2, 0], [3, 0, 1, 0], [3, 0, 4, 0, 0, 0, 0]] as [[UInt8]] {
      #expect(throws: ProxyHeader.Malformed.self, "\(bytes)") { try parse(extended(bytes)) }
    }
    // CRC32C of the header with zeros in its place, computed elsewhere.
    let summed = extended([3, 0, 4, 0xf0, 0xef, 0x03, 0xd0])
    let header = try #require(try parse(summed)?.header)
    #expect(header.source == headers[0].source && header.destination == headers[0].destination)
    #expect(header.bytes(.v2) == summed)
    #expect(throws: ProxyHeader.Malformed.self) {
      try parse(extended([3, 0, 4, 0xf0, 0xef, 0x03, 0xd0, 3, 0, 4, 0, 0, 0, 0]))
    }
  }

  /// What a proxy in front has added goes on, byte for byte; a checksum is that of the header it is in now.
  @Test func `extensions are passed on in version 2`() throws {
    let extensions: [UInt8] = [1, 0, 2, 0x68, 0x32, 0xea, 0, 0, 3, 0, 4, 9, 9, 9, 9, 5, 0, 1, 7]
    for base in [headers[0], headers[1], unix] {
      var header = base
      header.extensions = extensions
      let bytes = header.bytes(.v2)
      let read = try #require(try parse(bytes + [1, 2, 3]))
      #expect(read.length == bytes.count)
      #expect(read.header.source == base.source && read.header.destination == base.destination)
      let sum = bytes.count - 8..<bytes.count - 4
      #expect(bytes[sum] != [9, 9, 9, 9])
      let expected: [UInt8] = Array(extensions[..<11]) + Array(bytes[sum]) + Array(extensions[15...])
      #expect(read.header.extensions == expected)
      #expect(read.header.bytes(.v2) == bytes)
      // Version 1 has no place for them, and neither has a header without addresses.
      #expect(header.bytes(.v1) == base.bytes(.v1))
      header.source = nil
      #expect(header.bytes(.v2) == ProxyHeader().bytes(.v2))
    }
    // Without addresses they are not looked at.
    #expect(try parse(signature + [0x20, 0, 0, 4, 1, 0, 1, 5])?.header == ProxyHeader())
  }

  /// Nothing that comes from outside may end the process.
  @Test func `any bytes are read or refused`() {
    var numbers = SystemRandomNumberGenerator()
    let seeds = headers.flatMap { [$0.bytes(.v1), $0.bytes(.v2)] } + [unix.bytes(.v2)]
    for _ in 0..<20_000 {
      var bytes = seeds.randomElement(using: &numbers) ?? []
      for _ in 0..<Int.random(in: 1...4, using: &numbers) {
        switch Int.random(in: 0..<3, using: &numbers) {
        case 0 where !bytes.isEmpty:
          bytes[bytes.indices.randomElement() ?? 0] = .random(in: 0...255, using: &numbers)
        case 1 where !bytes.isEmpty: bytes.remove(at: bytes.indices.randomElement() ?? 0)
        default:
          bytes.insert(
            .random(in: 0...255, using: &numbers), at: Int.random(in: 0...bytes.count, using: &numbers))
        }
      }
      if let read = try? parse(bytes) { #expect(read.length <= bytes.count) }
    }
  }
}
