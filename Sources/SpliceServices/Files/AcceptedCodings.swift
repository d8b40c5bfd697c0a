// Which of the forms of a file a client takes.  RFC 9110, 12.5.3

/// How a file may have been compressed beforehand.
enum ContentCoding: String, Sendable, Hashable, CaseIterable {
  // In this order where a client likes them alike.
  case br, zstd, gzip

  /// What its name ends with.
  var suffix: String {
    switch self {
    case .br: ".br"
    case .zstd: ".zst"
    case .gzip: ".gz"
    }
  }
}

/// What a client says of codings.
struct AcceptedCodings: Sendable, Hashable {
  /// In thousandths; of those that are named.
  private var weights: [Substring: Int] = [:]

  /// An element that is malformed says nothing.
  init(_ header: String?) {
    for element in (header ?? "").split(separator: ",") {
      let words = element.split(separator: ";", omittingEmptySubsequences: false).map {
        Substring($0.utf8.trimmed)
      }
      guard let first = words.first, !first.isEmpty, let weight = Self.weight(words.dropFirst()) else {
        continue
      }
      weights[Substring(first.lowercased())] = weight
    }
  }

  private static func weight(_ parameters: ArraySlice<Substring>) -> Int? {
    guard let parameter = parameters.first else { return 1000 }
    guard parameters.count == 1, parameter.lowercased().hasPrefix("q=") else { return nil }
    let digits = parameter.utf8.dropFirst(2)
    guard let whole = digits.first, whole == UInt8(ascii: "0") || whole == UInt8(ascii: "1") else {
      return nil
    }
    var weight = whole == UInt8(ascii: "1") ? 1000 : 0
    let fraction = digits.dropFirst()
    if fraction.isEmpty { return weight }
    guard fraction.first == UInt8(ascii: "."), fraction.count <= 4 else { return nil }
    var place = 100
    for digit in fraction.dropFirst() {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      weight += Int(digit - UInt8(ascii: "0")) * place
      place /= 10
    }
    return weight <= 1000 ? weight : nil
  }

  /// How much it likes one; 0 for what it does not take.
  private func weight(_ coding: ContentCoding) -> Int {
    let alias = coding == .gzip ? weights["x-gzip"] : nil
    return weights[Substring(coding.rawValue)] ?? alias ?? weights["*"] ?? 0
  }

  /// Those that it likes at least as well as the file as it is, the best first.
  var codings: [ContentCoding] {
    let plain = weights["identity"] ?? 0
    return ContentCoding.allCases.enumerated().filter { weight($1) > 0 && weight($1) >= plain }
      .sorted { (weight($1.element), $0.offset) < (weight($0.element), $1.offset) }
      .map(\.element)
  }
}
