// Files over SwiftNIO: the channel does the protocol, and a file goes past it from the page cache to the socket, in its place between
// what is written.
//
//   NIOFiles DIRECTORY    says where it listens; a request is the name of a file on a line, the answer its size on a line and the file

#if NIO
import Foundation
import NIOCore
import NIOPosix
import Splice
import SpliceNIO
import SystemPackage

@main struct NIOFiles {
  typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  static func main() async throws {
    guard let directory = CommandLine.arguments.dropFirst().first else {
      FileHandle.standardError.write(Data("usage: NIOFiles DIRECTORY\n".utf8))
      exit(64)
    }
    let server = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
      .bind(host: "127.0.0.1", port: 0) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addSplicing()
          return try Client(wrappingChannelSynchronously: channel)
        }
      }
    let port = server.channel.localAddress?.port ?? 0
    FileHandle.standardOutput.write(Data("127.0.0.1:\(port)\n".utf8))
    try await withThrowingDiscardingTaskGroup { group in
      try await server.executeThenClose { clients in
        for try await client in clients { group.addTask { try? await serve(client, directory) } }
      }
    }
  }

  static func serve(_ client: Client, _ directory: String) async throws {
    try await client.executeThenClose { requests, _ in
      var text = ByteBuffer()
      for try await piece in requests {
        text.writeImmutableBuffer(piece)
        while let end = text.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
          let name = text.readString(length: end - text.readerIndex) ?? ""
          text.moveReaderIndex(forwardBy: 1)
          if name.contains("/") { return }
          try await send(FilePath(directory).appending(name), to: client.channel)
        }
      }
    }
  }

  static func send(_ path: FilePath, to channel: any Channel) async throws {
    let file = try await SharedFile.open(path)
    // Both leave together.
    try await channel.send(.init(file), behind: ByteBuffer(string: "\(file.size)\n"))
  }
}
#else
@main struct NIOFiles {
  static func main() { fatalError("needs the trait NIO, which brings SwiftNIO") }
}
#endif
