// A channel of NIO's and the plain socket at its other end.

import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import Splice
import SpliceNIO
import struct SystemPackage.FileDescriptor
import TestSupport

/// A channel, and the socket that its peer has.
struct Connected: ~Copyable {
  let channel: any Channel
  /// What the kernel calls its socket.
  let name: String
  var far: Descriptor

  init(
    _ kind: Ends.Kind, _ prepare: @escaping @Sendable (any Channel) throws -> Void = { _ in }
  ) async throws {
    var ends = try Ends.make(kind)
    let near = ends.giveNear()
    let link = "/proc/self/fd/\(near.rawValue)"
    let name = (try? FileManager.default.destinationOfSymbolicLink(atPath: link)) ?? ""
    channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addSplicing()
          try prepare(channel)
        }
      }
      .withConnectedSocket(near.rawValue).get()
    self.name = name
    far = Descriptor(owning: ends.giveFar())
  }

  mutating func giveFar() -> FileDescriptor {
    var given = Descriptor(owning: FileDescriptor(rawValue: -1))
    swap(&given, &far)
    return given.release()
  }
}

extension GatherList {
  static func of(_ text: String) -> GatherList {
    var list = GatherList()
    list.append(text.utf8Span.span.bytes)
    return list
  }
}

/// What goes on until it has ended.
func whole(_ number: FileDescriptor) -> Work<[UInt8]> {
  onThread { try Descriptor(owning: number).readToEnd() }
}

func some(_ number: FileDescriptor, _ count: Int) -> Work<[UInt8]> {
  onThread { try Descriptor(owning: number).read(exactly: count) }
}

func text(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Says that a request has come.
final class Asked: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  private let asked: AsyncStream<Void>.Continuation

  init(_ asked: AsyncStream<Void>.Continuation) { self.asked = asked }

  /// What one takes, and what waits for it.
  static func make() -> (AsyncStream<Void>.Continuation, @Sendable () async throws -> Void) {
    let (stream, asked) = AsyncStream.makeStream(of: Void.self)
    return (asked, { for await _ in stream { return } })
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if case .end = unwrapInboundIn(data) { asked.yield() }
  }
}
