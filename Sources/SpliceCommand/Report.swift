// What happened, for people (`--explain`, `--stats text`) and for machines (`--stats json`).

import Splice
import SystemPackage

/// The account of one copy.
struct Report: Sendable {
  private var source: Account
  private var sinks: [Account]
  private let began = ContinuousClock.now
  /// What went wrong, in the order in which it did.
  private(set) var failures: [Failure] = []
  /// Standard output was the only sink, and its reader has gone.
  var lostReader = false

  /// What one endpoint has to tell.
  private struct Account: Sendable {
    let word: String
    var counts = PathCounts()
    /// Why it did not go the best way.
    var why = ""
    /// Of a sink: what becomes of it when it cannot keep up.
    var policy = SinkPlan.Policy.wait
    /// Of a sink among others: how it fared.
    var fared: FanOut.Counters?
    /// Of a digest: what it has come to.
    var digest: String?
    /// Why it was let go, or failed where that fails nothing else.
    var failure: Failure?
  }

  init(source: String, sinks: [SinkPlan]) {
    self.source = Account(word: source)
    self.sinks = sinks.map { Account(word: $0.endpoint.word, policy: $0.policy) }
  }

  mutating func add(_ failure: Failure) { failures.append(failure) }

  /// A sink that may be slow may fail as well: that is told, and is no failure of the copy.
  mutating func add(_ failure: Failure, ofSink index: Int) {
    sinks[index].failure = sinks[index].failure ?? failure
    if sinks[index].policy == .wait { failures.append(failure) }
  }

  /// What came of one of several sinks.
  mutating func account(
    sink index: Int, _ counts: PathCounts, _ fared: FanOut.Counters, digest: String?
  ) {
    (sinks[index].counts, sinks[index].fared, sinks[index].digest) = (counts, fared, digest)
  }

  /// What came from the source of several sinks.
  mutating func account(received: PathCounts, why: String) { (source.counts, source.why) = (received, why) }

  /// Takes over what was counted.
  mutating func account(received: PathCounts, delivered: PathCounts, why: String) {
    (source.counts, source.why) = (received, why)
    (sinks[0].counts, sinks[0].why) = (delivered, why)
  }

  /// Takes over what a pipe has counted, and why its ends were copied where they were.
  mutating func account(
    _ pipe: borrowing SplicePipe, _ from: borrowing Descriptor, _ to: borrowing Descriptor, _ via: Via
  ) {
    func reason(_ counts: PathCounts, _ errno: Errno?) -> String {
      if counts.copy == 0 { return "" }
      if via == .copy { return "copying was asked for" }
      if let errno { return "through user memory, splice refused: \(errno)" }
      return "small pieces are cheaper to copy"
    }
    let (sourceErrno, sinkErrno) = (from.obstacle(as: .source), to.obstacle(as: .sink))
    (source.counts, sinks[0].counts) = (pipe.receivedBy, pipe.deliveredBy)
    sinks[0].why = reason(sinks[0].counts, sinkErrno)
    // Where the sink must be copied to, the source is copied from.
    let isForSink = sourceErrno == nil && sinkErrno != nil && via != .copy && source.counts.copy > 0
    source.why = isForSink ? "through user memory, as the sink must copy" : reason(source.counts, sourceErrno)
  }

  /// Says what there is to say, and answers with the status to exit with.
  func finish(_ plan: ReportOptions.Plan) -> Status {
    Self.finish([self], plan) { $0 == .json ? json : text }
  }

  /// The same for accounts that belong together, whose report is written by `text`.
  static func finish(_ reports: [Report], _ plan: ReportOptions.Plan, text: (StatsFormat) -> String) -> Status
  {
    let failures = reports.flatMap(\.failures)
    let lostReader = reports.contains(where: \.lostReader)
    // A signal is its own message, and so is a lost reader, where it ends us.
    let isQuiet = Signals.status != nil || (lostReader && Signals.diesOfLostReader)
    if !isQuiet {
      for failure in failures { StandardDescriptors.complain(failure.message) }
      for failure in reports.flatMap(\.remarks) { StandardDescriptors.complain(failure.message) }
    }
    for line in reports.flatMap(\.digests) { StandardDescriptors.complain(line) }
    if plan.explains { for line in reports.flatMap(\.explanation) { StandardDescriptors.complain(line) } }
    if let stats = plan.stats { StandardDescriptors.complain(text(stats)) }
    if Signals.status == nil, lostReader { Signals.dieOfLostReader() }
    return Signals.status ?? failures.first?.status ?? .done
  }
}

// MARK: - For people

extension Report {
  /// As `sha256sum` says it.
  private var digests: [String] { sinks.compactMap { sink in sink.digest.map { "\($0)  \(source.word)" } } }

  /// What happened to sinks that might fail.
  private var remarks: [Failure] { sinks.filter { $0.policy != .wait }.compactMap(\.failure) }

  /// A line a hop.
  private var explanation: [String] {
    ["splice: \(source.word): read \(Self.words(source))"]
      + sinks.map { "splice: \($0.word): wrote \(Self.words($0))" }
  }

  private static func words(_ account: Account) -> String {
    let ways = Path.allCases.filter { account.counts[$0] > 0 }.map { path in
      "\(account.counts[path]) \(path == .hole ? "bytes of holes" : "bytes by \(path.rawValue)")"
    }
    let why = account.why.isEmpty ? "" : " (\(account.why))"
    return (ways.isEmpty ? "nothing" : ways.joined(separator: ", ") + why) + (account.fared?.words ?? "")
  }

  /// One line.
  var text: String {
    let delivered = sinks.map { sink in
      sinks.count == 1
        ? "\(sink.counts.total) delivered"
        : "\(sink.word): \(sink.counts.total) delivered\(sink.fared?.words ?? "")"
    }
    return
      "splice: \(source.counts.total) bytes received, \(delivered.joined(separator: "; ")) in \(secondsText) s"
  }

  var secondsText: String {
    let micros = (ContinuousClock.now - began).nanoseconds / 1000
    let fraction = String(micros % 1_000_000)
    return "\(micros / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
  }
}

extension FanOut.Counters {
  /// How a sink fared beside the others.
  fileprivate var words: String {
    var words = ""
    if skipped > 0 { words += ", missed \(skipped) bytes in \(gaps) \(gaps == 1 ? "gap" : "gaps")" }
    if waits > 0 { words += ", was waited for \(waits) times" }
    return words + ", lagged by \(largestLag) bytes at most"
  }
}

// MARK: - For machines

extension Report {
  /// The object, on one line.
  var json: String {
    let source = [
      ("endpoint", Self.quoted(source.word)), ("paths", Self.paths(source.counts)),
      ("error", Self.error(failures.first { $0.side != .sink })),
    ]
    let sinks = sinks.map { sink in
      Self.object(
        [
          ("endpoint", Self.quoted(sink.word)), ("policy", Self.quoted(sink.policy.rawValue)),
          ("delivered", "\(sink.counts.total)"), ("skipped", "\(sink.fared?.skipped ?? 0)"),
          ("paths", Self.paths(sink.counts)),
          (
            "error",
            Self.error(sink.failure ?? failures.first { $0.side == .sink && $0.endpoint == sink.word })
          ),
        ] + Self.lag(sink.fared) + (sink.digest.map { [("digest", Self.quoted($0))] } ?? []))
    }
    return Self.object([
      ("received", "\(self.source.counts.total)"), ("seconds", secondsText), ("source", Self.object(source)),
      ("sinks", "[\(sinks.joined(separator: ","))]"),
    ])
  }

  private static func error(_ failure: Failure?) -> String {
    guard let failure else { return "null" }
    return object([
      ("act", quoted(failure.act)), ("errno", failure.errno.map(quoted) ?? "null"),
      ("reason", quoted(failure.reason)),
    ])
  }

  /// Which side was slow, where there were several sinks.
  private static func lag(_ fared: FanOut.Counters?) -> [(String, String)] {
    guard let fared else { return [] }
    return [("gaps", "\(fared.gaps)"), ("waits", "\(fared.waits)"), ("largestLag", "\(fared.largestLag)")]
  }

  private static func paths(_ counts: PathCounts) -> String {
    object(Path.allCases.filter { counts[$0] > 0 }.map { ($0.rawValue, "\(counts[$0])") })
  }

  static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ",") + "}"
  }

  /// A JSON string.
  static func quoted(_ text: String) -> String {
    "\""
      + text.replacingScalars { scalar in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\t": "\\t"
        case "\r": "\\r"
        // All of these have four digits.
        case _ where scalar.needsEscape: "\\u" + String(scalar.value + 0x10000, radix: 16).dropFirst()
        default: nil
        }
      } + "\""
  }
}
