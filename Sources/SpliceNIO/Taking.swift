// Taking a socket out of NIO, whole: with what was read of it and heard by nobody.

#if NIO
import NIOCore
import Splice
import struct SystemPackage.FileDescriptor

/// Chooses handlers of a pipeline, on its event loop.
public typealias HandlerChoice =
  @Sendable (ChannelPipeline.SynchronousOperations) throws ->
  [any RemovableChannelHandler]

/// A socket that was a channel's.
public struct TakenSocket: ~Copyable, Sendable {
  /// The socket.
  public var socket: Descriptor
  /// What was read of it already, and comes before what it gives.
  public let bytesRead: ByteBuffer
}

/// The socket of a channel was asked for.
final class TakeRequest: Sendable {
  /// The handlers that have read bytes which nobody has heard.
  let removing: HandlerChoice
  let promise: EventLoopPromise<Taken>

  init(removing: @escaping HandlerChoice, _ promise: EventLoopPromise<Taken>) {
    (self.removing, self.promise) = (removing, promise)
  }
}

/// What a promise can carry of it.
struct Taken: Sendable {
  let socket: Handover<Descriptor>
  let bytesRead: ByteBuffer
}

/// A socket on its way out of NIO.
struct Taking {
  let promise: EventLoopPromise<Taken>
  /// Nothing of what is read is handed to others any more.
  var hasBegun = false
  var read = ByteBuffer()
}

extension Channel {
  /// Takes the socket out of NIO: for a CONNECT, an upgrade, or whatever goes on without NIO. It needs
  /// `addSplicing` in its pipeline.
  ///
  /// What was written before goes out first; a task that is cancelled meanwhile closes the channel. Then the
  /// channel ends, as if it had been closed; its peer notices nothing of that. What was handed to the
  /// channel's handlers before is theirs: a channel that is to be taken before anybody reads from it is made
  /// with `autoRead` off.
  ///
  /// - Parameter removing: The handlers that may hold bytes which were read and are not theirs, such as
  ///   decoders, from the socket on: they are removed, and the bytes that they pass on then are in
  ///   ``TakenSocket/bytesRead``. Called on the event loop.
  /// - Throws: ``SpliceRefusal`` when the channel is encrypted; an error of NIO's when it was closed before.
  public func takeSocket(
    removing: @escaping HandlerChoice = { _ in [] }
  ) async throws -> TakenSocket {
    let promise = eventLoop.makePromise(of: Taken.self)
    let isTaken = eventLoop.makePromise(of: Void.self)
    isTaken.futureResult.whenFailure { _ in promise.fail(SpliceRefusal.noHandler) }
    triggerUserOutboundEvent(TakeRequest(removing: removing, promise), promise: isTaken)
    let taken = try await untilCancelled(promise.futureResult)
    return TakenSocket(socket: taken.socket.take(), bytesRead: taken.bytesRead)
  }
}

/// Takes two channels out of NIO, and moves bytes between them until both have ended.
///
/// - Parameters:
///   - client: One of them. What was read of it already goes first.
///   - upstream: The other.
///   - removing: The handlers of each that hold bytes which were read.
///   - options: Limits, rates and meters.
///   - readiness: Where to wait.
/// - Throws: ``SpliceRefusal`` or an error of NIO's before they are taken, and ENOBUFS when more was read than a
///   pipe takes (`SplicePipe.writeAll`); `Duplex.Failure` afterwards. Both are closed at the end,
///   but for a client that was refused, which can be told.
public func relay(
  _ client: any Channel, _ upstream: any Channel,
  removing: @escaping HandlerChoice = { _ in [] },
  options: Duplex.Options = Duplex.Options(), waitingOn readiness: some Readiness = .epoll
) async throws {
  defer { upstream.close(mode: .all, promise: nil) }
  let client = try await client.takeSocket(removing: removing)
  let server = try await upstream.takeSocket(removing: removing)
  var duplex = Duplex()
  try duplex.forward.writeAll(client.bytesRead)
  try duplex.backward.writeAll(server.bytesRead)
  try await duplex.run(between: client.socket, and: server.socket, options: options, waitingOn: readiness)
}

extension SplicePipe {
  fileprivate mutating func writeAll(_ bytes: ByteBuffer) throws {
    try unsafe bytes.withUnsafeReadableBytes { bytes in try unsafe writeAll(bytes.bytes) }
  }
}

// MARK: - In the pipeline

extension SpliceHandler {
  func take(_ request: TakeRequest, _ context: ChannelHandlerContext) {
    if let refusal = SpliceRefusal(of: context) { return request.promise.fail(refusal) }
    taking = Taking(promise: request.promise)
    release(context)
    quiet(context) { handler, result, context in
      do {
        try result.get()
        try handler.beginToTake(request, context)
      } catch { handler.failToTake(error, context) }
    }
  }

  /// From now on what is read is kept, and those that have read before are asked for what they have left.
  private func beginToTake(_ request: TakeRequest, _ context: ChannelHandlerContext) throws {
    guard taking != nil else { return }
    try context.channel.syncOptions?.setOption(.autoRead, value: false)
    taking?.hasBegun = true
    let pipeline = context.pipeline.syncOperations
    let handlers = try request.removing(pipeline)
    let left = handlers.map { _ in Leftovers() }
    for (handler, left) in zip(handlers, left) { try pipeline.addHandler(left, position: .after(handler)) }
    let removals = handlers.map { pipeline.removeHandler($0) }
    let bound = NIOLoopBound((self, context, left), eventLoop: context.eventLoop)
    EventLoopFuture.andAllSucceed(removals, on: context.eventLoop).whenComplete { result in
      let (handler, context, left) = bound.value
      do {
        try result.get()
        // What is further from the socket was read before.
        var bytes = ByteBuffer()
        for var piece in left.reversed().map(\.bytes) { bytes.writeBuffer(&piece) }
        try handler.endTaking(bytes, context)
      } catch { handler.failToTake(error, context) }
    }
  }

  /// The channel closes its number, and the socket lives on under another.
  private func endTaking(_ left: ByteBuffer, _ context: ChannelHandlerContext) throws {
    guard var taken = taking else { return }
    let number = try Syscall.duplicate(context.socket())
    let socket = Descriptor(stream: number, isUnix: context.isUnix)
    taking = nil
    var bytes = left
    bytes.writeBuffer(&taken.read)
    taken.promise.succeed(Taken(socket: Handover(socket), bytesRead: bytes))
    end(with: ChannelError.ioOnClosedChannel)
    context.close(mode: .all, promise: nil)
  }

  private func failToTake(_ error: any Error, _ context: ChannelHandlerContext) {
    end(with: error)
    context.close(mode: .all, promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard taking?.hasBegun == true else { return context.fireChannelRead(data) }
    var bytes = unwrapInboundIn(data)
    taking?.read.writeBuffer(&bytes)
  }
}

/// Behind a decoder: what that has left when it is removed, and nobody further on expects.
private final class Leftovers: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  private(set) var bytes = ByteBuffer()

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // NIO does not say in another way what it carries; messages are for nobody any more.
    guard data.description.hasPrefix("ByteBuffer:") else { return }
    var left = unwrapInboundIn(data)
    bytes.writeBuffer(&left)
  }
}
#endif
