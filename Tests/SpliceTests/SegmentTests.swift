// What leaves a TCP socket, counted: no small packet, and nothing held back for 200 ms.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Facts of a TCP socket, from the kernel's `struct tcp_info`.
private struct Sent {
  /// Segments with data that were sent.
  let segments: UInt32
  /// Bytes accepted and not sent yet.
  let held: UInt32

  init(_ socket: borrowing Descriptor) throws {
    var info = [UInt32](repeating: 0, count: 64)
    var length = socklen_t(256)
    let result = socket.withFileDescriptor {
      getsockopt($0.rawValue, CInt(IPPROTO_TCP), TCP_INFO, &info, &length)
    }
    guard result == 0, length >= 160 else { throw Errno(rawValue: errno) }
    held = info[144 / 4]
    segments = info[156 / 4]
  }
}

@Suite(.mayBlock) struct SegmentTests {
  @Test func `a header and a file leave as one segment`() async throws {
    let ends = try Ends.tcp()
    let file = try TemporaryFile(bytes(20_000)).open(.readOnly)
    var pipe = try SplicePipe()
    try pipe.write(bytes(100, seed: 2))
    try await pipe.forward(from: file, to: ends.near)
    let sent = try Sent(ends.near)
    #expect(sent.segments == 1)
    #expect(sent.held == 0)
    #expect(try ends.far.read(exactly: 20_100) == bytes(100, seed: 2) + bytes(20_000))
  }

  @Test(arguments: [1, 15, 16, 17, 32])
  func `nothing is held back, whatever the slots`(_ slots: Int) throws {
    let ends = try Ends.tcp()
    let file = try TemporaryFile(bytes(4000)).open(.readOnly)
    var pipe = try SplicePipe()
    for number in 0..<slots {
      var offset = Int64(number * 100)
      #expect(try pipe.splice(from: file, at: &offset, upTo: 100) == .bytes(100))
    }
    // An oversized wish is what makes the kernel hold 16 slots back; the pipe passes the exact count on.
    #expect(try pipe.splice(to: ends.near, upTo: 1 << 20) == .bytes(slots * 100))
    #expect(try Sent(ends.near).held == 0)
    #expect(try ends.far.read(exactly: slots * 100) == Array(bytes(4000)[..<(slots * 100)]))
  }

  @Test func `more follows holds the last part back`() throws {
    let ends = try Ends.tcp()
    var pipe = try SplicePipe()
    try pipe.write(bytes(100))
    #expect(try pipe.splice(to: ends.near, moreFollows: true) == .bytes(100))
    #expect(try Sent(ends.near).held == 100)
    try pipe.write(bytes(50, seed: 2))
    #expect(try pipe.splice(to: ends.near) == .bytes(50))
    let sent = try Sent(ends.near)
    #expect(sent.held == 0 && sent.segments == 1)
    #expect(try ends.far.read(exactly: 150) == bytes(100) + bytes(50, seed: 2))
  }
}
