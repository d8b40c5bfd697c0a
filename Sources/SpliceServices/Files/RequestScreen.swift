// What is refused before it is parsed: heads that are too large, and those that two parsers may read
// differently.

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
    /// A line ends with a bare LF, or goes on from the one before (RFC 9112, 2.2 and 5.2).
    case ambiguous
  }

  private static let mostBytes = 32 << 10
  private static let mostLines = 128

  /// Called when the first byte of a head has come.
  private let begins: () -> Void
  private var bytes = 0
  private var lines = 0
  /// Since the last LF.
  private var column = 0
  private var last: UInt8 = 0
  private var isOver = false

  init(begins: @escaping () -> Void) { self.begins = begins }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    if isOver { return }
    let piece = unwrapInboundIn(data)
    let view = piece.readableBytesView
    for index in view.indices {
      guard let refusal = look(at: view[index]) else { continue }
      isOver = true
      // What came before it may be whole requests.
      context.fireChannelRead(wrapInboundOut(ByteBuffer(view[..<index])))
      context.fireErrorCaught(refusal)
      return
    }
    context.fireChannelRead(data)
  }

  private func look(at byte: UInt8) -> Refusal? {
    defer { last = byte }
    if bytes == 0 { begins() }
    bytes += 1
    if byte == UInt8(ascii: "\n") {
      if last != UInt8(ascii: "\r") { return .ambiguous }
      // Blank lines in front of a request are none of it.
      let isBlank = column == 1
      column = 0
      if isBlank {
        (bytes, lines) = (0, 0)
        return nil
      }
      lines += 1
      return lines > Self.mostLines ? .tooLarge : nil
    }
    if column == 0, lines > 0, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { return .ambiguous }
    column += 1
    return bytes > Self.mostBytes ? .tooLarge : nil
  }
}
