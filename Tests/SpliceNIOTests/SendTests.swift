// What is sent past a channel keeps its place between what is written.

import Foundation
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import Splice
import SpliceNIO
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct SendTests {
  private let content = bytes(8_000_000, seed: 41)

  @Test(arguments: [Ends.Kind.tcp, .unix])
  func `a file is sent between two writes`(_ kind: Ends.Kind) async throws {
    let held = try TemporaryFile(content)
    let file = try SharedFile(held.path)
    var connected = try await Connected(kind)
    let peer = whole(connected.giveFar())
    let channel = connected.channel
    try await channel.writeAndFlush(ByteBuffer(string: "first "))
    channel.write(ByteBuffer(string: "head "), promise: nil)
    let promise = channel.eventLoop.makePromise(of: UInt64.self)
    channel.send(.init(file), promise: promise)
    let behind = channel.eventLoop.makePromise(of: Void.self)
    channel.write(ByteBuffer(string: " tail"), promise: behind)
    channel.flush()
    #expect(try await promise.futureResult.get() == 8_000_005)
    try await behind.futureResult.get()
    #expect(try await channel.send(.init(file, 7..<4_000_000)) == 3_999_993)
    try await channel.close()
    let want = text("first head ") + content + text(" tail") + Array(content[7..<4_000_000])
    #expect(try peer.join() == want)
  }

  /// Nothing that is queued is called from within another: the stack would end.
  @Test func `many are sent in order, and with them what is written in between`() async throws {
    let held = try TemporaryFile(content[..<1000])
    let file = try SharedFile(held.path)
    var connected = try await Connected(.tcp)
    let peer = whole(connected.giveFar())
    let channel = connected.channel
    var want: [UInt8] = []
    let sent = try await channel.eventLoop.submit {
      (0..<20_000).map { number in
        let promise = channel.eventLoop.makePromise(of: UInt64.self)
        channel.write(ByteBuffer(string: "\(number):"), promise: nil)
        channel.send(.init(file, 0..<UInt64(number % 50)), promise: promise)
        return promise.futureResult
      }
    }.get()
    for number in 0..<20_000 {
      want += text("\(number):")
      want += content[..<(number % 50)]
    }
    for future in sent { _ = try await future.get() }
    try await channel.close()
    #expect(try peer.join() == want)
  }

  /// The peer reads nothing at first: the loop goes on, and says that too much is written.
  @Test func `a peer that does not read holds up its sender alone`() async throws {
    let held = try TemporaryFile(content)
    let file = try SharedFile(held.path)
    var connected = try await Connected(.tcp)
    let channel = connected.channel
    let promise = channel.eventLoop.makePromise(of: UInt64.self)
    channel.send(.init(file), promise: promise)
    try await channel.eventLoop.submit {}.get()
    #expect(channel.isWritable)
    let piece = ByteBuffer(bytes: content[..<100_000])
    channel.write(piece, promise: nil)
    channel.flush()
    try await channel.eventLoop.submit {}.get()
    #expect(!channel.isWritable)
    let peer = whole(connected.giveFar())
    #expect(try await promise.futureResult.get() == 8_000_000)
    try await channel.writeAndFlush(ByteBuffer())
    #expect(channel.isWritable)
    try await channel.close()
    let want = content + Array(content[..<100_000])
    #expect(try peer.join() == want)
  }

  @Test func `a head of HTTP leaves in one piece with its file`() async throws {
    let held = try TemporaryFile(content[..<20_000])
    let file = try SharedFile(held.path)
    let (asked, isAsked) = Asked.make()
    var connected = try await Connected(.tcp) { channel in
      try channel.pipeline.syncOperations.configureHTTPServerPipeline()
      try channel.pipeline.syncOperations.addHandler(Asked(asked))
    }
    try connected.far.writeAll(Array("GET / HTTP/1.1\r\n\r\n".utf8))
    try await isAsked()
    let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: ["content-length": "20000"])
    let channel = connected.channel
    let count = try await channel.send(.init(file), behind: HTTPServerResponsePart.head(head))
    try await channel.writeAndFlush(HTTPServerResponsePart.end(nil))
    let want = text("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n") + Array(content[..<20_000])
    #expect(count == want.count)
    #expect(try connected.far.read(exactly: want.count) == want)
    try await channel.close()
    #expect(try whole(connected.giveFar()).join() == [])
  }

  @Test func `an asynchronous channel sends what is spliced`() async throws {
    let held = try TemporaryFile(content)
    let file = try SharedFile(held.path)
    var connected = try await Connected(.tcp)
    let peer = whole(connected.giveFar())
    let channel = connected.channel
    let asynchronous = try await channel.eventLoop.submit {
      try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
    }.get()
    try await asynchronous.executeThenClose { _, outbound in
      try await outbound.write(ByteBuffer(string: "head "))
      #expect(try await channel.send(.init(file)) == 8_000_000)
      try await outbound.write(ByteBuffer(string: " tail"))
    }
    let want = text("head ") + content + text(" tail")
    #expect(try peer.join() == want)
  }

  @Test func `what a pipe holds is sent`() async throws {
    let connected = try await Connected(.unix)
    var pipe = try SplicePipe()
    _ = try pipe.write(Array("in the pipe".utf8))
    var list = GatherList.of("head ")
    list.append(pipe)
    #expect(try await connected.channel.send(list) == 16)
    #expect(try connected.far.read(exactly: 16) == Array("head in the pipe".utf8))
    try await connected.channel.close()
  }
}

// MARK: - What goes wrong

@Suite(.mayBlock) struct SendFaultTests {
  private let content = bytes(8_000_000, seed: 42)

  /// Its peer must not take what comes next for the rest of the file.
  @Test func `a file that was cut closes the channel`() async throws {
    let held = try TemporaryFile(content)
    let file = try SharedFile(held.path)
    try FileManager.default.removeItem(atPath: held.path.string)
    let shorter = try TemporaryFile(content[..<5_000_000])
    let short = try SharedFile(shorter.path)
    var connected = try await Connected(.tcp)
    let peer = whole(connected.giveFar())
    let channel = connected.channel
    // One that was removed is all there.
    _ = try await channel.send(.init(file))
    let sent = channel.eventLoop.makePromise(of: UInt64.self)
    let behind = channel.eventLoop.makePromise(of: Void.self)
    channel.send(.init(short, 0..<6_000_000), promise: sent)
    channel.write(ByteBuffer(string: "taken for the rest"), promise: behind)
    channel.flush()
    await #expect(throws: SpliceError.truncated(missing: 1_000_000)) { try await sent.futureResult.get() }
    await #expect(throws: (any Error).self) { try await behind.futureResult.get() }
    try await channel.closeFuture.get()
    let want = content + Array(content[..<5_000_000])
    #expect(try peer.join() == want)
  }

  @Test func `a peer that leaves ends what is sent to it`() async throws {
    let held = try TemporaryFile(content)
    let file = try SharedFile(held.path)
    var connected = try await Connected(.tcp)
    let channel = connected.channel
    let sent = channel.eventLoop.makePromise(of: UInt64.self)
    channel.send(.init(file), promise: sent)
    try await channel.eventLoop.submit {}.get()
    try Descriptor(owning: connected.giveFar()).close()
    await #expect(throws: (any Error).self) { try await sent.futureResult.get() }
    try await channel.closeFuture.get()
  }

  @Test(arguments: [false, true])
  func `a channel that is closed ends what is sent`(_ isCancelled: Bool) async throws {
    let name: String
    do {
      let held = try TemporaryFile(content)
      let file = try SharedFile(held.path)
      let connected = try await Connected(.tcp)
      let channel = connected.channel
      name = connected.name
      let sending = Task { try await channel.send(.init(file)) }
      // It has begun: the socket is full.
      try await channel.eventLoop.submit {}.get()
      if isCancelled { sending.cancel() } else { try await channel.close() }
      await #expect(throws: (any Error).self) { try await sending.value }
      try await channel.closeFuture.get()
      await #expect(throws: (any Error).self) { try await channel.send(.init(file)) }
    }
    try waitUntil("the socket is closed") { try !openDescriptors().contains { $0.hasSuffix(name) } }
  }

  /// It would leave in the clear.
  @Test(arguments: [true, false])
  func `an encrypted channel is refused`(_ isNearer: Bool) async throws {
    let held = try TemporaryFile(content[..<1000])
    let file = try SharedFile(held.path)
    let connected = try await Connected(.tcp) { channel in
      try channel.pipeline.syncOperations.addHandler(
        NIOSSLServerHandler(), position: isNearer ? .first : .last)
    }
    let name = "NIOSSLServerHandler"
    let refusal = isNearer ? SpliceRefusal.between(handler: name) : .encrypted(handler: name)
    await #expect(throws: refusal) { try await connected.channel.send(.init(file)) }
    await #expect(throws: (any Error).self) { _ = try await connected.channel.takeSocket() }
    try await connected.channel.closeFuture.get()
    #expect(try connected.far.readToEnd() == [])
  }

  @Test func `a channel without a handler or a socket is refused`() async throws {
    let held = try TemporaryFile(content[..<1000])
    let file = try SharedFile(held.path)
    let loop = EmbeddedEventLoop()
    let embedded = EmbeddedChannel(loop: loop)
    try embedded.pipeline.syncOperations.addSplicing()
    try await embedded.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).get()
    let promise = loop.makePromise(of: UInt64.self)
    embedded.send(.init(file), promise: promise)
    loop.run()
    #expect(throws: SpliceRefusal.noHandler) { try promise.futureResult.wait() }

    let ends = try Ends.unix()
    let near = try ends.near.duplicate()
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .withConnectedSocket(near.rawValue).get()
    await #expect(throws: SpliceRefusal.noHandler) { try await channel.send(.init(file)) }
    try await channel.close()
  }
}

/// Of the name that NIOSSL's has.
private final class NIOSSLServerHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
}
