// Forwards one connection, both ways, through SwiftNIO's channels: the other side of the page for those who come from there.

import NIOCore
import NIOPosix

@main struct ForwardNIO {
  static func main() async throws {
    let words = CommandLine.arguments
    guard words.count == 4, let port = Int(words[1]), let upstream = Int(words[3]) else {
      fatalError("usage: ForwardNIO PORT HOST PORT")
    }
    typealias Stream = NIOAsyncChannel<ByteBuffer, ByteBuffer>
    let configuration = Stream.Configuration(isOutboundHalfClosureEnabled: true)
    let half = ChannelOptions.allowRemoteHalfClosure
    let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(half, value: true)
      .bind(host: "127.0.0.1", port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          try Stream(wrappingChannelSynchronously: channel, configuration: configuration)
        }
      }
    try await listener.executeThenClose { clients in
      for try await client in clients {
        let server = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
          .channelOption(half, value: true)
          .connect(host: words[2], port: upstream) { channel in
            channel.eventLoop.makeCompletedFuture {
              try Stream(wrappingChannelSynchronously: channel, configuration: configuration)
            }
          }
        try await client.executeThenClose { fromClient, toClient in
          try await server.executeThenClose { fromServer, toServer in
            try await withThrowingTaskGroup(of: Void.self) { group in
              group.addTask {
                for try await bytes in fromClient { try await toServer.write(bytes) }
                toServer.finish()
              }
              group.addTask {
                for try await bytes in fromServer { try await toClient.write(bytes) }
                toClient.finish()
              }
              try await group.waitForAll()
            }
          }
        }
        break
      }
    }
  }
}
