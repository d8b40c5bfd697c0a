// Questions that are asked in a child: a sandbox may end who makes some call, and a file system may never answer.
// What the child has found comes back as bytes.

import Splice
import SpliceProcess
import SystemPackage

/// Why a child has brought nothing back.
struct Obstacle: Error, CustomStringConvertible {
  let description: String
}

extension Row {
  /// How long a question may take.
  private static let patience = Duration.seconds(1)

  /// Rows that are found in a child; where no child can be made, in this process.
  static func foundApart(
    until deadline: ContinuousClock.Instant = .now + patience, _ find: () -> [Row]
  ) -> Result<[Row], Obstacle> {
    do throws(Errno) {
      switch try Syscall.apart(
        until: deadline, { find().map(\.encoded).joined(separator: [Mark.row]).map(\.self) })
      {
      case .said(let bytes):
        return .success(bytes.split(separator: Mark.row).compactMap { Row(encoded: $0) })
      case .ended(let signal):
        return .failure(Obstacle(description: "a call ends who makes it (signal \(signal))"))
      case .late: return .failure(Obstacle(description: "no answer in time"))
      }
    } catch { return .success(find()) }
  }

  /// The same, with a row of this name that says why where there is none.
  static func apart(
    _ name: String, until deadline: ContinuousClock.Instant = .now + patience, _ find: () -> [Row]
  ) -> [Row] {
    switch foundApart(until: deadline, find) {
    case .success(let rows): rows
    case .failure(let obstacle): [.fact(name, "not known: \(obstacle)", "the rest is not concerned")]
    }
  }
}

// MARK: - As bytes

/// What parts rows and fields: no text here has these.
private enum Mark {
  static let row = UInt8(0x1e), field = UInt8(0x1f)
}

extension Row {
  fileprivate var encoded: [UInt8] {
    let fields: [String] =
      switch finding {
      case .fact(let words, let number): ["fact", words, number.map(String.init) ?? ""]
      case .ends(let from, let to): ["ends", from.encoded, to.encoded]
      // Calls are tried in children of their own.
      case .call: []
      }
    return Array(([name, advice] + fields).map { Array($0.utf8) }.joined(separator: [Mark.field]))
  }

  fileprivate init?(encoded bytes: ArraySlice<UInt8>) {
    let fields = bytes.split(separator: Mark.field, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard fields.count == 5 else { return nil }
    switch fields[2] {
    case "fact": finding = .fact(fields[3], number: Int(fields[4]))
    case "ends":
      guard let from = Answer(encoded: fields[3]), let to = Answer(encoded: fields[4]) else { return nil }
      finding = .ends(from: from, to: to)
    default: return nil
    }
    (name, advice) = (fields[0], fields[1])
  }
}

extension Answer {
  fileprivate var encoded: String {
    switch self {
    case .splices(let pages): "splices \(pages.rawValue)"
    case .refuses(let errno): "refuses \(errno.rawValue)"
    case .untried(let why): "untried \(why)"
    case .none: "none"
    }
  }

  fileprivate init?(encoded text: String) {
    let parts = text.split(separator: " ", maxSplits: 1)
    switch (parts.first, parts.last) {
    case ("splices", let pages?):
      guard let pages = Pages(rawValue: String(pages)) else { return nil }
      self = .splices(pages)
    case ("refuses", let number?):
      guard let number = CInt(number) else { return nil }
      self = .refuses(Errno(rawValue: number))
    case ("untried", let why?): self = .untried(String(why))
    case ("none", _): self = .none
    default: return nil
    }
  }
}
