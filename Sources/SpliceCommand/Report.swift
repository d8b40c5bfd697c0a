// What happened, for people (`--explain`, `--stats text`) and for machines (`--stats json`).

import Splice
import SystemPackage

/// The account of one copy.
struct Report: Sendable {
  let source: String
  let sink: String
  var seconds = Duration.zero
  var failure: Failure?
  private var received = PathCounts()
  private var delivered = PathCounts()
  private var reasons: (source: String, sink: String) = ("", "")

  init(source: String, sink: String) {
    self.source = source
    self.sink = sink
  }

  /// Takes over what a pipe has counted, and why its ends were copied where they were.
  mutating func account(
    _ pipe: borrowing SplicePipe, _ from: borrowing Descriptor, _ to: borrowing Descriptor, _ via: Via
  ) {
    received = pipe.receivedBy
    delivered = pipe.deliveredBy
    func reason(_ errno: Errno?) -> String {
      if via == .copy { return "copying was asked for" }
      if let errno { return "splice refused: \(errno)" }
      return "small pieces are cheaper to copy"
    }
    let sinkErrno = to.obstacle(as: .sink)
    reasons.sink = reason(sinkErrno)
    // Where the sink must be copied to, the source is copied from.
    let sourceErrno = from.obstacle(as: .source)
    reasons.source =
      sourceErrno == nil && sinkErrno != nil && via != .copy ? "the sink must copy" : reason(sourceErrno)
  }
}

// MARK: - For people

extension Report {
  /// A line a hop.
  var explanation: [String] {
    [
      "splice: \(source): read \(Self.words(received, why: reasons.source))",
      "splice: \(sink): wrote \(Self.words(delivered, why: reasons.sink))",
    ]
  }

  private static func words(_ counts: PathCounts, why: String) -> String {
    switch (counts.splice, counts.copy) {
    case (0, 0): "nothing"
    case (let splice, 0): "\(splice) bytes by splice"
    case (0, let copy): "\(copy) bytes by copy (\(why))"
    case (let splice, let copy): "\(splice) bytes by splice, \(copy) by copy (\(why))"
    }
  }

  /// The report in a format, on one line.
  func text(_ format: StatsFormat) -> String {
    switch format {
    case .json: json
    case .text:
      "splice: \(received.total) bytes received, \(delivered.total) delivered in \(secondsText) s"
    }
  }

  private var secondsText: String {
    let micros = seconds.nanoseconds / 1000
    let fraction = String(micros % 1_000_000)
    return "\(micros / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
  }
}

// MARK: - For machines

extension Report {
  private var json: String {
    let source = [
      ("endpoint", Self.quoted(source)), ("paths", Self.paths(received)), ("error", error(at: .source)),
    ]
    let sink = [
      ("endpoint", Self.quoted(sink)), ("policy", Self.quoted("wait")), ("delivered", "\(delivered.total)"),
      ("skipped", "0"), ("paths", Self.paths(delivered)), ("error", error(at: .sink)),
    ]
    return Self.object([
      ("received", "\(received.total)"), ("seconds", secondsText), ("source", Self.object(source)),
      ("sinks", "[\(Self.object(sink))]"),
    ])
  }

  /// A failure of neither end is told at the source.
  private func error(at side: Descriptor.Direction) -> String {
    guard let failure, failure.side ?? .source == side else { return "null" }
    return Self.object([
      ("act", Self.quoted(failure.act)), ("errno", failure.errno.map(Self.quoted) ?? "null"),
      ("reason", Self.quoted(failure.reason)),
    ])
  }

  private static func paths(_ counts: PathCounts) -> String {
    object([("splice", counts.splice), ("copy", counts.copy)].filter { $0.1 > 0 }.map { ($0.0, "\($0.1)") })
  }

  private static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ",") + "}"
  }

  /// A JSON string.
  static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case "\r": quoted += "\\r"
      case "\u{0}"..<"\u{20}":
        let hex = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
