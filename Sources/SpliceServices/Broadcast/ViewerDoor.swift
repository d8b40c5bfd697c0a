// The door for viewers who come over HTTP: NIO talks with them until one is to be shown the stream. Then its
// socket leaves the channel whole, and NIO hears of it no more.

import NIOCore
import NIOHTTP1
import NIOPosix
import Splice
import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

/// Lets viewers in who ask for the right thing.
final class ViewerDoor: Sendable {
  private let mount: Broadcast.Mount
  private let group: MultiThreadedEventLoopGroup
  /// The thread on which HTTP is spoken.
  var loop: any EventLoop { group.next() }

  /// What NIO opens for an event loop.
  static let descriptors = 3

  init(to mount: Broadcast.Mount) {
    self.mount = mount
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  }

  deinit { group.shutdownGracefully { _ in } }

  /// A viewer to whom the head of the answer was sent, and its place in the stream.
  struct Admitted: Sendable {
    let socket: FileDescriptor
    let place: FanOut.Sink
  }

  /// Hears what a client wants; nil when it was given another answer than the stream.
  func admit(_ socket: FileDescriptor) async -> Admitted? {
    let loop = group.next()
    let promise = loop.makePromise(of: Admitted?.self)
    let mount = mount
    let channel = ClientBootstrap(group: loop)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          var encoding = HTTPResponseEncoder.Configuration()
          // The body ends with the connection, so that nothing stands between its bytes.
          encoding.automaticallySetFramingHeaders = false
          let pipeline = channel.pipeline.syncOperations
          try pipeline.configureHTTPServerPipeline(
            withPipeliningAssistance: false, withErrorHandling: false, withEncoderConfiguration: encoding)
          try pipeline.addHandler(DoorHandler(mount, promise))
        }
      }
      .withConnectedSocket(socket.rawValue)
    // The socket is NIO's by then, and closed.
    channel.whenFailure { _ in promise.succeed(nil) }
    return await withTaskCancellationHandler {
      (try? await promise.futureResult.get()) ?? nil
    } onCancel: {
      channel.whenSuccess { $0.close(promise: nil) }
    }
  }
}

/// One client at the door.
private final class DoorHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let mount: Broadcast.Mount
  private let admitted: EventLoopPromise<ViewerDoor.Admitted?>
  private var head: HTTPRequestHead?
  private var patience: Scheduled<Void>?
  private var isOver = false
  private var isSettled = false

  /// How long a client may take for its request, and to leave once it was answered.
  private static let longest = TimeAmount.seconds(10)

  init(_ mount: Broadcast.Mount, _ admitted: EventLoopPromise<ViewerDoor.Admitted?>) {
    (self.mount, self.admitted) = (mount, admitted)
  }

  private struct Answer {
    var status: HTTPResponseStatus
    var headers: [(String, String)] = []
    var body: String
  }

  private static let full = Answer(
    status: .serviceUnavailable, headers: [("retry-after", "5")], body: "no place is free\n")

  func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { begin(context) } }
  func channelActive(context: ChannelHandlerContext) { begin(context) }

  private func begin(_ context: ChannelHandlerContext) {
    guard patience == nil else { return }
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    patience = context.eventLoop.scheduleTask(in: Self.longest) {
      let (handler, context) = bound.value
      handler.answer(Answer(status: .requestTimeout, body: "the request took too long\n"), context)
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    patience?.cancel()
    settle(nil)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    // It has said all it has to say: after the answer nothing is waited for.
    if case ChannelEvent.inputClosed? = event as? ChannelEvent, isOver || head == nil {
      context.close(promise: nil)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error as? HTTPParserError {
    case .headerOverflow?:
      answer(Answer(status: .requestHeaderFieldsTooLarge, body: "the request is too large\n"), context)
    case .some: answer(Answer(status: .badRequest, body: "not a request\n"), context)
    case nil: context.close(promise: nil)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): if !isOver { self.head = head }
    case .body: break
    case .end:
      guard let head, !isOver else { return }
      if let refusal = refusal(of: head) { return answer(refusal, context) }
      guard let place = mount.enter() else { return answer(Self.full, context) }
      show(place, context)
    }
  }

  /// Why a request is not answered by the stream.
  private func refusal(of head: HTTPRequestHead) -> Answer? {
    guard head.uri.prefix(while: { $0 != "?" }) == mount.options.path else {
      return Answer(status: .notFound, body: "not found\n")
    }
    guard head.method == .GET || head.method == .HEAD else {
      return Answer(status: .methodNotAllowed, headers: [("allow", "GET, HEAD")], body: "GET or HEAD\n")
    }
    if head.method == .HEAD { return Answer(status: .ok, headers: streamHeaders, body: "") }
    return nil
  }

  private var streamHeaders: [(String, String)] {
    [
      ("content-type", mount.options.contentType), ("cache-control", "no-store"),
      ("access-control-allow-origin", "*"),
    ]
  }

  private func answer(_ answer: Answer, _ context: ChannelHandlerContext) {
    guard !isOver else { return }
    isOver = true
    var headers = HTTPHeaders(answer.headers)
    if head?.method != .HEAD {
      headers.replaceOrAdd(name: "content-type", value: "text/plain; charset=utf-8")
      headers.add(name: "content-length", value: "\(answer.body.utf8.count)")
    }
    headers.add(name: "connection", value: "close")
    context.write(
      wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers))),
      promise: nil)
    if head?.method != .HEAD {
      context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: answer.body)))), promise: nil)
    }
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      // What it still says would have the kernel throw the answer away.
      channel.close(mode: .output, promise: nil)
    }
    patience?.cancel()
    patience = channel.eventLoop.scheduleTask(in: Self.longest) { channel.close(promise: nil) }
    settle(nil)
  }

  /// Sends the head of the answer, and takes the socket out of its channel: by a duplicate, which is had before
  /// anything is promised.
  private func show(_ place: FanOut.Sink, _ context: ChannelHandlerContext) {
    let socket = try? context.channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
      of: NIOBSDSocket.Handle.self
    ) { try? Syscall.duplicate(FileDescriptor(rawValue: $0)) }
    guard let socket = socket ?? nil else {
      mount.leavePlace()
      return answer(Self.full, context)
    }
    isOver = true
    patience?.cancel()
    var headers = HTTPHeaders(streamHeaders)
    headers.add(name: "connection", value: "close")
    let head = HTTPResponseHead(version: .http1_1, status: .ok, headers: headers)
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    context.channel.setOption(.autoRead, value: false).whenComplete { _ in
      let (handler, context) = bound.value
      context.writeAndFlush(handler.wrapOutboundOut(.head(head))).whenComplete { result in
        let (handler, context) = bound.value
        switch result {
        case .success: handler.settle(ViewerDoor.Admitted(socket: socket, place: place))
        case .failure:
          try? socket.close()
          handler.mount.leavePlace()
          handler.settle(nil)
        }
        context.close(promise: nil)
      }
    }
  }

  private func settle(_ viewer: ViewerDoor.Admitted?) {
    guard !isSettled else { return }
    isSettled = true
    admitted.succeed(viewer)
  }
}
