// A diagnosis for people: a line for what was found, and one below it for what follows. Where there is little
// room, what was found alone.

import SystemPackage

extension Diagnosis {
  /// Narrower than this, advice is left out.
  private static let leastForAdvice = 50

  func text(columns: Int) -> String {
    var lines: [String] = []
    for section in sections {
      if !lines.isEmpty { lines.append("") }
      lines += section.title.wrapped(to: columns, indent: 0)
      for row in section.rows {
        lines += columns < Self.leastForAdvice ? row.short(columns) : row.lines(columns)
      }
    }
    lines +=
      [""] + "In short".wrapped(to: columns, indent: 0)
      + summary.flatMap { "  \($0).".wrapped(to: columns, indent: 4) }
    return lines.joined(separator: "\n")
  }
}

extension Row {
  /// Where what was found begins.
  private static let indent = 32

  fileprivate func lines(_ columns: Int) -> [String] {
    let name = "  " + self.name
    let gap = String(repeating: " ", count: max(1, Self.indent - name.count))
    return (name + gap + words).wrapped(to: columns, indent: Self.indent)
      + ("      " + advice).wrapped(to: columns, indent: 6)
  }

  fileprivate func short(_ columns: Int) -> [String] { "\(name): \(words)".wrapped(to: columns, indent: 1) }

  private var words: String {
    switch finding {
    case .fact(let words, _): words
    case .call(let answer): answer.words
    case .ends(let from, .none): from.words("from")
    case .ends(.none, let to): to.words("to")
    case .ends(let from, let to):
      if from == to { from.words("both ways") } else { "\(from.words("from")), \(to.words("to"))" }
    }
  }
}

extension CallAnswer {
  fileprivate var words: String {
    switch self {
    case .allowed: "allowed"
    case .refused(let errno) where errno.rawValue == 0: "refused: answered without being done"
    case .refused(let errno): "refused: \(errno.name)"
    case .ends(let signal): "ends the process that calls it (signal \(signal))"
    case .untried(let errno): "not tried: \(errno)"
    }
  }
}

extension Answer {
  fileprivate func words(_ direction: String) -> String {
    switch self {
    case .splices(.shared): "\(direction): spliced, shared"
    case .splices(.copied): "\(direction): spliced, copied"
    case .splices(.unknown): "\(direction): spliced"
    case .refuses(let errno): "\(direction): no (\(errno.name))"
    case .untried(let why): "\(direction): not tried (\(why))"
    case .none: ""
    }
  }
}
