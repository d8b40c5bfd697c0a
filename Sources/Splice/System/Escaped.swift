// How text from outside is printed: names of files and sockets, words of peers, reasons of other programs.
//
// A line feed in a name would forge a line of a log, and an escape sequence would act on a terminal. So no
// such character is ever printed raw. A *name* is bytes, and two names never look the same: a backslash is
// doubled. *Text* may contain names that were escaped already, so there a backslash stays as it is, and
// escaping twice changes nothing.

extension Unicode.Scalar {
  /// Whether a terminal, a log's reader or a text's direction would act on it: control characters (C0, DEL,
  /// C1), line and paragraph separators, controls of writing direction.
  package var needsEscape: Bool {
    switch value {
    case 0..<0x20, 0x7f..<0xa0, 0x61c, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069: true
    default: false
    }
  }

  /// `\n`, `\r`, `\t`, or its number: `\u{1b}`.
  fileprivate var escape: String {
    switch self {
    case "\n": "\\n"
    case "\r": "\\r"
    case "\t": "\\t"
    default: "\\u{\(String(value, radix: 16))}"
    }
  }
}

extension String {
  /// This text with every character escaped that ``Swift/Unicode/Scalar/needsEscape``, and every byte that it
  /// carries: one line, which does nothing to a terminal. Escaping it again changes nothing.
  package var escaped: String {
    // Most text needs nothing.
    guard unicodeScalars.contains(where: { $0.needsEscape || $0.carriedByte != nil }) else { return self }
    var text = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      if let byte = scalar.carriedByte {
        text += [byte].escaped.unicodeScalars
      } else if scalar.needsEscape {
        text += scalar.escape.unicodeScalars
      } else {
        text.append(scalar)
      }
    }
    return String(text)
  }
}

extension Collection<UInt8> {
  /// A name as text from which its bytes can be told: characters that ``Swift/Unicode/Scalar/needsEscape``
  /// are escaped, a byte that is not UTF-8 is `\xff`, a backslash is `\\`.
  package var escaped: String {
    var text = String.UnicodeScalarView()
    func append(_ byte: UInt8) { text += "\\x\(String(byte, radix: 16))".unicodeScalars }
    forEachScalar { scalar in
      if scalar == "\\" { text.append(scalar) }
      if scalar.carriedByte != nil {
        // Printed raw, it would pass for the byte that it carries elsewhere.
        String(scalar).utf8.forEach(append)
      } else if scalar.needsEscape {
        text += scalar.escape.unicodeScalars
      } else {
        text.append(scalar)
      }
    } elseByte: {
      append($0)
    }
    return String(text)
  }

  /// Decodes UTF-8: each scalar, and each byte that belongs to none.
  func forEachScalar(_ body: (Unicode.Scalar) -> Void, elseByte: (UInt8) -> Void) {
    let bytes = Array(self)
    var next = 0
    var parser = Unicode.UTF8.ForwardParser()
    var rest = bytes.makeIterator()
    while true {
      switch parser.parseScalar(from: &rest) {
      case .valid(let encoded):
        body(Unicode.UTF8.decode(encoded))
        next += encoded.count
      case .error(let count):
        bytes[next..<next + count].forEach(elseByte)
        next += count
      case .emptyInput: return
      }
    }
  }
}
