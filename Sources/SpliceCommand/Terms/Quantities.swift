// Sizes and times as people type them.

import ArgumentParser

/// A number of bytes, as people write it: `4096`, `64k`, `1.5M`, `1MiB`, all of them powers of 1024, or
/// `1MB`, of 1000.
struct Size: ExpressibleByArgument, Sendable, Hashable {
  let bytes: UInt64

  static let accepted =
    "a number, a fraction too, with K, M, G, T (or KiB; powers of 1024) or KB, MB, GB, TB (powers of 1000)"

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber || $0 == "." }
    var unit = argument[digits.endIndex...].uppercased()[...]
    let base: UInt64
    switch unit.dropFirst() {
    case "", "IB": base = 1024
    case "B": base = 1000
    default: return nil
    }
    unit = unit.prefix(1)
    guard let power = ["", "K", "M", "G", "T"].firstIndex(of: unit), let number = Decimal(digits),
      power > 0 || number.fraction.isEmpty && digits.count == argument.count
    else { return nil }
    guard let bytes = number.times((0..<power).reduce(1) { product, _ in product * base }),
      bytes <= Int64.max
    else { return nil }
    self.bytes = bytes
  }
}

/// A length of time, which is more than none: `500ms`, `1.5s`, `2m`, `1h`; seconds where no unit is named.
struct Span: ExpressibleByArgument, Sendable, Hashable {
  let duration: Duration
  /// As it was typed.
  let word: String
  var defaultValueDescription: String { word }

  static let accepted = "a number, a fraction too, with ms, s, m or h; seconds without"

  init(_ duration: Duration, word: String) {
    self.duration = duration
    self.word = word
  }

  init?(argument: String) {
    let units: [(String, UInt64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("", 1000)]
    // A century is long enough, and can be added to any clock.
    guard let (unit, factor) = units.first(where: { argument.hasSuffix($0.0) }),
      let milliseconds = Decimal(argument.dropLast(unit.count))?.times(factor),
      (1...3_155_760_000_000).contains(milliseconds)
    else { return nil }
    self.init(.milliseconds(milliseconds), word: unit.isEmpty ? argument + "s" : argument)
  }
}

/// Digits, and perhaps a point and more digits.
private struct Decimal {
  let whole: UInt64
  /// The digits behind the point.
  let fraction: Substring

  init?(_ text: Substring) {
    let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let whole = UInt64(digits: first) else { return nil }
    self.whole = whole
    fraction = parts.count > 1 ? parts[1] : ""
    if parts.count > 1 {
      guard fraction.count <= 9, UInt64(digits: fraction) != nil else { return nil }
    }
  }

  /// So many times this, rounded down; nil when that is beyond any number.
  func times(_ factor: UInt64) -> UInt64? {
    let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
    let scale = (0..<fraction.count).reduce(UInt64(1)) { scale, _ in scale * 10 }
    let (high, low) = factor.multipliedFullWidth(by: UInt64(digits: fraction) ?? 0)
    let (sum, carry) = product.addingReportingOverflow(scale.dividingFullWidth((high, low)).quotient)
    return overflow || carry ? nil : sum
  }
}

extension UInt64 {
  /// Digits and nothing else.
  fileprivate init?(digits: Substring) {
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    self.init(digits)
  }
}
