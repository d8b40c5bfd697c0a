// Files over SwiftNIO: requests and headers are a channel's, and the file goes past it, from the disk to the socket without being copied.
//
//   NIOFiles DIRECTORY    says where it listens; a request is the name of a file on a line, the answer its size on a line and the file

#if Services
import Foundation
import NIOCore
import NIOPosix
import Splice
import SystemPackage

@main struct NIOFiles {
  typealias Client = NIOAsyncChannel<ByteBuffer, ByteBuffer>

  static func main() async throws {
    guard let directory = CommandLine.arguments.dropFirst().first else {
      FileHandle.standardError.write(Data("usage: NIOFiles DIRECTORY\n".utf8))
      exit(64)
    }
    let listener = try Listener(host: "127.0.0.1", port: 0)
    FileHandle.standardOutput.write(Data("\(listener.address)\n".utf8))
    try await withThrowingDiscardingTaskGroup { group in
      while true {
        let socket = try await listener.accept()
        // The channel has a number of its own, which it closes.
        let number = try socket.withFileDescriptor { try $0.duplicate() }
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
          .withConnectedSocket(number.rawValue) { channel in
            channel.eventLoop.makeCompletedFuture { try Client(wrappingChannelSynchronously: channel) }
          }
        let handover = Handover(socket)
        group.addTask { try? await serve(channel, handover.take(), directory) }
      }
    }
  }

  static func serve(_ client: Client, _ socket: consuming Descriptor, _ directory: String) async throws {
    let socket = Handover(socket)
    try await client.executeThenClose { requests, _ in
      let socket = socket.take()
      var text = ByteBuffer()
      for try await piece in requests {
        text.writeImmutableBuffer(piece)
        while let end = text.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
          let name = text.readString(length: end - text.readerIndex) ?? ""
          text.moveReaderIndex(forwardBy: 1)
          if name.contains("/") { return }
          try await send(FilePath(directory).appending(name), over: client.channel, socket)
        }
      }
    }
  }

  static func send(_ path: FilePath, over channel: any Channel, _ socket: borrowing Descriptor) async throws {
    let file = try Descriptor.open(path, .readOnly)
    let size = try file.withFileDescriptor { file in
      defer { _ = try? file.seek(offset: 0, from: .start) }
      return try file.seek(offset: 0, from: .end)
    }
    // It has been written when this returns, so the file comes behind it.
    try await channel.writeAndFlush(ByteBuffer(string: "\(size)\n"))
    var pipe = try SplicePipe()
    try await pipe.forward(from: file, to: socket, upTo: UInt64(size))
  }
}
#else
@main struct NIOFiles {
  static func main() { fatalError("needs the trait Services, which brings SwiftNIO") }
}
#endif
