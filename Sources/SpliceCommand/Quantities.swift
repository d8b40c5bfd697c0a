// Sizes and times as people type them: 4096, 64K, 10M, 2G, 1T in powers of 1024; 500ms, 30s, 5m, 1h.

import ArgumentParser

/// A number of bytes.
struct Size: ExpressibleByArgument, Sendable, Hashable {
  let bytes: UInt64

  init?(argument: String) {
    let powers: [Character: UInt64] = ["K": 10, "M": 20, "G": 30, "T": 40]
    let power = argument.last.flatMap { powers[$0] }
    guard let number = UInt64(digits: power == nil ? argument[...] : argument.dropLast()) else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (power ?? 0))
    guard !overflow, bytes <= Int64.max else { return nil }
    self.bytes = bytes
  }
}

/// A length of time, which is more than none.
struct Span: ExpressibleByArgument, Sendable, Hashable {
  let duration: Duration
  /// As it was typed.
  let word: String
  var defaultValueDescription: String { word }

  init(_ duration: Duration, word: String) {
    self.duration = duration
    self.word = word
  }

  init?(argument: String) {
    let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
    guard let (unit, factor) = units.first(where: { argument.hasSuffix($0.0) }),
      let number = UInt64(digits: argument.dropLast(unit.count)), number > 0
    else { return nil }
    let (milliseconds, overflow) = Int64(clamping: number).multipliedReportingOverflow(by: factor)
    // A century is long enough, and can be added to any clock.
    guard !overflow, milliseconds <= 3_155_760_000_000 else { return nil }
    self.init(.milliseconds(milliseconds), word: argument)
  }
}

extension UInt64 {
  /// Digits and nothing else.
  fileprivate init?(digits: Substring) {
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    self.init(digits)
  }
}
