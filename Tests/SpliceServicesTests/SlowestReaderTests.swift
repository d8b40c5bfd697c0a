// Clients that take an answer too slowly, and those that take it just fast enough.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

@testable import SpliceServices

@Suite(.mayBlock) struct SlowestReaderTests {
  private static let size = 64 << 20

  /// How much of an answer arrives with a client that takes 4 KiB after each pause.
  private func taken(pausing pause: useconds_t, from port: UInt16) throws -> Int {
    let socket = try Descriptor.connect(
      host: "127.0.0.1", port: port, waitingIn: BlockingWait(until: .now + .seconds(60)))
    try socket.writeAll("GET /file HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".utf8)
    var chunk = [UInt8](repeating: 0, count: pause == 0 ? 1 << 20 : 4 << 10)
    var taken = 0
    while let count = try? socket.readSome(&chunk), count > 0 {
      taken += count
      usleep(pause)
    }
    return taken
  }

  @Test func `a client that takes an answer too slowly is let go`() async throws {
    let directory = try TemporaryDirectory()
    try Data(count: Self.size).write(to: URL(fileURLWithPath: "\(directory.path)/file"))
    var options = FileServer.Options()
    (options.stallTimeout, options.slowestReader) = (.seconds(1), 1 << 20)
    let server = try FileServer(
      of: FilePath(directory.path), on: [.tcp(host: "127.0.0.1", port: 0)], options: options)
    guard case .tcp(_, let port) = server.addresses[0] else { throw Errno.addressNotAvailable }
    let serving = Task { try await server.run() }
    let slow = onThread { try taken(pausing: 50_000, from: port) }
    let fast = onThread { try taken(pausing: 0, from: port) }
    #expect(try fast.join() > Self.size)
    #expect(try slow.join() < Self.size)
    serving.cancel()
    try await serving.value
  }
}
