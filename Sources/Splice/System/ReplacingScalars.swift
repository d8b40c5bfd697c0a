// Text for parsers: JSON, HTML, metrics. They read scalars, where Swift's characters are clusters of them.

extension String {
  /// This text with some scalars replaced. A quotation mark with an accent on it is one character, and to a
  /// parser it is a quotation mark still: replacing characters would let it through.
  package func replacingScalars(_ replacement: (Unicode.Scalar) -> String?) -> String {
    var text = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      if let other = replacement(scalar) { text += other.unicodeScalars } else { text.append(scalar) }
    }
    return String(text)
  }
}
