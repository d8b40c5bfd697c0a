// The admin pages over HTTP, on a thread of their own: whatever is done to them, what they tell of goes on.

import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Splice

/// Serves `/healthz` (503 with the reason when this process should be restarted), `/readyz` (503 with the reason when no client should be
/// sent here), `/metrics` and a live page at `/`.
///
/// In a `ServiceGroup` it comes before the server it tells of, so that it ends after it, and says meanwhile that this one drains:
///
/// ```swift
/// let admin = try AdminServer(on: .tcp(host: "127.0.0.1", port: 9900), of: relay, metrics)
/// try await ServiceGroup(services: [admin, relay], gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public final class AdminServer: Service {
  private let listeners: Listeners
  private let site: AdminSite

  /// How long to wait when there are no descriptors or no memory: nothing tells when there are again.
  private static let scarcity = TimeAmount.milliseconds(100)

  /// Listens from now on; visitors are answered by ``run()``.
  public init(
    on address: ServerAddress, of server: any Administered, _ metrics: PrometheusMetrics
  ) throws(ServerAddress.Failure) {
    site = AdminSite(of: server, metrics)
    listeners = try Listeners(on: [address])
  }

  /// Where it listens, with the port that was chosen for 0.
  public var addresses: [ServerAddress] { listeners.bound }

  /// Answers until it is cancelled or shut down gracefully.
  public func run() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let visitors = AdminVisitors()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          // Without descriptors or memory the listener stays readable: accepting at once again would spin.
          try channel.pipeline.syncOperations.addHandler(
            AcceptBackoffHandler(shouldForwardIOErrorCaught: false) { _ in Self.scarcity })
        }
      }
      .childChannelInitializer { [site] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
          try pipeline.addHandler(AdminHandler(site, visitors))
        }
      }
    do {
      for listener in listeners.sockets[0] {
        // Closed by the channel.
        let own = try listener.descriptor.withFileDescriptor { try Syscall.duplicate($0) }
        _ = try await bootstrap.withBoundSocket(own.rawValue).get()
      }
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
    let looking = group.next().scheduleRepeatedTask(initialDelay: .zero, delay: .seconds(1)) { [site] _ in
      site.look()
    }
    try? await gracefulShutdown()
    looking.cancel()
    try await group.shutdownGracefully()
    listeners.close()
  }
}

/// Answers one visitor after the other's request.
private final class AdminHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let site: AdminSite
  private let visitors: AdminVisitors
  private var head: HTTPRequestHead?
  private var patience: Scheduled<Void>?

  /// How long a visitor may take for a request, and may stay without one.
  private static let longest = TimeAmount.seconds(30)

  init(_ site: AdminSite, _ visitors: AdminVisitors) { (self.site, self.visitors) = (site, visitors) }

  func channelActive(context: ChannelHandlerContext) {
    wait(for: context.channel)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    patience?.cancel()
    visitors.left(context.channel)
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      if head.hasBody {
        answer(AdminSite.Answer(status: .payloadTooLarge, body: "no content is taken\n"), context)
      }
    case .body: break
    case .end:
      guard let head else { return }
      answer(site.answer(head), context)
    }
  }

  private func answer(_ answer: AdminSite.Answer, _ context: ChannelHandlerContext) {
    guard let request = head else { return }
    head = nil
    // One that asks and does not read is not kept answers for.
    guard context.channel.isWritable else { return context.close(promise: nil) }
    let stays = request.isKeepAlive && !request.hasBody
    let bytes = ByteBuffer(string: answer.body)
    var headers = HTTPHeaders([
      ("content-type", answer.type), ("content-length", "\(bytes.readableBytes)"),
      ("cache-control", "no-store"),
    ])
    headers.add(contentsOf: answer.headers)
    if !stays { headers.add(name: "connection", value: "close") }
    let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil) }
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
      if !stays { channel.close(promise: nil) }
    }
    wait(for: channel)
  }

  /// Its time begins anew.
  private func wait(for channel: any Channel) {
    visitors.came(channel)
    patience?.cancel()
    patience = channel.eventLoop.scheduleTask(in: Self.longest) { channel.close(promise: nil) }
  }
}

extension HTTPRequestHead {
  fileprivate var hasBody: Bool {
    headers.contains(name: "transfer-encoding") || headers["content-length"].contains { $0 != "0" }
  }
}

/// Who is there: no more than some, of whom the one that was silent for longest goes first.
private final class AdminVisitors: Sendable {
  private static let most = 64
  /// The one that was answered last is last.
  private let channels = Locked<[any Channel]>([])

  /// Has just come, or was just answered.
  func came(_ channel: any Channel) {
    let tooMany = channels.withLock { channels -> (any Channel)? in
      channels.removeAll { $0 === channel }
      channels.append(channel)
      return channels.count > Self.most ? channels.removeFirst() : nil
    }
    tooMany?.close(promise: nil)
  }

  func left(_ channel: any Channel) { channels.withLock { $0.removeAll { $0 === channel } } }
}
