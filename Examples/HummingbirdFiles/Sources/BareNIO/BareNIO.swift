// A response of a fixed size by SwiftNIO alone: what HTTP/1.1 costs before there is a file. A peer of
// Benchmarks/serve.
//
//   BareNIO PORT [BYTES]

import NIOCore
import NIOHTTP1
import NIOPosix

final class Answer: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let body: ByteBuffer
  private let head: HTTPResponseHead

  init(_ body: ByteBuffer) {
    self.body = body
    let headers = HTTPHeaders([("content-length", "\(body.readableBytes)"), ("content-type", "text/plain")])
    head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .end = unwrapInboundIn(data) else { return }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }
}

@main struct BareNIO {
  static func main() async throws {
    let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
    guard let port = numbers.first else { fatalError("usage: BareNIO PORT [BYTES]") }
    let body = ByteBuffer(repeating: UInt8(ascii: "a"), count: numbers.count > 1 ? numbers[1] : 1024)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 4096)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(Answer(body))
        }
      }
      .bind(host: "127.0.0.1", port: port).get()
    try await server.closeFuture.get()
  }
}
