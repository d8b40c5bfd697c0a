// What of ours parses and prints the words of clients of `splice serve`. HTTP itself is parsed by swift-nio,
// behind our screen.
//
// That nothing crashes is the least: each check says what must hold of every input. The first byte of an
// input chooses among them.

import Fuzzer

@main struct FuzzHTTP {
  static func main() {
    fuzz { bytes in
      let rest = Array(bytes.dropFirst())
      switch bytes.first {
      case UInt8(ascii: "t"): checkTarget(rest)
      case UInt8(ascii: "r"): checkRanges(rest)
      case UInt8(ascii: "c"): checkConditions(rest)
      case UInt8(ascii: "e"): checkCodings(rest)
      case UInt8(ascii: "d"): checkDate(rest)
      case UInt8(ascii: "n"): checkNumberedDate(rest)
      case UInt8(ascii: "h"): checkHeads(rest)
      case UInt8(ascii: "m"): checkManyHeads(rest)
      case UInt8(ascii: "l"): checkListing(rest)
      case UInt8(ascii: "a"): checkLog(rest)
      default: break
      }
    }
  }
}

extension [UInt8] {
  /// As swift-nio makes text of what clients send.
  var text: String { String(decoding: self, as: UTF8.self) }
}

extension UInt8 {
  /// Printed as it is in a head, a page or a log.
  var isPrintable: Bool { self >= 0x20 && self != 0x7f }
}
