// Bodies that go past SwiftNIO: the head is Hummingbird's, and the file leaves behind it from the page cache.

import Hummingbird
import NIOCore
import NIOHTTPTypes
import Splice
import SpliceNIO
import SystemPackage

/// The files of a directory, for `FileMiddleware`, which does everything else: names, ranges, ETags, types.
struct SplicedFiles: FileProvider {
  let ordinary: LocalFileSystem

  func getFileIdentifier(_ path: String) -> String? { ordinary.getFileIdentifier(path) }

  func getAttributes(id: String) async throws -> LocalFileSystem.FileAttributes? {
    try await ordinary.getAttributes(id: id)
  }

  func loadFile(id: String, context: some RequestContext) async throws -> ResponseBody {
    try await loadFile(id: id, range: 0...Int.max, context: context)
  }

  func loadFile(
    id: String, range: ClosedRange<Int>, context: some RequestContext
  ) async throws -> ResponseBody {
    let body = try await ordinary.loadFile(id: id, range: range, context: context)
    guard body.contentLength != 0, let channel = (context as? ChannelContext)?.channel else { return body }
    return try await ResponseBody(splicing: FilePath(id), range, to: channel, otherwise: body)
  }
}

extension ResponseBody {
  /// A stretch of a file, which waits for its client as the ordinary body does.
  ///
  /// - Parameter otherwise: What is written where nothing may be spliced.
  init(
    splicing path: FilePath, _ range: ClosedRange<Int>, to channel: any Channel, otherwise: ResponseBody
  ) async throws {
    let file: SharedFile
    do { file = try await SharedFile.open(path) } catch { throw HTTPError(.notFound) }
    let last = Int(file.size) - 1
    guard max(range.lowerBound, 0) <= last else { throw HTTPError(.rangeNotSatisfiable) }
    let part = range.clamped(to: 0...last)
    self.init(contentLength: part.count) { writer in
      do {
        try await channel.send(GatherList(file, UInt64(part.lowerBound)..<UInt64(part.upperBound) + 1))
        try await writer.finish(nil)
      } catch SpliceRefusal.noHandler {
        // Nothing has been sent, and the channel is as it was.
        try await otherwise.write(writer)
      }
    }
  }
}

/// A context that knows the channel of its request.
struct ChannelContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let channel: any Channel

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    channel = source.channel
  }
}

/// Prepares a connection for what is spliced, and lets a head wait for the file behind it. Not for a connection
/// with TLS, past which a file would leave in the clear: it is refused there, and the connection ends. Without
/// this handler nothing is sent past a connection, and bodies are written.
///
/// Hummingbird flushes behind each part of a response. The flush of a head that is followed by content of a
/// known length is left out, so that both leave in one segment: there will be another behind the content.
final class Splicing: ChannelOutboundHandler, RemovableChannelHandler {
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private var holdsHead = false

  func handlerAdded(context: ChannelHandlerContext) {
    try? context.pipeline.syncOperations.addSplicing()
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if case .head(let head) = unwrapOutboundIn(data) {
      holdsHead = head.headerFields[.contentLength] != nil
    } else {
      holdsHead = false
    }
    context.write(data, promise: promise)
  }

  func flush(context: ChannelHandlerContext) {
    if !holdsHead { context.flush() }
  }
}
