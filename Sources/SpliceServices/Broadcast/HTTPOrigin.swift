// Another server that streams over HTTP: where it is, and what it answers.

import NIOCore
import NIOHTTP1
import NIOPosix
import Splice
import struct SystemPackage.FileDescriptor

/// A stream over HTTP: `http://HOST:PORT/PATH`.
public struct HTTPOrigin: Sendable, Hashable, CustomStringConvertible {
  /// A name or an address.
  public let host: String
  /// 80 unless told.
  public let port: UInt16
  /// With its query.
  public let path: String

  /// Nil for what is no such URL: also one with a user, or with characters that a request cannot have.
  public init?(_ url: String) {
    let scheme = "http://"
    guard url.lowercased().hasPrefix(scheme), url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      return nil
    }
    let rest = url.dropFirst(scheme.count).prefix { $0 != "#" }
    let place = rest.prefix { $0 != "/" && $0 != "?" }
    let path = String(rest.dropFirst(place.count))
    guard let (host, port) = Self.hostAndPort(String(place)) else { return nil }
    (self.host, self.port) = (host, port)
    self.path = path.hasPrefix("/") ? path : "/" + path
  }

  private init(_ host: String, _ port: UInt16, _ path: String) {
    (self.host, self.port, self.path) = (host, port, path)
  }

  private static func hostAndPort(_ text: String) -> (String, UInt16)? {
    let hasBrackets = text.hasPrefix("[")
    let end = hasBrackets ? text.firstIndex(of: "]").map(text.index(after:)) : text.firstIndex(of: ":")
    guard let end = end ?? (hasBrackets ? nil : text.endIndex) else { return nil }
    let host = hasBrackets ? String(text[..<end].dropFirst().dropLast()) : String(text[..<end])
    if host.isEmpty || host.contains("@") { return nil }
    let rest = text[end...]
    if rest.isEmpty { return (host, 80) }
    guard rest.first == ":", let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
    return (host, port)
  }

  /// Where a redirection leads; nil for what is not understood.
  func redirected(to location: String) -> HTTPOrigin? {
    location.hasPrefix("/") && !location.hasPrefix("//")
      ? HTTPOrigin(host, port, location) : HTTPOrigin(location)
  }

  /// The host as requests have it.
  var authority: String {
    (host.contains(":") ? "[\(host)]" : host) + (port == 80 ? "" : ":\(port)")
  }

  /// The URL.
  public var description: String { "http://\(authority)\(path)" }
}

/// An answer that is being read: its head, and what comes of its body.
final class HTTPReply: Sendable {
  let origin: HTTPOrigin
  private let channel: any Channel
  private let handler: NIOLoopBound<ReplyHandler>

  /// Why there is no stream.
  struct Refused: Error, CustomStringConvertible {
    let description: String
  }

  /// How long an origin may take to answer.
  private static let patience = Duration.seconds(10)

  /// Connects and asks.
  init(from origin: HTTPOrigin, on loop: any EventLoop) async throws {
    let socket = try await Descriptor.connect(
      host: origin.host, port: origin.port, until: .now + Self.patience)
    // An origin that is silent may have gone.
    try socket.setTCP(TCPOptions(keepalive: .seconds(20)))
    let number = socket.release()
    do {
      channel = try await ClientBootstrap(group: loop)
        .channelOption(.autoRead, value: false)
        .channelOption(.maxMessagesPerRead, value: 1)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            try channel.pipeline.syncOperations.addHandler(ReplyHandler())
          }
        }
        .withConnectedSocket(number.rawValue).get()
    } catch {
      try? number.close()
      throw error
    }
    let channel = channel
    self.origin = origin
    handler = try await loop.submit {
      NIOLoopBound(try channel.pipeline.syncOperations.handler(type: ReplyHandler.self), eventLoop: loop)
    }.get()
    let head = HTTPRequestHead(
      version: .http1_1, method: .GET, uri: origin.path,
      headers: [
        "host": origin.authority, "user-agent": "splice", "accept": "*/*", "connection": "close",
      ])
    channel.write(HTTPClientRequestPart.head(head), promise: nil)
    try await channel.writeAndFlush(HTTPClientRequestPart.end(nil)).get()
  }

  deinit { channel.close(promise: nil) }

  /// The head of the answer.
  var head: HTTPResponseHead {
    get async throws {
      let channel = channel
      let patience = channel.eventLoop.scheduleTask(
        in: .nanoseconds(Self.patience.components.seconds * 1_000_000_000)
      ) { channel.close(promise: nil) }
      defer { patience.cancel() }
      var mayCome = true
      while true {
        if let head = try await ask({ $0.head }) { return head }
        guard mayCome else { throw Refused(description: "no answer") }
        mayCome = try await more()
      }
    }
  }

  /// What has come of the body and was not taken; empty at its end.
  func next() async throws -> [ByteBuffer] {
    while true {
      let pieces = try await ask { $0.takePieces() }
      if !pieces.isEmpty { return pieces }
      if try await !more() { return [] }
    }
  }

  /// Takes the socket out of its channel, whole: with what has come of the body already. There is none when
  /// the body has come to its end by then.
  func takeSocket() async throws -> (socket: FileDescriptor?, pieces: [ByteBuffer]) {
    let channel = channel
    let socket = try await channel.eventLoop.submit { () throws -> FileDescriptor? in
      if !channel.isActive { return nil }
      return try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
        of: NIOBSDSocket.Handle.self
      ) { try Syscall.duplicate(FileDescriptor(rawValue: $0)) }
    }.get()
    let pieces = try await ask { $0.takePieces() }
    try? await channel.close().get()
    return (socket, pieces)
  }

  private func ask<Result: Sendable>(
    _ question: @escaping @Sendable (ReplyHandler) throws -> Result
  ) async throws -> Result {
    let handler = handler
    return try await channel.eventLoop.submit { try question(handler.value) }.get()
  }

  /// Waits for more of the answer; false once it has ended.
  private func more() async throws -> Bool {
    let (handler, loop) = (handler, channel.eventLoop)
    return try await withTaskCancellationHandler {
      try await loop.flatSubmit { handler.value.more(on: loop) }.get()
    } onCancel: {
      channel.close(promise: nil)
    }
  }
}

/// Reads an answer as far as it is asked to.
private final class ReplyHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private(set) var head: HTTPResponseHead?
  private var pieces: [ByteBuffer] = []
  private var isOver = false
  private var failure: (any Error)?
  private var waiting: EventLoopPromise<Bool>?
  private var context: ChannelHandlerContext?

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body(let piece): pieces.append(piece)
    case .end: isOver = true
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    guard waiting != nil else { return }
    if head == nil && !isOver && failure == nil { return context.read() }
    wake()
  }

  func channelInactive(context: ChannelHandlerContext) {
    isOver = true
    wake()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    failure = error
    context.close(promise: nil)
    wake()
  }

  func takePieces() -> [ByteBuffer] {
    defer { pieces = [] }
    return pieces
  }

  func more(on loop: any EventLoop) -> EventLoopFuture<Bool> {
    if !pieces.isEmpty { return loop.makeSucceededFuture(true) }
    if let failure { return loop.makeFailedFuture(failure) }
    guard let context, !isOver else { return loop.makeSucceededFuture(false) }
    let promise = loop.makePromise(of: Bool.self)
    waiting = promise
    context.read()
    return promise.futureResult
  }

  private func wake() {
    guard let promise = waiting else { return }
    waiting = nil
    if let failure, pieces.isEmpty {
      promise.fail(failure)
    } else {
      promise.succeed(!pieces.isEmpty || !isOver)
    }
  }
}
