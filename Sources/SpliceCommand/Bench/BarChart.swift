// A chart of ratios as SVG, which follows the reader's light or dark theme. Pure.
//
// One file for `splice bench` and for Benchmarks/, which has a link to it.

/// Bars, each a ratio to a yardstick of 1, with its interval.
struct BarChart {
  struct Bar {
    let label: String
    /// What stands behind the label, less boldly.
    var beside = ""
    let value: Interval
    let verdict: Verdict
  }

  let title: String
  let bars: [Bar]
  let footer: String

  private static let theme = """
    .paper { fill: #ffffff; stroke: #d0d7de; }
    .ink { fill: #1f2328; }
    .faint { fill: #59636e; }
    .line { stroke: #8c959f; }
    .won { fill: #1a7f37; }
    .lost { fill: #bc4c00; }
    .undecided { fill: #6e7781; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117; stroke: #3d444d; }
      .ink { fill: #f0f6fc; }
      .faint { fill: #9198a1; }
      .line { stroke: #656c76; }
      .won { fill: #3fb950; }
      .lost { fill: #f0883e; }
      .undecided { fill: #8b949e; }
    }
    text { font: 13px system-ui, sans-serif; }
    """

  // Where bars begin, how long 1 is, and how far apart they are.
  private static let (left, unit, top, step, width) = (330.0, 170.0, 64.0, 30.0, 740.0)

  var svg: String {
    let bottom = Self.top + Double(bars.count) * Self.step
    let height = bottom + 36
    let one = Self.left + Self.unit
    var lines = [
      text(x: 18, y: 30, title, style: " style=\"font-weight: 600; font-size: 15px\"")
    ]
    for (index, bar) in bars.enumerated() { lines += drawn(bar, at: Self.top + Double(index) * Self.step) }
    lines += [
      "<line class=\"line\" x1=\"\(one.tenths)\" x2=\"\(one.tenths)\" y1=\"\((Self.top - 10).tenths)\" y2=\"\(bottom.tenths)\" stroke-dasharray=\"4 3\"/>",
      text(x: 18, y: bottom + 22, footer, names: "faint", style: " style=\"font-size: 11px\""),
    ]
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.width.tenths) \(height.tenths)" width="\(Self.width.tenths)" \
      height="\(height.tenths)" role="img" aria-label="\(title.marked)">
        <title>\(title.marked)</title>
        <style>
      \(Self.theme)
        </style>
        <rect class="paper" x="0.5" y="0.5" width="\((Self.width - 1).tenths)" height="\((height - 1).tenths)" rx="8"/>
      \(lines.map { "  \($0)\n" }.joined())</svg>

      """
  }

  private func drawn(_ bar: Bar, at y: Double) -> [String] {
    // Wider than the paper is no bar of ours: its figure says how wide.
    let most = Self.width - Self.left - 110
    func length(_ ratio: Double) -> Double { min(most, max(2, ratio * Self.unit)) }
    let (end, low, high) = (length(bar.value.median), length(bar.value.low), length(bar.value.high))
    let said = bar.value.median.fixed + (bar.verdict == .won ? "" : ", \(bar.verdict.rawValue)")
    return [
      text(
        x: 18, y: y + 14, bar.label,
        behind: bar.beside.isEmpty ? "" : ", <tspan class=\"faint\">\(bar.beside.marked)</tspan>"),
      "<rect class=\"\(bar.verdict.rawValue)\" x=\"\(Self.left.tenths)\" y=\"\(y.tenths)\" width=\"\(end.tenths)\" height=\"18\" rx=\"3\"/>",
      "<line class=\"line\" x1=\"\((Self.left + low).tenths)\" x2=\"\((Self.left + high).tenths)\" y1=\"\((y + 9).tenths)\" y2=\"\((y + 9).tenths)\" stroke-width=\"2\"/>",
      text(x: Self.left + max(end, high) + 8, y: y + 14, said),
    ]
  }

  private func text(
    x: Double, y: Double, _ words: String, names: String = "ink", style: String = "", behind: String = ""
  ) -> String {
    "<text class=\"\(names)\" x=\"\(x.tenths)\" y=\"\(y.tenths)\"\(style)>\(words.marked)\(behind)</text>"
  }
}

extension String {
  /// As text of XML.
  fileprivate var marked: String {
    var text = ""
    for character in unicodeScalars {
      switch character {
      case "&": text += "&amp;"
      case "<": text += "&lt;"
      case ">": text += "&gt;"
      case "\"": text += "&quot;"
      default: text.unicodeScalars.append(character)
      }
    }
    return text
  }
}

extension Double {
  /// With at most one digit behind the point.
  fileprivate var tenths: String {
    let count = Int((self * 10).rounded())
    return count % 10 == 0 ? "\(count / 10)" : "\(count / 10).\(count % 10)"
  }
}
