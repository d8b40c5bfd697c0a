// Text in the columns of a terminal.

extension String {
  /// Lines of at most so many columns, cut between words where there are any.
  func wrapped(to columns: Int, indent: Int) -> [String] {
    var (lines, line) = ([String](), String(prefix { $0 == " " }))
    // However few there are, each line gets on by a character.
    let columns = max(2, columns)
    let margin = String(repeating: " ", count: min(indent, columns / 2))
    for word in drop(while: { $0 == " " }).split(separator: " ", omittingEmptySubsequences: false) {
      if line.allSatisfy({ $0 == " " }) {
        line += word
      } else if line.count + 1 + word.count <= columns {
        line += " " + word
      } else {
        lines.append(line)
        line = margin + word
      }
      while line.count > columns {
        lines.append(String(line.prefix(columns)))
        line = margin + line.dropFirst(columns)
      }
    }
    return lines + [line]
  }
}
