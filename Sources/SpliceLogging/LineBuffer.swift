// The bytes of a line, written without asking for memory.

#if Logging
import Splice

/// A line that is written into memory which was lent for as long as it lives: what does not fit is counted,
/// and not written.
@safe struct LineBuffer: ~Copyable {
  // Safe: it is made in `make` alone, cannot be copied, and so is gone before the memory is.
  private let memory: UnsafeMutableRawBufferPointer
  /// Bytes that the line has: also those that did not fit.
  private(set) var count = 0

  private init(_ memory: UnsafeMutableRawBufferPointer) { unsafe self.memory = memory }

  /// Lends memory for a line: of the stack, where it is little.
  static func make<Result>(upTo count: Int, _ body: (inout LineBuffer) -> Result) -> Result {
    unsafe withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { memory in
      var line = unsafe LineBuffer(memory)
      return body(&line)
    }
  }

  /// Lends what was written, if all of it did fit.
  func withBytes(_ body: (borrowing RawSpan) -> Void) -> Bool {
    guard unsafe count <= memory.count else { return false }
    unsafe body(UnsafeRawBufferPointer(rebasing: memory[..<count]).bytes)
    return true
  }

  /// A copy of what was written.
  var contents: [UInt8] { unsafe Array(memory.prefix(count)) }

  mutating func append(_ byte: UInt8) {
    if unsafe count < memory.count { unsafe memory[count] = byte }
    count += 1
  }

  /// Text that needs no escape, such as the names of fields.
  mutating func put(_ text: StaticString) {
    unsafe append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if unsafe count + bytes.count <= memory.count {
      unsafe UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: bytes)
    }
    count += bytes.count
  }

  /// A number with zeros in front of it.
  mutating func append(_ number: Int, digits: Int) {
    var power = 1
    for _ in 1..<digits { power *= 10 }
    while power > 0 {
      append(UInt8(ascii: "0") + UInt8(number / power % 10))
      power /= 10
    }
  }

  /// How text from outside is written.
  enum Quoting {
    /// As it is.
    case plain
    /// Between quotation marks of others.
    case quoted
    /// As a string of JSON, between its quotation marks.
    case json
  }

  /// Text from outside. What would break the line, act on a terminal or turn its direction is escaped.
  mutating func append(_ text: String, _ quoting: Quoting = .plain) {
    var text = text
    let isPlain = text.withUTF8 { bytes in
      guard unsafe bytes.allSatisfy({ $0.isPlain && (quoting == .plain || !$0.isOfQuotations) }) else {
        return false
      }
      unsafe append(UnsafeRawBufferPointer(bytes))
      return true
    }
    if isPlain { return }
    for scalar in text.unicodeScalars { append(scalar, quoting) }
  }

  private mutating func append(_ scalar: Unicode.Scalar, _ quoting: Quoting) {
    if let byte = scalar.carriedByte {
      // A byte that is no UTF-8.
      put(quoting == .json ? "\\\\x" : "\\x")
      append(hex: UInt32(byte), digits: 2)
    } else if scalar.needsEscape {
      append(escaped: scalar, quoting)
    } else if quoting != .plain, scalar == "\"" || scalar == "\\" {
      put("\\")
      append(UInt8(ascii: scalar))
    } else {
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter { append(byte) }
    }
  }

  private mutating func append(escaped scalar: Unicode.Scalar, _ quoting: Quoting) {
    switch scalar {
    case "\n": put("\\n")
    case "\r": put("\\r")
    case "\t": put("\\t")
    default:
      put(quoting == .json ? "\\u" : "\\u{")
      let value = scalar.value
      append(hex: value, digits: quoting == .json ? 4 : max(1, (35 - value.leadingZeroBitCount) / 4))
      if quoting != .json { put("}") }
    }
  }

  private mutating func append(hex value: UInt32, digits: Int) {
    for digit in stride(from: digits - 1, through: 0, by: -1) {
      let nibble = UInt8(truncatingIfNeeded: value >> UInt32(digit * 4)) & 15
      append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") - 10 + nibble)
    }
  }
}

extension UInt8 {
  /// A character of ASCII that nothing acts on.
  fileprivate var isPlain: Bool { self >= 0x20 && self < 0x7f }
  fileprivate var isOfQuotations: Bool { self == UInt8(ascii: "\"") || self == UInt8(ascii: "\\") }
}
#endif
