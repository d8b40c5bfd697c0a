// What happened, for people (`--explain`, `--stats text`) and for machines (`--stats json`).

import Splice
import SystemPackage

/// The account of one copy.
struct Report: Sendable {
  private var sources: [Account]
  private var sinks: [Account]
  private let began = ContinuousClock.now
  /// What went wrong, in the order in which it did.
  private(set) var failures: [Failure] = []
  /// What else there is to say.
  private(set) var lines: [String] = []
  /// Standard output was the only sink, and its reader has gone.
  var lostReader = false

  /// What one endpoint has to tell.
  fileprivate struct Account: Sendable {
    let endpoint: Endpoint
    var counts = PathCounts()
    /// Why it did not go the best way.
    var why = ""
    /// Of a sink: what becomes of it when it cannot keep up.
    var policy = SinkPlan.Policy.wait
    /// Of a sink among others: how it fared.
    var fared: FanOut.Counters?
    /// Of a sink that was attached while the copy ran: bytes that had gone by then.
    var late: UInt64 = 0
    /// Whether it is a digest.
    var isDigest = false
    /// Of a digest: what it has come to, when it has seen every byte.
    var digest: String?
    /// Why it failed, or was let go: the first reason.
    var failure: Failure?

    var word: String { endpoint.word }
  }

  /// By which a digest calls the source: a file by its path alone; several sources, or a part of one, as
  /// standard input.
  private let sourceName: [UInt8]

  init(sources: [Endpoint], sinks: [SinkPlan], isPart: Bool = false) {
    self.sources = sources.map { Account(endpoint: $0) }
    let word = sources.count == 1 && !isPart ? sources[0].word : "-"
    let name = word.carriedBytes
    sourceName = word.hasPrefix("file:") && name.count > 5 ? Array(name.dropFirst(5)) : name
    self.sinks = sinks.map {
      Account(endpoint: $0.endpoint, policy: $0.policy, isDigest: $0.endpoint.place.isDigest)
    }
  }

  /// A failure belongs to the endpoint it names by its number. A sink that may be slow may fail as well: that
  /// is told, and is no failure of the copy.
  mutating func add(_ failure: Failure) {
    let index = failure.side == .sink ? sinks.firstIndex { $0.endpoint.number == failure.number } : nil
    if let index {
      sinks[index].failure = sinks[index].failure ?? failure
      if sinks[index].policy != .wait { return }
    }
    failures.append(failure)
  }

  /// Bytes that came from the sources.
  var received: UInt64 { sources.reduce(0) { $0 + $1.counts.total } }

  /// Something that is no failure, in the form of one.
  mutating func remark(_ act: String, _ remark: String) {
    lines.append("splice: \(sources[0].word.escapedName): \(act): \(remark)")
  }

  /// What came of one of several sinks. A digest of less than the whole stream is none.
  mutating func account(
    sink index: Int, _ counts: PathCounts, _ fared: FanOut.Counters, late: UInt64 = 0, digest: String?
  ) {
    (sinks[index].counts, sinks[index].fared, sinks[index].digest) = (counts, fared, digest)
    sinks[index].late = late
    let missed = sinks[index].missed.bytes
    guard digest != nil, missed > 0 else { return }
    sinks[index].digest = nil
    add(Failure(sinks[index].endpoint, .sink, "digest", reason: "missed \(missed) bytes", .failedUnderWay))
  }

  /// What came from each source that was begun.
  mutating func account(received: [PathCounts], why: String) {
    for (index, counts) in received.enumerated() {
      (sources[index].counts, sources[index].why) = (counts, why)
    }
  }

  /// Only the first bytes count as received: the others were given back.
  mutating func limit(received most: UInt64) {
    var left = most
    for index in sources.indices {
      sources[index].counts = sources[index].counts.limited(to: left)
      left -= sources[index].counts.total
    }
  }

  /// Takes over what was counted.
  mutating func account(
    received: [PathCounts], delivered: PathCounts, why: String, sinkWhy: String? = nil
  ) {
    account(received: received, why: why)
    (sinks[0].counts, sinks[0].why) = (delivered, sinkWhy ?? why)
  }

  /// Takes over what a pipe has counted, and why its ends were copied where they were.
  mutating func account(
    _ pipe: borrowing SplicePipe, _ from: OpenEndpoint, _ to: OpenEndpoint, _ via: PathChoice
  ) {
    func reason(_ counts: PathCounts, _ errno: Errno?) -> String {
      if counts.copy == 0 { return "" }
      if via == .copy { return "copying was asked for" }
      if let errno { return "through user memory, splice refused: \(errno)" }
      return "small pieces are cheaper to copy"
    }
    let (sourceErrno, sinkErrno) = (from.obstacle(as: .source), to.obstacle(as: .sink))
    let (received, delivered) = (pipe.receivedBy, pipe.deliveredBy)
    // Where the sink must be copied to, the source is copied from.
    let isForSink = sourceErrno == nil && sinkErrno != nil && via != .copy && received.copy > 0
    account(
      received: [received], delivered: delivered,
      why: isForSink ? "through user memory, as the sink must copy" : reason(received, sourceErrno),
      sinkWhy: reason(delivered, sinkErrno))
  }

  /// Says what there is to say, and answers with the status to exit with.
  func finish(_ plan: ReportOptions.Plan) -> Status {
    Self.finish([self], plan) { $0 == .json ? json : text }
  }

  /// Finishes accounts that belong together, whose report is written by `text`.
  static func finish(_ reports: [Report], _ plan: ReportOptions.Plan, text: (StatsFormat) -> String) -> Status
  {
    let failures = reports.flatMap(\.failures)
    let lostReader = reports.contains(where: \.lostReader)
    // A lost reader is its own message, where it ends us, and so is a signal: what it has stopped is no
    // failure.
    let unsaid = (failures + reports.flatMap(\.remarks)).filter { failure in
      !failure.isSaid && !(failure.isInterruption && Signals.status != nil)
    }
    if !(lostReader && Signals.diesOfLostReader) {
      for failure in unsaid { StandardDescriptors.complain(failure.message) }
    }
    if !plan.isQuiet { for line in reports.flatMap(\.lines) { StandardDescriptors.complain(line) } }
    var asked = reports.flatMap(\.digests)
    if plan.explains { asked += reports.flatMap(\.explanation).map { Array($0.utf8) } }
    if let stats = plan.stats { asked.append(Array(text(stats).utf8)) }
    let isSaid = asked.allSatisfy { StandardDescriptors.complain($0) }
    if let status = Signals.status { return status }
    if lostReader, Signals.diesOfLostReader { return .lostReader }
    // What was asked for and could not be said is a failure of its own.
    return failures.first?.status ?? (isSaid ? .done : .failedUnderWay)
  }
}

// MARK: - For people

extension Report {
  /// As `sha256sum` writes it and `sha256sum -c` reads it: a name is raw, but for a backslash and what would
  /// end the line.
  private var digests: [[UInt8]] {
    let name = sourceName
    let escaped = name.flatMap { byte -> [UInt8] in
      switch byte {
      case UInt8(ascii: "\\"): Array(#"\\"#.utf8)
      case UInt8(ascii: "\n"): Array(#"\n"#.utf8)
      case UInt8(ascii: "\r"): Array(#"\r"#.utf8)
      default: [byte]
      }
    }
    let mark = escaped.count > name.count ? #"\"# : ""
    return sinks.compactMap { sink in sink.digest.map { Array("\(mark)\($0)  ".utf8) + escaped } }
  }

  /// What happened to sinks that might fail.
  private var remarks: [Failure] { sinks.filter { $0.policy != .wait }.compactMap(\.failure) }

  /// A line a hop.
  private var explanation: [String] {
    sources.map { "splice: \($0.word.escapedName): read \(Self.words($0))" }
      + sinks.map { "splice: \($0.word.escapedName): wrote \(Self.words($0))" }
  }

  private static func words(_ account: Account) -> String {
    let ways = TransferPath.allCases.filter { account.counts[$0] > 0 }.map { path in
      "\(account.counts[path]) \(path == .hole ? "bytes of holes" : "bytes by \(path.rawValue)")"
    }
    let why = account.why.isEmpty ? "" : " (\(account.why))"
    return (ways.isEmpty ? "nothing" : ways.joined(separator: ", ") + why) + account.howItFared
  }

  /// One line.
  var text: String {
    let delivered = sinks.map { sink in
      sinks.count == 1
        ? "\(sink.counts.total) delivered"
        : "\(sink.word.escapedName): \(sink.counts.total) delivered\(sink.howItFared)"
    }
    return
      "splice: \(received) bytes received, \(delivered.joined(separator: "; ")) in \(secondsText) s"
  }

  var secondsText: String {
    let micros = (ContinuousClock.now - began).nanoseconds / 1000
    let fraction = String(micros % 1_000_000)
    return "\(micros / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
  }
}

extension Report.Account {
  /// Bytes it missed, and in how many gaps: those before it was attached are one.
  fileprivate var missed: (bytes: UInt64, gaps: Int) {
    ((fared?.skipped ?? 0) + late, (fared?.gaps ?? 0) + (late > 0 ? 1 : 0))
  }

  /// How a sink fared beside the others.
  fileprivate var howItFared: String {
    guard let fared else { return "" }
    var words = ""
    let (bytes, gaps) = missed
    if bytes > 0 { words += ", missed \(bytes) bytes in \(gaps) \(gaps == 1 ? "gap" : "gaps")" }
    if fared.waits > 0 { words += ", was waited for \(fared.waits) times" }
    return words + ", lagged by \(fared.largestLag) bytes at most"
  }
}

// MARK: - For machines

extension Report {
  /// The object, on one line.
  var json: String {
    // A failure that is no endpoint's is told with the first source.
    let sources = self.sources.map { source in
      let failure = failures.first { failure in
        failure.side != .sink
          && (self.sources.count == 1 || (failure.number ?? 0) == source.endpoint.number)
      }
      return JSON.object([
        ("endpoint", JSON.quotedName(source.word)), ("paths", Self.paths(source.counts)),
        ("error", Self.error(failure)),
      ])
    }
    let sinks = sinks.map { sink in
      JSON.object(
        [
          ("endpoint", JSON.quotedName(sink.word)), ("policy", JSON.quoted(sink.policy.rawValue)),
          ("delivered", "\(sink.counts.total)"), ("skipped", "\(sink.missed.bytes)"),
          ("paths", Self.paths(sink.counts)),
          ("error", Self.error(sink.failure)),
        ] + Self.lag(sink) + (sink.isDigest ? [("digest", sink.digest.map(JSON.quoted) ?? "null")] : []))
    }
    let all = sources.count == 1 ? [] : [("sources", "[\(sources.joined(separator: ","))]")]
    return JSON.object(
      [("received", "\(received)"), ("seconds", secondsText), ("source", sources[0])] + all
        + [("sinks", "[\(sinks.joined(separator: ","))]")])
  }

  private static func error(_ failure: Failure?) -> String {
    guard let failure else { return "null" }
    return JSON.object([
      ("act", JSON.quoted(failure.act)), ("errno", failure.errno.map(JSON.quoted) ?? "null"),
      ("reason", JSON.quoted(failure.reason)),
    ])
  }

  /// Which side was slow, where there were several sinks.
  private static func lag(_ sink: Account) -> [(String, String)] {
    guard let fared = sink.fared else { return [] }
    return [
      ("gaps", "\(sink.missed.gaps)"), ("waits", "\(fared.waits)"), ("largestLag", "\(fared.largestLag)"),
    ]
  }

  private static func paths(_ counts: PathCounts) -> String {
    JSON.object(TransferPath.allCases.filter { counts[$0] > 0 }.map { ($0.rawValue, "\(counts[$0])") })
  }
}
