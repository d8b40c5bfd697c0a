// Heads of requests, one at a time, before they are parsed.
//
// The next head is kept back until the request before it was answered: as bytes, which are few, and not as
// requests. What two parsers may read differently, and what is too large, is refused here.

import NIOCore

/// Between the socket and the decoder. It knows where a head begins and ends, as a request with content is
/// the last of its connection.
final class RequestScreen: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias InboundOut = ByteBuffer

  /// Why a head is refused.
  enum Refusal: Error, Sendable, Hashable {
    /// It is larger than a head may be, or has more lines.
    case tooLarge
    /// A line ends with a bare LF, has a bare CR or goes on from the one before (RFC 9112, 2.2 and 5.2); the
    /// first has other than two spaces, one at a time (RFC 9112, 3); or it is no head of HTTP/1 (RFC 9113,
    /// 3.4).
    case ambiguous
  }

  private static let mostBytes = 32 << 10
  private static let mostLines = 128
  /// Blank lines in front of a request are none of it; these are characters of them.
  private static let mostBlanks = 16
  /// With more bytes kept back than this nothing is read.
  private static let mostPending = 64 << 10

  /// What the first line has behind its second space.
  private static let name = Array("HTTP/1.".utf8)

  /// Called when the first byte of a head has come.
  private let begins: () -> Void
  private var context: ChannelHandlerContext?
  private var pending = ByteBuffer()
  /// The next head may be handed on.
  private var isOpen = true
  /// Heads are handed on, one after the other.
  private(set) var isFeeding = false
  private var isPaused = false
  /// The client sends no more, which is told once everything before it was: a decoder hears nothing
  /// afterwards.
  private var hasEnded = false
  private var isOver = false

  private var head = Head()

  /// How far the head is that comes.
  private struct Head {
    var bytes = 0
    var blanks = 0
    var lines = 0
    /// Since the last LF.
    var column = 0
    var last: UInt8 = 0
    /// In the first line.
    var spaces = 0
    /// Characters of the protocol's name that have come.
    var known = 0
  }

  init(begins: @escaping () -> Void) { self.begins = begins }

  /// A head has begun, and has not come whole.
  var hasBegun: Bool { head.bytes > 0 }

  /// The request was answered: the next one may come.
  func open() {
    isOpen = true
    feed()
  }

  /// No more requests.
  func close() {
    isOver = true
    pending.clear()
    // What comes is dropped: bytes that nobody has read would have the kernel reset the connection.
    setReading(true)
    tellEnd()
  }

  func handlerAdded(context: ChannelHandlerContext) { self.context = context }
  func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isOver { return }
    var piece = unwrapInboundIn(data)
    if pending.readableBytes == 0 { pending = piece } else { pending.writeBuffer(&piece) }
    feed()
    setReading(pending.readableBytes < Self.mostPending)
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case ChannelEvent.inputClosed? = event as? ChannelEvent else {
      return context.fireUserInboundEventTriggered(event)
    }
    hasEnded = true
    tellEnd()
  }

  private func tellEnd() {
    guard hasEnded, pending.readableBytes == 0, let context else { return }
    hasEnded = false
    context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
  }

  private func setReading(_ reads: Bool) {
    guard isPaused == reads else { return }
    isPaused = !reads
    _ = try? context?.channel.syncOptions?.setOption(.autoRead, value: reads)
  }

  /// A loop, and no recursion: who answers at once opens for the next while this runs.
  private func feed() {
    if isFeeding { return }
    isFeeding = true
    while isOpen, !isOver, let context, pending.readableBytes > 0 {
      let (count, refusal) = look()
      if count > 0, let piece = pending.readSlice(length: count) {
        context.fireChannelRead(wrapInboundOut(piece))
      }
      if let refusal {
        close()
        context.fireErrorCaught(refusal)
      }
    }
    isFeeding = false
    setReading(pending.readableBytes < Self.mostPending)
    tellEnd()
  }

  /// How many of the bytes may be handed on now, up to the end of a head.
  private func look() -> (count: Int, refusal: Refusal?) {
    var count = 0
    for byte in pending.readableBytesView {
      if let refusal = look(at: byte) { return (count, refusal) }
      count += 1
      if !isOpen { break }
    }
    return (count, nil)
  }

  private func look(at byte: UInt8) -> Refusal? {
    defer { head.last = byte }
    let isEnd = byte == UInt8(ascii: "\n")
    if isEnd != (head.last == UInt8(ascii: "\r")) { return .ambiguous }
    if head.bytes == 0 {
      if isEnd || byte == UInt8(ascii: "\r") {
        head.blanks += 1
        return head.blanks > Self.mostBlanks ? .ambiguous : nil
      }
      begins()
    }
    head.bytes += 1
    if isEnd {
      if head.column == 1 {
        head = Head()
        isOpen = false
        return nil
      }
      if head.known < Self.name.count { return .ambiguous }
      head.column = 0
      head.lines += 1
      return head.lines > Self.mostLines ? .tooLarge : nil
    }
    let isSpace = byte == UInt8(ascii: " ")
    if head.column == 0, head.lines > 0, isSpace || byte == UInt8(ascii: "\t") { return .ambiguous }
    if head.lines == 0 {
      if isSpace {
        head.spaces += 1
        if head.last == byte || head.spaces > 2 { return .ambiguous }
      }
      if head.spaces == 2, !isSpace, head.known < Self.name.count {
        if byte != Self.name[head.known] { return .ambiguous }
        head.known += 1
      }
    }
    head.column += 1
    return head.bytes > Self.mostBytes ? .tooLarge : nil
  }
}
