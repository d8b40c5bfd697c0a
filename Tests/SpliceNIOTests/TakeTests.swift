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
    let asked = Asked()
    let connected = try await Connected(.tcp) { channel in
      let pipeline = channel.pipeline.syncOperations
      try pipeline.addHandler(ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)))
      try pipeline.addHandler(HTTPResponseEncoder())
      try pipeline.addHandler(asked.handler(on: channel.eventLoop))
    }
    try connected.far.writeAll(Array("CONNECT far:1 HTTP/1.1\r\nhost: far\r\n\r\nat once".utf8))
    try await asked.isAsked(on: connected.channel.eventLoop)
    let taken = try await connected.channel.takeSocket { pipeline in
      [
        try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self),
        try pipeline.handler(type: HTTPResponseEncoder.self),
      ]
    }
    #expect(String(buffer: taken.bytesRead) == "at once")
  }

  @Test func `two channels are relayed`() async throws {
    var client = try await Connected(.tcp)
    var upstream = try await Connected(.unix)
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

/// Whether a request has come.
private struct Asked: Sendable {
  private let promises = Box2()

  final class Box2: @unchecked Sendable {
    // Sendable: used on the channel's loop alone.
    var promise: EventLoopPromise<Void>?
  }

  func handler(on loop: any EventLoop) -> Handler {
    promises.promise = loop.makePromise()
    return Handler(promises.promise!)
  }

  func isAsked(on loop: any EventLoop) async throws {
    try await loop.flatSubmit { [promises] in promises.promise!.futureResult }.get()
  }

  final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    private let asked: EventLoopPromise<Void>

    init(_ asked: EventLoopPromise<Void>) { self.asked = asked }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if case .end = unwrapInboundIn(data) { asked.succeed() }
    }
  }
}
