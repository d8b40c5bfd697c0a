// One client: its requests in order, each answered before the next is looked at.

import NIOCore
import NIOHTTP1
import Splice
import SpliceNIO
import struct SystemPackage.Errno

/// Answers the requests of one client.
final class FileConnection: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = ByteBuffer

  private let loop: FileLoop
  private let client: String
  private var context: ChannelHandlerContext?

  /// A request, as it is answered.
  fileprivate struct Asked: Sendable {
    let head: HTTPRequestHead
    let fields: RequestFields
  }

  /// A head that has come, and its end has not yet.
  private var head: Asked?
  /// Lets the next request come when this one was answered.
  private(set) lazy var screen = RequestScreen { [weak self] in self?.begins() }
  private var answering: Answering?
  private var answered = 0
  /// No request comes after this one.
  private var isLast = false
  private var isInputClosed = false
  /// It has been told that this was the end, and is given time to hear it.
  private var isOver = false
  private var deadline: NIODeadline
  /// A deadline that was over when it was looked at.
  private var late: NIODeadline?

  /// Small enough to be copied at once.
  private static let small: UInt64 = 16 << 10
  /// How long a client has to hear an answer that is the last.
  private static let farewell = TimeAmount.seconds(2)

  private struct Answering {
    let head: HTTPRequestHead?
    let since: NIODeadline
    /// What was answered, once that is known, and a meter of what the socket has accepted.
    var status: HTTPResponseStatus?
    var headLength = 0
    var meter: ByteMeter?
    /// How much of it the client had taken when it was looked at last.
    var seen: (taken: UInt64, at: NIODeadline)
    init(_ head: HTTPRequestHead?) {
      self.head = head
      since = .now()
      seen = (0, since)
    }
  }

  init(_ loop: FileLoop, client: String) {
    (self.loop, self.client) = (loop, client)
    deadline = .now() + loop.server.options.requestTimeout.amount
  }

  private var options: FileServer.Options { loop.server.options }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    loop.connections[ObjectIdentifier(self)] = self
    // One that was queued when the drain began.
    if loop.isDraining { deadline = .now() + Self.farewell }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    self.context = nil
    loop.connections[ObjectIdentifier(self)] = nil
  }

  func channelInactive(context: ChannelHandlerContext) {
    screen.close()
    guard let broken = answering else { return }
    answering = nil
    let passed = broken.meter?.passed.total ?? 0
    let count = passed - min(passed, UInt64(broken.headLength))
    loop.server.broke(broken.head, broken.status, count, client, broken.since.duration)
  }

  /// Its time is over, if it is.
  func look(_ now: NIODeadline) {
    guard let context else { return }
    if now < deadline {
      if isTooSlow(now, context) { context.close(promise: nil) }
    } else if late != deadline {
      // What it said in time may not have been read in time.
      late = deadline
    } else if answering == nil, !isOver, screen.hasBegun || answered == 0 {
      refuse(.requestTimeout)
    } else if let answering, answering.status == nil {
      // A disk does not say what is there.
      isLast = true
      send(.refusal(.serviceUnavailable), context)
    } else {
      context.close(promise: nil)
    }
  }

  /// Whether the client has taken less of an answer than it has to, over the last while, and there was more
  /// to take.
  private func isTooSlow(_ now: NIODeadline, _ context: ChannelHandlerContext) -> Bool {
    guard let answering, let meter = answering.meter, now - answering.seen.at >= options.stallTimeout.amount
    else { return false }
    let (passed, untaken) = (meter.passed.total, context.untaken)
    let taken = passed - min(passed, untaken)
    self.answering?.seen = (taken, now)
    return untaken > 0 && Double(taken) < Double(answering.seen.taken) + options.leastTaken
  }

  /// The first byte of a request has come.
  private func begins() {
    if answering == nil, !isOver, !loop.isDraining { deadline = .now() + options.requestTimeout.amount }
  }

  func drain() {
    isLast = true
    if answering == nil, !isOver { context?.close(promise: nil) }
  }
}

// MARK: - Requests

extension FileConnection {
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if answering != nil || isOver { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      let asked = Asked(head: head, fields: RequestFields(head.headers))
      self.head = asked
      // Content is not waited for, and not read.
      if asked.fields.hasContent || asked.switches { take(asked, context) }
    case .body: break
    case .end:
      if let head { take(head, context) }
    }
  }

  private func take(_ asked: Asked, _ context: ChannelHandlerContext) {
    head = nil
    answered += 1
    let stays = asked.head.isKeepAlive && !asked.fields.hasContent && !asked.switches
    if !stays || loop.isDraining || answered >= options.mostRequests { isLast = true }
    // The disk may have to be waited for.
    deadline = .now() + options.stallTimeout.amount
    answering = Answering(asked.head)
    answer(asked, context)
  }

  /// Says what is wrong with what is no request.
  private func refuse(_ status: HTTPResponseStatus) {
    guard let context else { return }
    isLast = true
    answering = Answering(nil)
    send(.refusal(status), context)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if answering != nil || isOver { return }
    switch error {
    case RequestScreen.Refusal.tooLarge, HTTPParserError.headerOverflow: refuse(.requestHeaderFieldsTooLarge)
    case is RequestScreen.Refusal, is HTTPParserError: refuse(.badRequest)
    default: context.close(promise: nil)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
      return context.fireUserInboundEventTriggered(event)
    }
    // It has said all it has to say.
    isInputClosed = true
    if answering == nil { context.close(promise: nil) }
  }
}

extension FileConnection.Asked {
  /// Its connection would speak another protocol: it is answered in this one, and that is the end.
  fileprivate var switches: Bool { head.method == .CONNECT || fields.upgrades }
}

// MARK: - Answers

extension FileConnection {
  private func answer(_ asked: Asked, _ context: ChannelHandlerContext) {
    let (head, hosts) = (asked.head, asked.fields.hosts)
    guard head.version.major == 1, hosts == 1 || head.version.minor == 0 && hosts == 0,
      asked.fields.hostsAreNames
    else {
      isLast = true
      return send(.refusal(.badRequest), context)
    }
    if asked.fields.hasUnknownCoding { return send(.refusal(.notImplemented), context) }
    switch head.method {
    case .GET, .HEAD: break
    case .OPTIONS: return send(FileAnswer(status: .noContent, lines: Self.allow), context)
    default: return send(.refusal(.methodNotAllowed, Self.allow), context)
    }
    let target: RequestTarget
    do throws(RequestTarget.Refusal) { target = try RequestTarget(head.uri) } catch {
      return send(.refusal(error.status), context)
    }
    find(target, asked, context)
  }

  private static let allow = "\r\nallow: GET, HEAD, OPTIONS"

  private func find(_ target: RequestTarget, _ asked: Asked, _ context: ChannelHandlerContext) {
    var path = target.path
    if target.isDirectory { path += [UInt8(ascii: "/")] + loop.server.index }
    if let found = loop.cache.find(path, .now()) { return answer(found, target, asked, context) }
    loop.seek(path, target, lists: options.lists && target.isDirectory, on: context.eventLoop) {
      [weak self] result in
      self?.found(result, target, asked)
    }
  }

  private func found(_ result: Result<Sought, Errno>, _ target: RequestTarget, _ asked: Asked) {
    guard let context, let answering, answering.status == nil else { return }
    switch result {
    case .success(.listing(let page)):
      let lines = "\r\ncontent-type: text/html; charset=utf-8\r\nx-content-type-options: nosniff"
      send(FileAnswer(status: .ok, lines: lines, body: .page(page)), context)
    case .success(.found(let found)): answer(found, target, asked, context)
    case .failure(let errno): send(.refusal(errno.status), context)
    }
  }

  private func answer(
    _ found: ServedDirectory.Found, _ target: RequestTarget, _ asked: Asked,
    _ context: ChannelHandlerContext
  ) {
    switch found {
    // Its own names are written from there.
    case .directory where target.isDirectory: send(.refusal(.notFound), context)
    case .directory: send(.moved(to: target.asDirectory), context)
    case .file(let file):
      let answer = FileAnswer(
        file, for: asked.fields, isGet: asked.head.method == .GET, loop.server.fileLines,
        now: loop.dated(.now()).now)
      send(answer, context)
    }
  }

  private func send(_ answer: FileAnswer, _ context: ChannelHandlerContext) {
    let isHead = answering?.head?.method == .HEAD
    var bytes = text(of: answer, context)
    answering?.status = answer.status
    answering?.headLength = bytes.readableBytes
    // A flow sees to that by itself.
    deadline = .distantFuture
    switch isHead ? .none : answer.body {
    case .none: write(bytes, answer, 0, context)
    case .text(let text):
      bytes.writeString(text)
      write(bytes, answer, answer.length, context)
    case .page(let page):
      var list = GatherList()
      list.append(bytes)
      list.append(page)
      send(list, answer, context)
    case .file(let form, let range):
      if answer.length <= Self.small, bytes.appendNow(form.file, range) {
        return write(bytes, answer, answer.length, context)
      }
      var list = GatherList()
      list.append(bytes)
      list.append(form.file, range)
      send(list, answer, context)
    case .parts(let form, let parts, let end):
      var list = GatherList()
      list.append(bytes)
      for part in parts {
        list.append(ByteBuffer(string: part.head))
        list.append(form.file, part.range)
      }
      list.append(ByteBuffer(string: end))
      send(list, answer, context)
    }
  }

  /// The head, as it is sent.
  private func text(of answer: FileAnswer, _ context: ChannelHandlerContext) -> ByteBuffer {
    var bytes = context.channel.allocator.buffer(capacity: 512)
    bytes.writeString("HTTP/1.1 \(answer.status.code) \(answer.status.reasonPhrase)\r\ndate: ")
    bytes.writeString(loop.dated(.now()).text)
    bytes.writeString(answer.lines)
    if answer.status.mayHaveBody { bytes.writeString("\r\ncontent-length: \(answer.length)") }
    if isLast {
      bytes.writeString("\r\nconnection: close")
    } else if answering?.head?.version.minor == 0 {
      bytes.writeString("\r\nconnection: keep-alive")
    }
    bytes.writeString("\r\n\r\n")
    return bytes
  }

  private func write(
    _ bytes: ByteBuffer, _ answer: FileAnswer, _ length: UInt64, _ context: ChannelHandlerContext
  ) {
    // Small as it is, it may have to wait for the socket.
    deadline = .now() + options.stallTimeout.amount
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let (status, count) = (answer.status, length)
    context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { result in
      if case .success = result { bound.value.hasSent(status, count) }
    }
  }

  private func send(_ list: consuming GatherList, _ answer: FileAnswer, _ context: ChannelHandlerContext) {
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    let (status, length) = (answer.status, answer.length)
    let sent = context.eventLoop.makePromise(of: UInt64.self)
    var flow = FlowOptions()
    flow.idle = options.stallTimeout
    let meter = ByteMeter()
    flow.meter = meter
    answering?.meter = meter
    answering?.seen = (0, .now())
    context.channel.send(list, options: flow, promise: sent)
    sent.futureResult.whenComplete { result in
      if case .success = result { bound.value.hasSent(status, length) }
    }
  }

  private func hasSent(_ status: HTTPResponseStatus, _ count: UInt64) {
    guard let context, let sent = answering else { return }
    answering = nil
    loop.server.answered(sent.head, status, count, client, sent.since.duration)
    deadline = .now() + (screen.hasBegun ? options.requestTimeout : options.idleTimeout).amount
    if !isLast {
      screen.open()
      // Nothing more has come, and nothing will.
      if isInputClosed, answering == nil, !isOver, !screen.isFeeding { context.close(promise: nil) }
      return
    }
    // What it still sends would have the kernel reset the connection before the answer was read; and that it
    // ends in the middle of something, which it may have long ago, is told now.
    isOver = true
    screen.close()
    deadline = .now() + Self.farewell
    context.close(mode: .output, promise: nil)
  }
}

extension NIODeadline {
  /// From then to now.
  fileprivate var duration: Duration { .nanoseconds((.now() - self).nanoseconds) }
}

extension FileServer.Options {
  /// How many bytes a client has to take in each stall timeout.
  fileprivate var leastTaken: Double { Double(slowestReader) * (stallTimeout / .seconds(1)) }
}

extension RequestTarget.Refusal {
  fileprivate var status: HTTPResponseStatus {
    switch self {
    case .malformed: .badRequest
    case .tooLong: .uriTooLong
    case .hidden: .notFound
    }
  }
}

extension Errno {
  /// What it is for who asked for a file.
  fileprivate var status: HTTPResponseStatus {
    switch self {
    case .permissionDenied, .notPermitted: .forbidden
    // The last two: one that is written without a pause, and was to be stable; names that change all the
    // time.
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .resourceBusy, .wouldBlock:
      .serviceUnavailable
    // Links that lead out, names that cannot be and sockets, of which nothing else can be asked, are not
    // there.
    case .noSuchFileOrDirectory, .notDirectory, .fileNameTooLong, .tooManySymbolicLinkLevels, .improperLink,
      .invalidArgument, .badFileDescriptor, .illegalByteSequence:
      .notFound
    // A file system that fails.
    default: .internalServerError
    }
  }
}

extension HTTPResponseStatus {
  fileprivate var mayHaveBody: Bool { code >= 200 && code != 204 && code != 304 }
}

extension Duration {
  fileprivate var amount: TimeAmount {
    .nanoseconds(components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000)
  }
}

extension GatherList {
  fileprivate mutating func append(_ bytes: ByteBuffer) {
    unsafe bytes.withUnsafeReadableBytes { bytes in unsafe append(bytes.bytes) }
  }
}

extension ByteBuffer {
  /// A stretch of a file, if all of it is in memory.
  fileprivate mutating func appendNow(_ file: SharedFile, _ range: Range<UInt64>) -> Bool {
    let count = Int(range.upperBound - range.lowerBound)
    let before = writerIndex
    let got = unsafe writeWithUnsafeMutableBytes(minimumWritableBytes: count) { buffer in
      let place = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(count))
      return (try? unsafe Syscall.readNow(file.number, into: place, at: Int64(range.lowerBound))) ?? 0
    }
    let isWhole = got == count && (file.consistency == .live || file.isLocal && file.isUnwritten)
    if !isWhole { moveWriterIndex(to: before) }
    return isWhole
  }
}
