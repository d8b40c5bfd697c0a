// What `splice doctor` has found out: values, which DiagnosisText.swift and DiagnosisJSON.swift show.

import Splice
import SystemPackage

/// All that was found out.
struct Diagnosis: Sendable {
  var sections: [Section] = []
  /// What splice cannot do without, and is not there.
  var missing: [String] = []

  struct Section: Sendable {
    let title: String
    var rows: [Row]
  }
}

// MARK: - In short

extension Diagnosis {
  /// What there is to remember of it: a line each.
  var summary: [String] {
    let rows = sections.flatMap(\.rows)
    let refused = rows.filter { if case .call(let answer) = $0.finding { answer.isRefused } else { false } }
    let untried = rows.contains { if case .call(.untried) = $0.finding { true } else { false } }
    let lists = [
      ("Passed on by reference", names(rows) { $0 == .splices(.shared) }),
      ("Copied by the kernel", names(rows) { $0 == .splices(.copied) }),
      ("Copied through memory", names(rows) { $0.isRefused }),
    ]
    return [
      untried
        ? "System calls could not be tried"
        : refused.isEmpty
          ? "All system calls that splice uses are allowed"
          : "Refused: \(refused.map(\.name).joined(separator: ", "))"
    ]
      + lists.filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1.joined(separator: ", "))" }
      + (missing.isEmpty ? [] : ["Missing, and needed: \(missing.joined(separator: ", "))"])
  }

  /// Those of which it is so, each once, with the direction where it is so in one of two.
  private func names(_ rows: [Row], where isSo: (Answer) -> Bool) -> [String] {
    var names: [String] = []
    for row in rows {
      guard case .ends(let from, let to) = row.finding, isSo(from) || isSo(to) else { continue }
      let isBoth = isSo(from) && isSo(to) || from == .none || to == .none
      let name = row.name + (isBoth ? "" : isSo(from) ? " (as a source)" : " (as a sink)")
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

/// One thing that was found out, and what follows from it.
struct Row: Sendable {
  let name: String
  let finding: Finding
  /// One line for people.
  let advice: String

  enum Finding: Sendable {
    /// A fact, in words, and as a number where it is one.
    case fact(String, number: Int? = nil)
    /// Whether a system call is allowed.
    case call(CallAnswer)
    /// Whether a kind of descriptor splices, as a source and as a sink.
    case ends(from: Answer, to: Answer)
  }
}

/// Whether a system call is allowed.
enum CallAnswer: Sendable, Hashable {
  case allowed
  case refused(Errno)
  /// By this signal.
  case ends(CInt)
  /// Why nobody could be asked.
  case untried(Errno)

  var isRefused: Bool {
    switch self {
    case .refused, .ends: true
    case .allowed, .untried: false
    }
  }
}

/// What `splice` answers in one direction.
enum Answer: Sendable, Hashable {
  case splices(Pages)
  case refuses(Errno)
  /// Why it was not tried.
  case untried(String)
  /// There is no such direction.
  case none

  /// What becomes of the pages of what is moved.
  enum Pages: String, Sendable {
    /// They are passed on by reference: who changes them afterwards changes what arrives.
    case shared
    /// They are copied by the kernel.
    case copied
    /// It cannot be told without bytes.
    case unknown
  }

  /// What an error tells of a hop: what the library takes for a refusal, by the same table, is one. A peer that
  /// has reset, or a disk that is full, says nothing of the kind.
  init(_ errno: Errno, as direction: Descriptor.Direction) {
    if errno == .wouldBlock {
      // Nothing there to move, on a descriptor that does not wait.
      self = .splices(.unknown)
    } else {
      self = Refusal(errno, hop: direction) != nil ? .refuses(errno) : .untried("\(errno)")
    }
  }

  var splices: Bool { if case .splices = self { true } else { false } }
  var isRefused: Bool { if case .refuses = self { true } else { false } }
}
