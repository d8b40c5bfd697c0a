// The bytes of a stream, which nobody stores: a head that is known byte by byte, and a payload that follows
// from its number and the place in it. So a megabyte that is spliced is a range, and a byte that is copied is
// compared with the one that should be there.

import Glibc

/// The content of payloads: each begins elsewhere in one table of random bytes, whose length is prime.
enum Payload {
  private static let table: [UInt8] = {
    var dice = Dice(seed: 1)
    return (0..<65537).map { _ in UInt8(truncatingIfNeeded: dice.next()) }
  }()

  /// Calls `body` with the bytes from an offset on, in pieces.
  static func forEach(
    of payload: Int, from offset: Int, count: Int, _ body: (_ at: Int, UnsafeRawBufferPointer) -> Void
  ) {
    table.withUnsafeBytes { table in
      var done = 0
      while done < count {
        let start = (payload * 7919 + offset + done) % table.count
        let part = min(count - done, table.count - start)
        body(done, UnsafeRawBufferPointer(rebasing: table[start..<start + part]))
        done += part
      }
    }
  }
}

/// What one side of a connection says.
struct Stream {
  var head: [UInt8] = []
  var payload: Int

  /// Writes so many bytes from an offset on.
  func copy(from offset: Int, count: Int, into bytes: UnsafeMutableRawPointer) {
    let inHead = max(0, min(count, head.count - offset))
    if inHead > 0 {
      _ = head.withUnsafeBytes { memcpy(bytes, $0.baseAddress! + offset, inHead) }
    }
    Payload.forEach(of: payload, from: offset + inHead - head.count, count: count - inHead) { at, piece in
      memcpy(bytes + inHead + at, piece.baseAddress!, piece.count)
    }
  }

  /// Whether these are the bytes at an offset.
  func matches(_ bytes: UnsafeRawPointer, count: Int, at offset: Int) -> Bool {
    let inHead = max(0, min(count, head.count - offset))
    var isSame = true
    if inHead > 0 {
      isSame = head.withUnsafeBytes { memcmp(bytes, $0.baseAddress! + offset, inHead) == 0 }
    }
    Payload.forEach(of: payload, from: offset + inHead - head.count, count: count - inHead) { at, piece in
      if memcmp(bytes + inHead + at, piece.baseAddress!, piece.count) != 0 { isSame = false }
    }
    return isSame
  }

  /// Whether these are the bytes at an offset.
  func matches(_ piece: Piece, at offset: Int) -> Bool {
    switch piece.content {
    case .payload(let payload, let start): payload == self.payload && offset - head.count == start
    case .bytes(let bytes): bytes.withUnsafeBytes { matches($0.baseAddress!, count: $0.count, at: offset) }
    }
  }

  /// The bytes from an offset on, by reference where they are payload, and no more than so many.
  func piece(at offset: Int, count: Int) -> Piece {
    if offset >= head.count { return Piece(content: .payload(payload, offset - head.count), count: count) }
    return Piece(bytes: Array(head[offset..<min(head.count, offset + count)]))
  }
}

/// Bytes in a slot of a pipe.
struct Piece {
  enum Content {
    case payload(Int, Int)
    case bytes([UInt8])
  }
  var content: Content
  var count: Int

  init(content: Content, count: Int) { (self.content, self.count) = (content, count) }

  init(bytes: [UInt8]) { self.init(content: .bytes(bytes), count: bytes.count) }

  func prefix(_ count: Int) -> Piece {
    switch content {
    case .payload: Piece(content: content, count: count)
    case .bytes(let bytes): Piece(bytes: Array(bytes.prefix(count)))
    }
  }

  func dropping(_ count: Int) -> Piece {
    switch content {
    case .payload(let payload, let start):
      Piece(content: .payload(payload, start + count), count: self.count - count)
    case .bytes(let bytes): Piece(bytes: Array(bytes.dropFirst(count)))
    }
  }

  func copy(into target: UnsafeMutableRawPointer) {
    switch content {
    case .payload(let payload, let start):
      Payload.forEach(of: payload, from: start, count: count) { at, piece in
        memcpy(target + at, piece.baseAddress!, piece.count)
      }
    case .bytes(let bytes): _ = bytes.withUnsafeBytes { memcpy(target, $0.baseAddress!, count) }
    }
  }
}
