// The admin pages over HTTP, on a thread of their own: whatever is done to them, what they tell of goes on.

import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle
import Splice
import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

/// Serves `/healthz` (503 with the reason when this process should be restarted), `/readyz` (503 with the
/// reason when no client should be sent here), `/metrics` and a live page at `/`.
///
/// In a `ServiceGroup` it comes before the server it tells of, so that it ends after it, and says meanwhile
/// that this one drains:
///
/// ```swift
/// let admin = try AdminServer(on: .tcp(host: "127.0.0.1", port: 9900), of: relay, metrics)
/// let services: [any Service] = [admin, relay]
/// try await ServiceGroup(services: services, gracefulShutdownSignals: [.sigterm], logger: logger).run()
/// ```
public final class AdminServer: Service {
  private let listeners: Listeners
  private let site: AdminSite
  /// Made before whatever it tells of takes clients: without descriptors NIO ends the process.
  private let group: MultiThreadedEventLoopGroup
  /// Duplicates of the sockets, until channels take them.
  private let duplicates: Locked<[FileDescriptor]>

  /// How many descriptors it needs before anybody looks: its sockets, and those of an event loop. For
  /// ``Relay/Options/otherDescriptors``.
  public static let descriptors = 8

  /// What NIO opens for an event loop.
  private static let loopDescriptors = 3

  /// Listens from now on; visitors are answered by ``run()``.
  public convenience init(
    on address: ServerAddress, of server: any Administered, _ metrics: PrometheusMetrics
  ) throws(ServerAddress.Unusable) {
    try self.init(on: address, of: server, metrics, stoppedBy: nil)
  }

  /// `stop` ends the wait for a resolver, which is a failure then.
  package init(
    on address: ServerAddress, of server: any Administered, _ metrics: PrometheusMetrics,
    stoppedBy stop: StopFlag?
  ) throws(ServerAddress.Unusable) {
    site = AdminSite(of: server, metrics)
    listeners = try Listeners(on: [address], stoppedBy: stop)
    do throws(Errno) {
      duplicates = Locked(try Self.duplicates(of: listeners.sockets[0]))
    } catch { throw ServerAddress.Unusable(address: address, act: "listen", reason: "\(error)") }
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  }

  deinit {
    for socket in takeSockets() { try? socket.close() }
    group.shutdownGracefully { _ in }
  }

  /// One of each, once there are descriptors for an event loop too.
  private static func duplicates(of sockets: [Listeners.Socket]) throws(Errno) -> [FileDescriptor] {
    var numbers: [FileDescriptor] = []
    defer { for spare in numbers { try? spare.close() } }
    while numbers.count < sockets.count + loopDescriptors {
      let next = sockets[numbers.count % sockets.count]
      numbers.append(
        try next.descriptor.withFileDescriptor { (socket) throws(Errno) in
          try Syscall.duplicate(socket)
        })
    }
    let kept = Array(numbers.prefix(sockets.count))
    numbers.removeFirst(kept.count)
    return kept
  }

  private func takeSockets() -> [FileDescriptor] {
    duplicates.withLock { sockets in
      defer { sockets = [] }
      return sockets
    }
  }

  /// Where it listens, with the port that was chosen for 0.
  public var addresses: [ServerAddress] { listeners.bound }

  /// Answers until it is cancelled or shut down gracefully.
  public func run() async throws {
    let visitors = AdminVisitors()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(AcceptPause(visitors))
        }
      }
      .childChannelInitializer { [site] channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
          try pipeline.addHandler(AdminHandler(site, visitors))
        }
      }
    var sockets = takeSockets()[...]
    do {
      while let socket = sockets.popFirst() { _ = try await bootstrap.withBoundSocket(socket.rawValue).get() }
    } catch {
      for socket in sockets { try? socket.close() }
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
    for listener in listeners.sockets[0] { listener.close() }
  }
}

/// Without descriptors or memory the listener stays readable, and nothing tells when there are again: it is
/// not looked at for a while. NIO's own handler for that is not asked when no client at all was taken before.
private final class AcceptPause: ChannelInboundHandler {
  typealias InboundIn = any Channel

  private static let length = TimeAmount.milliseconds(100)
  private let visitors: AdminVisitors

  init(_ visitors: AdminVisitors) { self.visitors = visitors }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // The one that was silent for longest makes room, if there is one.
    visitors.dropOldest()
    let listener = context.channel
    listener.setOption(.autoRead, value: false).whenSuccess {
      listener.eventLoop.scheduleTask(in: Self.length) { listener.setOption(.autoRead, value: true) }
    }
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
  /// Nothing is answered any more: it has gone, or has been told that this is the end.
  private var isOver = false

  /// A visitor gets a limited number of answers in a short time, so that the others have their turn.
  private static let most = 16
  private static let moment = TimeAmount.milliseconds(100)
  private var answered: (count: Int, since: NIODeadline) = (0, .now())

  /// How long a visitor may take for a request, and may stay without one.
  private static let longest = TimeAmount.seconds(30)

  init(_ site: AdminSite, _ visitors: AdminVisitors) { (self.site, self.visitors) = (site, visitors) }

  func channelActive(context: ChannelHandlerContext) {
    wait(for: context.channel)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    isOver = true
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
    // NIO hands over what is left of a visitor that has gone, too.
    guard let request = head, !isOver else { return }
    head = nil
    // One that asks and does not read is not kept answers for.
    guard context.channel.isWritable else {
      isOver = true
      return context.close(promise: nil)
    }
    let stays = request.isKeepAlive && !request.hasBody && !isGreedy()
    isOver = !stays
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

  /// Whether this is the last answer that it gets.
  private func isGreedy() -> Bool {
    if NIODeadline.now() - answered.since > Self.moment { answered = (0, .now()) }
    answered.count += 1
    return answered.count >= Self.most
  }

  /// Its time begins anew.
  private func wait(for channel: any Channel) {
    // One that was reset while it was answered has left already.
    guard channel.isActive else { return }
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

/// Who is there: no more than some, and than a small part of the descriptors that this process may have, of
/// whom the one that was silent for longest goes first.
private final class AdminVisitors: Sendable {
  private static let most = 64
  private let most = min(most, max(2, ((try? Syscall.descriptorLimit()) ?? .max) / 16))
  /// The one that was answered last is last.
  private let channels = Locked<[any Channel]>([])

  /// Has just come, or was just answered.
  func came(_ channel: any Channel) {
    let tooMany = channels.withLock { channels -> (any Channel)? in
      channels.removeAll { $0 === channel }
      channels.append(channel)
      return channels.count > most ? channels.removeFirst() : nil
    }
    tooMany?.close(promise: nil)
  }

  /// The one that was silent for longest goes.
  func dropOldest() { channels.withLock { $0.isEmpty ? nil : $0.removeFirst() }?.close(promise: nil) }

  func left(_ channel: any Channel) { channels.withLock { $0.removeAll { $0 === channel } } }
}
