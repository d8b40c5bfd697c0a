// Which bytes of a file a request wants.  RFC 9110, 14

/// What is answered to a header `Range`.
enum ByteRanges: Sendable, Hashable {
  /// The header is not heeded.
  case whole
  /// None of them has a byte of the file.
  case unsatisfiable
  /// Not empty, inside the file, and apart from each other.
  case parts([Range<UInt64>])

  /// More than these are answered with the whole file: each costs a header, and no reader needs them.
  static let most = 16

  /// Decides for a file of `size` bytes. What is malformed or counts in another unit is ignored; what
  /// overlaps or touches is sent once; more bytes than twice the file are no economy.
  init(_ header: String, of size: UInt64) {
    guard let wanted = Self.parse(header), wanted.count <= Self.most else {
      self = .whole
      return
    }
    let inside = wanted.compactMap { $0.inside(size) }
    if inside.isEmpty {
      self = .unsatisfiable
      return
    }
    let total = inside.reduce(UInt128(0)) { $0 + UInt128($1.upperBound - $1.lowerBound) }
    self = total > 2 * UInt128(size) ? .whole : .parts(Self.apart(inside))
  }

  /// Each where the first of its bytes was asked for.
  private static func apart(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
    var apart: [Range<UInt64>] = []
    for range in ranges {
      var (whole, place) = (range, apart.count)
      for index in apart.indices.reversed()
      where apart[index].lowerBound <= whole.upperBound && whole.lowerBound <= apart[index].upperBound {
        let other = apart.remove(at: index)
        whole = min(whole.lowerBound, other.lowerBound)..<max(whole.upperBound, other.upperBound)
        place = index
      }
      apart.insert(whole, at: min(place, apart.count))
    }
    return apart
  }

  /// As it is written.
  private enum Wanted {
    case from(UInt64, through: UInt64)
    case last(UInt64)

    /// What of it a file of this size has.
    func inside(_ size: UInt64) -> Range<UInt64>? {
      switch self {
      case .from(let first, let last) where first < size: first..<(min(last, size - 1) + 1)
      case .last(let count) where count > 0 && size > 0: (size - min(count, size))..<size
      default: nil
      }
    }
  }

  /// Nil for what is not a list of ranges of bytes.
  private static func parse(_ header: String) -> [Wanted]? {
    let words = header.utf8.split(
      separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
    guard words.count == 2, String(words[0])?.lowercased() == "bytes" else { return nil }
    var ranges: [Wanted] = []
    for word in words[1].split(separator: UInt8(ascii: ",")) {
      let word = word.trimmed
      // A list may have empty elements (5.6.1).
      if word.isEmpty { continue }
      let ends = word.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
      guard ends.count == 2 else { return nil }
      if ends[0].isEmpty {
        guard let count = number(ends[1]) else { return nil }
        ranges.append(.last(count))
        continue
      }
      guard let first = number(ends[0]) else { return nil }
      let last = ends[1].isEmpty ? UInt64.max : number(ends[1])
      guard let last, last >= first else { return nil }
      ranges.append(.from(first, through: last))
    }
    return ranges.isEmpty ? nil : ranges
  }

  /// A number of any length: what is larger than any file is as good as the largest.
  private static func number(_ digits: Substring.UTF8View) -> UInt64? {
    if digits.isEmpty { return nil }
    var number: UInt64 = 0
    for byte in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      let (tens, isTooMuch) = number.multipliedReportingOverflow(by: 10)
      let (sum, isMore) = tens.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
      number = isTooMuch || isMore ? .max : sum
      if number == .max {
        return digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? .max : nil
      }
    }
    return number
  }
}

extension Substring.UTF8View {
  /// Without the blanks and tabs at both ends.
  var trimmed: Substring.UTF8View {
    func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
    var rest = self[...]
    while let byte = rest.first, isBlank(byte) { rest.removeFirst() }
    while let byte = rest.last, isBlank(byte) { rest.removeLast() }
    return rest
  }
}
