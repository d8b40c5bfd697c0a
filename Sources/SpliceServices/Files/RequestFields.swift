// The headers of a request that are heeded here, picked in one pass.

import NIOHTTP1

/// What the head of a request says.
struct RequestFields: Sendable {
  var conditions = Conditions()
  /// Nil when there are several, of which none can be heeded.
  private(set) var range: String?
  private(set) var acceptEncoding: String?
  /// How many hosts it names, and whether each is a name.
  private(set) var hosts = 0
  private(set) var hostsAreNames = true
  /// It offers another protocol.
  private(set) var upgrades = false
  /// Something follows the head.
  private(set) var hasContent = false
  /// Where that ends is said by a coding that is not known here.
  private(set) var hasUnknownCoding = false
  private var ranges = 0

  init(_ headers: HTTPHeaders) {
    for (name, value) in headers { take(name, value) }
    if ranges > 1 { range = nil }
  }

  private mutating func take(_ name: String, _ text: String) {
    let value = text.withoutBlanksBehind
    // By their lengths first, as most are none of these.
    switch name.utf8.count {
    case 4 where name.isSame(as: "host"):
      hosts += 1
      hostsAreNames = hostsAreNames && value.utf8.isHost
    case 5 where name.isSame(as: "range"): (range, ranges) = (value, ranges + 1)
    case 7 where name.isSame(as: "upgrade"): upgrades = true
    case 8 where name.isSame(as: "if-match"): conditions.ifMatch.join(value)
    case 8 where name.isSame(as: "if-range"): conditions.ifRange = conditions.ifRange ?? value
    case 13 where name.isSame(as: "if-none-match"): conditions.ifNoneMatch.join(value)
    case 14 where name.isSame(as: "content-length"): hasContent = hasContent || value != "0"
    case 15 where name.isSame(as: "accept-encoding"): acceptEncoding.join(value)
    case 17 where name.isSame(as: "if-modified-since"):
      conditions.ifModifiedSince = conditions.ifModifiedSince ?? value
    case 17 where name.isSame(as: "transfer-encoding"):
      hasContent = true
      hasUnknownCoding = hasUnknownCoding || !value.isSame(as: "chunked")
    case 19 where name.isSame(as: "if-unmodified-since"):
      conditions.ifUnmodifiedSince = conditions.ifUnmodifiedSince ?? value
    default: break
    }
  }
}

extension String {
  /// Whether a name is this one, which is in lower case.
  fileprivate func isSame(as other: StaticString) -> Bool {
    var index = 0
    if utf8.count != other.utf8CodeUnitCount { return false }
    return other.withUTF8Buffer { other in
      for byte in utf8 {
        // Letters of both cases differ in this bit, and so does no other character of a name.
        guard unsafe byte | 0x20 == other[index] else { return false }
        index += 1
      }
      return true
    }
  }
}

extension String {
  /// RFC 9112, 5.1: blanks around a value are none of it. The decoder has left those behind it.
  fileprivate var withoutBlanksBehind: String {
    guard let last = utf8.last, last.isBlank else { return self }
    return String(self[...(utf8.lastIndex { !$0.isBlank } ?? startIndex)])
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}

extension BidirectionalCollection<UInt8> {
  /// Whether this is a host, perhaps with a port, or nothing.  RFC 3986, 3.2.2; RFC 9110, 7.2
  var isHost: Bool {
    var rest = self[...]
    if rest.first == UInt8(ascii: "[") {
      guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else { return false }
      let address = rest[rest.index(after: rest.startIndex)..<end]
      guard !address.isEmpty, address.allSatisfy({ $0.isHexDigit || $0 == UInt8(ascii: ":") || $0.isOfName })
      else { return false }
      rest = rest[rest.index(after: end)...]
    } else {
      let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
      var name = rest[..<end]
      while let byte = name.popFirst() {
        if byte == UInt8(ascii: "%") {
          guard name.popFirst()?.isHexDigit == true, name.popFirst()?.isHexDigit == true else { return false }
        } else if !byte.isOfName {
          return false
        }
      }
      rest = rest[end...]
    }
    guard let colon = rest.popFirst() else { return true }
    return colon == UInt8(ascii: ":")
      && rest.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
  }
}

extension UInt8 {
  fileprivate var isHexDigit: Bool {
    switch self | 0x20 {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"): self > 0x20
    default: false
    }
  }

  /// RFC 3986, 2.2 and 2.3: unreserved, or a delimiter within a name.
  fileprivate var isOfName: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "&")...UInt8(ascii: "."), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ";"),
      UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}

extension String? {
  /// All values of a header that is a list, as one.
  fileprivate mutating func join(_ value: String) { self = map { "\($0),\(value)" } ?? value }
}
