// The bytes of a line, written without asking for memory.

#if Logging
import Splice

/// A line. It is on the stack of who writes it, but for the few that are long.
struct LineBuffer: ~Copyable {
  private var short = InlineArray<1024, UInt8>(repeating: 0)
  /// All of it, once it does not fit.
  private var long: [UInt8] = []
  private(set) var count = 0

  /// Writes all of it.
  func write(to writer: PageWriter) {
    if count <= short.count {
      unsafe writer.write(short.span.bytes.extracting(first: count))
    } else {
      unsafe writer.write(long.span.bytes)
    }
  }

  /// A copy of it.
  var contents: [UInt8] {
    count <= short.count ? (0..<count).map { short[$0] } : long
  }

  /// Writes so many bytes more, by `body`.
  @inline(__always)
  private mutating func append(_ more: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    let (start, end) = (count, count + more)
    count = end
    if end <= short.count {
      var span = short.mutableSpan
      unsafe span.withUnsafeMutableBytes {
        unsafe body(UnsafeMutableRawBufferPointer(rebasing: $0[start..<end]))
      }
    } else {
      if long.isEmpty {
        long.reserveCapacity(2 * end)
        for index in 0..<start { long.append(short[index]) }
      }
      long.append(contentsOf: repeatElement(0, count: more))
      unsafe long.withUnsafeMutableBytes {
        unsafe body(UnsafeMutableRawBufferPointer(rebasing: $0[start..<end]))
      }
    }
  }

  private mutating func append(_ byte: UInt8) { unsafe append(1) { unsafe $0[0] = byte } }

  @inline(__always)
  private mutating func append(_ bytes: UnsafeRawBufferPointer) {
    unsafe append(bytes.count) { unsafe $0.copyMemory(from: bytes) }
  }

  /// Text that needs no escape, such as the names of fields.
  @inline(__always)
  mutating func put(_ text: StaticString) {
    unsafe append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// A number with zeros in front of it.
  @inline(__always)
  mutating func append(_ number: Int, digits: Int) {
    unsafe append(digits) { room in
      var (rest, digit) = (UInt32(truncatingIfNeeded: number), digits)
      while digit > 0 {
        digit -= 1
        unsafe room[digit] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      }
    }
  }

  /// Text from outside. What would break the line, act on a terminal or turn its direction is escaped.
  mutating func append(_ text: String, as style: TextStyle = .plain) {
    var bytes = text
    bytes.withUTF8 { bytes in
      let found = unsafe ByteKinds(of: bytes)
      let isQuoted = bytes.isEmpty ? style.quotesNothing : style.quotes(found)
      if isQuoted { put("\"") }
      if found.isDisjoint(with: isQuoted ? [.special, .quote, .backslash] : .special) {
        unsafe append(UnsafeRawBufferPointer(bytes))
      } else {
        for scalar in text.unicodeScalars { append(scalar, as: style, isQuoted: isQuoted) }
      }
      if isQuoted { put("\"") }
    }
  }

  private mutating func append(_ scalar: Unicode.Scalar, as style: TextStyle, isQuoted: Bool) {
    if let byte = scalar.carriedByte {
      // A byte that is no UTF-8.
      put(style == .json ? "\\\\x" : "\\x")
      append(hex: UInt32(byte), digits: 2)
    } else if scalar.needsEscape {
      append(escaped: scalar, as: style)
    } else {
      if isQuoted, scalar == "\"" || scalar == "\\" { put("\\") }
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { append(byte) }
    }
  }

  private mutating func append(escaped scalar: Unicode.Scalar, as style: TextStyle) {
    switch scalar {
    case "\n": put("\\n")
    case "\r": put("\\r")
    case "\t": put("\\t")
    default:
      put(style == .json ? "\\u" : "\\u{")
      let value = scalar.value
      append(hex: value, digits: style == .json ? 4 : max(1, (35 - value.leadingZeroBitCount) / 4))
      if style != .json { put("}") }
    }
  }

  private mutating func append(hex value: UInt32, digits: Int) {
    for digit in stride(from: digits - 1, through: 0, by: -1) {
      let nibble = UInt8(truncatingIfNeeded: value >> UInt32(digit * 4)) & 15
      append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble)
    }
  }
}

/// How text from outside is written.
enum TextStyle {
  /// As it is.
  case plain
  /// A name in a line of text: between quotation marks unless it is a word of ASCII without brackets.
  case name
  /// A value of a line of text: between quotation marks when its own words could pass for another field, or for
  /// the message.
  case field
  /// A value of logfmt: between quotation marks unless it is a word of ASCII.
  case word
  /// A string of JSON.
  case json

  fileprivate func quotes(_ found: ByteKinds) -> Bool {
    switch self {
    case .plain: false
    case .field:
      !found.isDisjoint(with: [.equals, .quote]) || found.isSuperset(of: [.blank, .bracket])
    case .name: !found.isEmpty
    case .word: !found.isSubset(of: .bracket)
    case .json: true
    }
  }

  fileprivate var quotesNothing: Bool { self == .name || self == .word || self == .json }
}

/// What is among the bytes of a text, found out in one look.
struct ByteKinds: OptionSet {
  let rawValue: UInt8

  /// Control characters, and all that are not ASCII.
  static let special = ByteKinds(rawValue: 1)
  static let blank = ByteKinds(rawValue: 2)
  static let quote = ByteKinds(rawValue: 4)
  static let backslash = ByteKinds(rawValue: 8)
  static let equals = ByteKinds(rawValue: 16)
  static let bracket = ByteKinds(rawValue: 32)

  init(rawValue: UInt8) { self.rawValue = rawValue }

  init(of bytes: UnsafeBufferPointer<UInt8>) {
    var found: UInt8 = 0
    for index in 0..<bytes.count { found |= unsafe Self.ofByte[Int(bytes[index])] }
    rawValue = found
  }

  private static let ofByte = InlineArray<256, UInt8> { byte in
    switch UInt8(byte) {
    case UInt8(ascii: " "): blank.rawValue
    case UInt8(ascii: "\""): quote.rawValue
    case UInt8(ascii: "\\"): backslash.rawValue
    case UInt8(ascii: "="): equals.rawValue
    case UInt8(ascii: "["), UInt8(ascii: "]"): bracket.rawValue
    case 0..<0x20, 0x7f...: special.rawValue
    default: 0
    }
  }
}
#endif
