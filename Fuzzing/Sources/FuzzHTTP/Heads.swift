// Heads of requests: the screen by itself, and with swift-nio's decoder behind it.

import Fuzzer
import NIOCore
import NIOEmbedded
import NIOHTTP1

@testable import SpliceServices

/// However bytes are cut, and whenever requests are answered, the same heads come out, one at a time. The
/// first byte is how long pieces are.
func checkHeads(_ bytes: [UInt8]) {
  guard let length = bytes.first else { return }
  let least = max(1, bytes.count / 256)
  check(Array(bytes.dropFirst()), in: [.max, least, max(least, Int(length))])
}

/// The same of more bytes than a head may have, or than are kept back: a piece of text again and again. The
/// first byte is how long it is; the rest comes in front.
func checkManyHeads(_ bytes: [UInt8]) {
  guard let length = bytes.first, length > 0 else { return }
  let (front, piece) = (bytes.dropFirst().dropLast(Int(length)), bytes.dropFirst().suffix(Int(length)))
  if piece.isEmpty { return }
  var stream = Array(front)
  while stream.count < 70 << 10 { stream += piece }
  check(stream, in: [16 << 10])
}

private func check(_ stream: [UInt8], in lengths: [Int]) {
  let screened = ScreenRun(stream, in: .max, answering: .afterAll)
  for length in lengths {
    for moment in Moment.allCases {
      expect(ScreenRun(stream, in: length, answering: moment) == screened, "the same bytes are other heads")
    }
  }
  screened.check()
  let decoded = DecoderRun(stream, in: .max)
  for length in lengths where length < stream.count {
    expect(DecoderRun(stream, in: length) == decoded, "the same bytes are other requests")
  }
  // Two parsers find the same ends.
  expect(decoded.requests.count <= screened.heads.count, "a head is two requests")
  if !decoded.isOver, screened.refusal == nil {
    expect(decoded.requests.count == screened.heads.count, "a head is no request")
  }
  for (request, head) in zip(decoded.requests, screened.heads) { check(request, head) }
}

/// What came of one request.
private func check(_ request: HTTPRequestHead, _ bytes: [UInt8]) {
  let line = Array("\(request.method.rawValue) \(request.uri)".utf8)
  // What is not UTF-8 is another text, and swift-nio writes M-SEARCH in another way.
  if !request.uri.unicodeScalars.contains("\u{fffd}"), request.method != .MSEARCH {
    expect(bytes.drop { $0 == 0x0d || $0 == 0x0a }.starts(with: line), "a request is of another head")
  }
  let (headers, fields) = (request.headers, RequestFields(request.headers))
  func joined(_ name: String) -> String? {
    headers.contains(name: name) ? headers[name].joined(separator: ",") : nil
  }
  expect(fields.hosts == headers["Host"].count, "hosts are miscounted")
  expect(fields.range == (headers["Range"].count == 1 ? headers["Range"][0] : nil), "a range is another")
  expect(fields.upgrades == headers.contains(name: "Upgrade"), "an upgrade is overlooked")
  expect(
    fields.hasContent
      == (headers.contains(name: "Transfer-Encoding") || headers["Content-Length"].contains { $0 != "0" }),
    "content is overlooked")
  expect(fields.acceptEncoding == joined("Accept-Encoding"), "codings are others")
  expect(fields.conditions.ifMatch == joined("If-Match"), "a condition is another")
  expect(fields.conditions.ifNoneMatch == joined("If-None-Match"), "a condition is another")
  expect(fields.conditions.ifRange == headers["If-Range"].first, "a condition is another")
  // What is sent back is a line.
  guard let target = try? RequestTarget(request.uri) else { return }
  checkNames(of: target)
  expect(target.asDirectory.utf8.allSatisfy { $0 != 0x0d && $0 != 0x0a && $0 != 0 }, "a target breaks a head")
}

/// When requests are answered.
private enum Moment: CaseIterable {
  case atOnce, afterEachPiece, afterAll
}

// MARK: - The screen by itself

private struct ScreenRun: Equatable {
  /// As they were handed on, with the blank lines in front of them.
  var heads: [[UInt8]] = []
  /// Of the last one, if it was not whole.
  var part: [UInt8] = []
  var refusal: RequestScreen.Refusal?
  var begun = 0

  init() {}

  init(_ stream: [UInt8], in length: Int, answering moment: Moment) {
    let recorder = Recorder()
    let screen = RequestScreen { recorder.run.begun += 1 }
    func answer() {
      while recorder.isWhole {
        recorder.isWhole = false
        screen.open()
      }
    }
    if moment == .atOnce { recorder.answer = answer }
    // What it holds holds it.
    defer { recorder.answer = {} }
    feed(stream, in: length, through: [screen, recorder]) { channel in
      if let channel, moment != .afterEachPiece, channel.reads { return }
      expect(channel?.reads != false || recorder.isWhole, "nothing is read, and nothing is waited for")
      answer()
      expect(channel?.reads != false, "nothing is read any more")
    }
    expect(recorder.ends == 1, "the end is told \(recorder.ends) times")
    self = recorder.run
  }

  /// What holds of every head that is handed on.
  func check() {
    for head in heads + [part] {
      let bare = head.drop { $0 == 0x0d || $0 == 0x0a }
      expect(head.count - bare.count <= 16 && bare.count <= 32 << 10, "a head is larger than it may be")
      expect(bare.count { $0 == 0x0a } <= 130, "a head has more lines than it may have")
      var last: (UInt8, UInt8) = (0, 0)
      for byte in head {
        expect(byte != 0x0a || last.1 == 0x0d, "a line ends with a bare LF")
        last = (last.1, byte)
      }
      var isStart = false
      for byte in bare {
        expect(!isStart || byte != 0x20 && byte != 0x09, "a line goes on from the one before")
        isStart = byte == 0x0a
      }
    }
    let hasPart = part.contains { $0 != 0x0d && $0 != 0x0a }
    expect(begun == heads.count + (hasPart ? 1 : 0), "\(begun) heads have begun")
  }
}

/// Behind the screen.
private final class Recorder: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  var run = ScreenRun()
  /// A head has come whole, and was not answered.
  var isWhole = false
  var isOver = false
  var ends = 0
  var answer: () -> Void = {}

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    expect(!isWhole, "a head is handed on before the one in front of it was answered")
    expect(!isOver && ends == 0, "a head is handed on after the end")
    let seen = run.part.count
    run.part += unwrapInboundIn(data).readableBytesView
    guard let end = endOfHead(run.part, notBefore: seen) else { return }
    expect(end == run.part.count, "more than one head is handed on")
    run.heads.append(run.part)
    run.part = []
    isWhole = true
    answer()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    expect(!isOver, "more than one head is refused")
    isOver = true
    run.refusal = error as? RequestScreen.Refusal
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) { ends += 1 }
}

/// Behind the last byte of the first head, if it is whole: a blank line ends it, but not those in front of
/// it. It has not ended within the first bytes, of which there are `seen`.
private func endOfHead(_ bytes: [UInt8], notBefore seen: Int) -> Int? {
  guard let start = bytes.firstIndex(where: { $0 != 0x0d && $0 != 0x0a }) else { return nil }
  let end: [UInt8] = [0x0d, 0x0a, 0x0d, 0x0a]
  return (max(start, seen - 3)..<max(start, seen, bytes.count)).first { bytes[$0...].starts(with: end) }.map {
    $0 + end.count
  }
}

extension EmbeddedChannel {
  /// Whether more would be read from a socket.
  fileprivate var reads: Bool {
    options.last { $0.option is ChannelOptions.Types.AutoReadOption }?.value as? Bool ?? true
  }
}

/// Has handlers get a stream in pieces, and its end. After each piece its channel is told of, and nil after
/// all.
private func feed(
  _ stream: [UInt8], in length: Int, through handlers: [any ChannelHandler],
  then afterwards: (EmbeddedChannel?) -> Void
) {
  let channel = EmbeddedChannel()
  defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
  do {
    try channel.pipeline.syncOperations.addHandlers(handlers)
    var rest = stream[...]
    while !rest.isEmpty {
      try channel.writeInbound(ByteBuffer(bytes: rest.prefix(length)))
      rest = rest.dropFirst(length)
      afterwards(channel)
    }
  } catch { expect(false, "\(error)") }
  channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
  afterwards(nil)
}

// MARK: - With the decoder

/// Requests as a connection takes them: each is answered at once, and none comes after the last one.
private struct DecoderRun: Equatable {
  var requests: [HTTPRequestHead] = []
  /// One was the last, or was refused.
  var isOver = false

  init() {}

  init(_ stream: [UInt8], in length: Int) {
    let screen = RequestScreen {}
    let answerer = Answerer(screen)
    let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes))
    feed(stream, in: length, through: [screen, decoder, answerer]) { _ in }
    self = answerer.run
  }
}

private final class Answerer: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart

  var run = DecoderRun()
  private let screen: RequestScreen
  private var isWithin = false

  init(_ screen: RequestScreen) { self.screen = screen }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if run.isOver { return }
    switch unwrapInboundIn(data) {
    case .head(let head):
      expect(!isWithin, "a request begins within another")
      isWithin = true
      run.requests.append(head)
      let fields = RequestFields(head.headers)
      if fields.hasContent || fields.upgrades || head.method == .CONNECT { end() }
    case .body: expect(false, "a request has content that is not announced")
    case .end:
      isWithin = false
      if run.requests.last?.isKeepAlive == true { screen.open() } else { end() }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { end() }

  private func end() {
    run.isOver = true
    screen.close()
  }
}
