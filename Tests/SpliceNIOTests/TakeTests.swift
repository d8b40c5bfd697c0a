// Sockets that leave NIO, whole.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Splice
import SpliceNIO
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct TakeTests {
  @Test(arguments: [Ends.Kind.tcp, .unix])
  func `a socket leaves, and lives on`(_ kind: Ends.Kind) async throws {
    var connected = try await Connected(kind)
    let channel = connected.channel
    channel.write(ByteBuffer(string: "before"), promise: nil)
    let taken = try await channel.takeSocket()
    try await channel.closeFuture.get()
    #expect(taken.bytesRead.readableBytes == 0)
    try taken.socket.writeAll(Array(" and after".utf8))
    #expect(try connected.far.read(exactly: 16) == Array("before and after".utf8))
    try connected.far.writeAll(Array("there and back".utf8))
    #expect(try taken.socket.read(exactly: 14) == Array("there and back".utf8))
    _ = connected.giveFar()
  }

  /// CONNECT: what a client sends with its request is not the decoder's.
  @Test func `what a decoder has left comes along`() async throws {
    let (asked, isAsked) = Asked.make()
    let connected = try await Connected(.tcp) { channel in
      let pipeline = channel.pipeline.syncOperations
      try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)))
      try pipeline.addHandler(HTTPResponseEncoder())
      try pipeline.addHandler(Asked(asked))
    }
    try connected.far.writeAll(Array("CONNECT far:1 HTTP/1.1\r\nhost: far\r\n\r\nat once".utf8))
    try await isAsked()
    let taken = try await connected.channel.takeSocket { pipeline in
      [
        try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self),
        try pipeline.handler(type: HTTPResponseEncoder.self),
      ]
    }
    #expect(String(buffer: taken.bytesRead) == "at once")
  }

  @Test func `two channels are relayed`() async throws {
    // What NIO has read and no handler has kept is gone.
    let silent: @Sendable (any Channel) throws -> Void = {
      try $0.syncOptions?.setOption(.autoRead, value: false)
    }
    var client = try await Connected(.tcp, silent)
    var upstream = try await Connected(.unix, silent)
    let (one, other) = (client.channel, upstream.channel)
    let relaying = Task { try await relay(one, other) }
    let near = Descriptor(owning: client.giveFar())
    let far = Descriptor(owning: upstream.giveFar())
    try near.writeAll(Array("question".utf8))
    #expect(try far.read(exactly: 8) == Array("question".utf8))
    try far.writeAll(Array("answer".utf8))
    try far.close()
    #expect(try near.readToEnd() == Array("answer".utf8))
    try near.close()
    try await relaying.value
  }

  @Test func `a channel that is closed is not taken`() async throws {
    let connected = try await Connected(.tcp)
    try await connected.channel.close()
    await #expect(throws: (any Error).self) { _ = try await connected.channel.takeSocket() }
  }
}
