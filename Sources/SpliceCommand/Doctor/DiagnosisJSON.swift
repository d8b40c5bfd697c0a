// A diagnosis for machines: one object, with an array of rows for each section.

import SystemPackage

extension Diagnosis {
  var json: String {
    let sections = sections.map { section in
      JSON.object([
        ("title", JSON.quoted(section.title)), ("rows", JSON.array(section.rows.map(\.json))),
      ])
    }
    return JSON.object([
      ("sections", JSON.array(sections)), ("missing", JSON.array(missing.map(JSON.quoted))),
      ("summary", JSON.array(summary.map(JSON.quoted))),
    ])
  }
}

extension Row {
  fileprivate var json: String {
    JSON.object([("name", JSON.quoted(name))] + members + [("advice", JSON.quoted(advice))])
  }

  private var members: [(String, String)] {
    switch finding {
    case .fact(let words, let number):
      [("value", JSON.quoted(words)), ("number", number.map(String.init) ?? "null")]
    case .call(let answer): answer.members
    case .ends(let from, let to): [("from", from.json), ("to", to.json)]
    }
  }
}

extension CallAnswer {
  fileprivate var members: [(String, String)] {
    switch self {
    case .allowed: [("allowed", "true")]
    case .refused(let errno): [("allowed", "false"), ("errno", JSON.quoted(errno.name))]
    case .ends(let signal): [("allowed", "false"), ("signal", "\(signal)")]
    case .untried(let errno): [("allowed", "null"), ("reason", JSON.quoted("\(errno)"))]
    }
  }
}

extension Answer {
  /// Null for a direction that there is not.
  fileprivate var json: String {
    switch self {
    case .splices(let pages):
      JSON.object([("splices", "true"), ("pages", JSON.quoted(pages.rawValue))])
    case .refuses(let errno): JSON.object([("splices", "false"), ("errno", JSON.quoted(errno.name))])
    case .untried(let why): JSON.object([("splices", "null"), ("reason", JSON.quoted(why))])
    case .none: "null"
    }
  }
}
