// The code in the documentation of SpliceNIO that is in no example.

#if NIO
  import NIOCore
  import NIOHTTP1
  import Splice
  import SpliceNIO

  final class FileResponder: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    func respond(
      _ head: HTTPResponseHead, _ file: SharedFile, _ range: Range<UInt64>, _ context: ChannelHandlerContext
    ) {
      context.write(wrapOutboundOut(.head(head)), promise: nil)
      let sent = context.eventLoop.makePromise(of: UInt64.self)
      context.channel.send(.init(file, range), promise: sent)
      context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    static func respond(
      _ head: HTTPResponseHead, _ file: SharedFile, _ range: Range<UInt64>, _ channel: any Channel,
      _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws -> UInt64 {
      let sent = try await channel.send(.init(file, range), behind: HTTPServerResponsePart.head(head))
      try await outbound.write(.end(nil))
      return sent
    }

    static func parts(_ file: SharedFile, _ channel: any Channel) async throws {
      var list = GatherList()
      list.append("--boundary\r\n\r\n".utf8Span.span.bytes)
      list.append(file, 0..<1000)
      list.append("\r\n--boundary--\r\n".utf8Span.span.bytes)
      try await channel.send(list)
    }

    static func gather(_ client: borrowing Descriptor) async throws {
      let file = try await SharedFile.open("index.html")
      var answer = GatherList()
      answer.append("\(file.size)\n".utf8Span.span.bytes)
      answer.append(file)
      try await answer.drain(to: client)
    }
  }
#endif
