// How text from outside is printed: names of files and sockets, words of peers, reasons of other programs.
//
// A line feed in a name would forge a line of a log, and an escape sequence would act on a terminal. So no such character is ever
// printed raw. A *name* is bytes, and two names never look the same: a backslash is doubled. *Text* may contain names that were
// escaped already, so there a backslash stays as it is, and escaping twice changes nothing.

extension Unicode.Scalar {
  /// Whether a terminal, a log's reader or a text's direction would act on it: control characters (C0, DEL, C1), line and paragraph
  /// separators, controls of writing direction.
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
  /// This text with every character escaped that ``Swift/Unicode/Scalar/needsEscape``: one line, which does nothing to a terminal.
  /// Escaping it again changes nothing.
  package var escaped: String { replacingScalars { $0.needsEscape ? $0.escape : nil } }

  /// This text with some scalars replaced. Scalars, since a quotation mark with an accent on it is one character, and to a parser it is a
  /// quotation mark still.
  package func replacingScalars(_ replacement: (Unicode.Scalar) -> String?) -> String {
    var text = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      if let other = replacement(scalar) { text += other.unicodeScalars } else { text.append(scalar) }
    }
    return String(text)
  }
}

extension Collection<UInt8> {
  /// A name as text from which its bytes can be told: characters that ``Swift/Unicode/Scalar/needsEscape`` are escaped, a byte that
  /// is not UTF-8 is `\xff`, a backslash is `\\`.
  package var escaped: String {
    let bytes = Array(self)
    var (next, text) = (0, String.UnicodeScalarView())
    var parser = Unicode.UTF8.ForwardParser()
    var rest = bytes.makeIterator()
    while true {
      switch parser.parseScalar(from: &rest) {
      case .valid(let encoded):
        let scalar = Unicode.UTF8.decode(encoded)
        if scalar == "\\" { text.append(scalar) }
        if scalar.needsEscape { text += scalar.escape.unicodeScalars } else { text.append(scalar) }
        next += encoded.count
      case .error(let count):
        for byte in bytes[next..<next + count] { text += "\\x\(String(byte, radix: 16))".unicodeScalars }
        next += count
      case .emptyInput: return String(text)
      }
    }
  }
}
