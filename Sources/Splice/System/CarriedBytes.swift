// Names are bytes, and Swift's text is Unicode. A byte that text cannot hold is carried in it by a scalar of
// its own, so that a name keeps its bytes on the way from the command line through a parser of text to a
// system call.
//
// The invariant: `String(carrying: bytes).carriedBytes == bytes`, whatever the bytes are. So the scalars that
// carry bytes are carried themselves, byte by byte, where a name has them. (Python's `surrogateescape` does
// the same with surrogates, which a Swift scalar cannot be.)

import SystemPackage

extension Unicode.Scalar {
  /// U+10FE00 and the 255 scalars behind it, which are private use and the very end of it but for one block.
  private static let carrier: UInt32 = 0x10fe00

  /// The byte that this scalar carries, if it is one that carries any.
  package var carriedByte: UInt8? {
    Self.carrier...Self.carrier + 0xff ~= value ? UInt8(value - Self.carrier) : nil
  }

  fileprivate init(carrying byte: UInt8) {
    // A number of the range above, which is all scalars.
    self = Self(Self.carrier + UInt32(byte)) ?? "\u{fffd}"
  }
}

extension String {
  /// Bytes as text: what is UTF-8 as it is, and each other byte carried.
  ///
  /// - Parameter controls: Whether control characters are carried as well, so that text of a parser's own
  ///   that quotes this one has no line feeds or terminal escapes but its own.
  package init(carrying bytes: some Collection<UInt8>, controls: Bool = false) {
    var text = String.UnicodeScalarView()
    bytes.forEachScalar { scalar in
      if scalar.carriedByte != nil || (controls && (scalar.value < 0x20 || scalar.value == 0x7f)) {
        for byte in String(scalar).utf8 { text.append(Unicode.Scalar(carrying: byte)) }
      } else {
        text.append(scalar)
      }
    } elseByte: { byte in
      text.append(Unicode.Scalar(carrying: byte))
    }
    self.init(text)
  }

  /// The bytes of this text, each carried one as itself.
  package var carriedBytes: [UInt8] {
    guard unicodeScalars.contains(where: { $0.carriedByte != nil }) else { return Array(utf8) }
    return unicodeScalars.flatMap { scalar in scalar.carriedByte.map { [$0] } ?? Array(String(scalar).utf8) }
  }
}

extension String {
  /// This text, which names something, as it is printed: see `escaped` of bytes.
  package var escapedName: String { carriedBytes.escaped }
}

extension FilePath {
  /// A path of bytes, up to the first 0. One that ends in a slash names a directory and nothing else, to the
  /// kernel too.
  package init(bytes: some Collection<UInt8>) {
    let name = bytes.prefix { $0 != 0 }
    // A path drops the slash; what is in a directory is left alone.
    let isDirectory = name.reversed().first == UInt8(ascii: "/")
    let string = (Array(name) + (isDirectory ? [UInt8(ascii: "."), 0] : [0])).map(CChar.init(bitPattern:))
    self = Self(platformString: string)
  }
}
