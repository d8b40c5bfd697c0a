// `splice copy SOURCE SINK`, which is also `splice SOURCE SINK`: its flags, and the plan they make.

import ArgumentParser
import Splice

struct Copy: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Move a source to a sink, or to many.", discussion: Endpoint.help)

  @Argument(help: "Source of the bytes.", completion: .file(), transform: Endpoint.init(parsing:))
  var source: Endpoint

  @Argument(
    help: ArgumentHelp(
      "Sinks; each gets all bytes. With several sinks, holes are written as zeros.",
      valueName: "sink"), completion: .file(),
    transform: Endpoint.init(parsing:))
  var sinks: [Endpoint]

  @Option(
    help: ArgumentHelp("Additional source, read when those before it have ended.", valueName: "source"),
    completion: .file(), transform: Endpoint.init(parsing:))
  var then: [Endpoint] = []

  @Option(
    help: ArgumentHelp(
      """
      Additional optional sink: skips data while it is not open or too slow. Never fails the copy; delays its \
      start by at most 250 ms and its end by at most 7 s.
      """,
      valueName: "sink"),
    completion: .file(), transform: Endpoint.init(parsing:))
  var skipSlow: [Endpoint] = []

  @Option(
    help: ArgumentHelp(
      """
      Additional optional sink: detached when it is too slow. Never fails the copy; delays its start by at most \
      250 ms and its end by at most 7 s.
      """,
      valueName: "sink"),
    completion: .file(), transform: Endpoint.init(parsing:))
  var detachSlow: [Endpoint] = []

  @Option(help: ArgumentHelp("Skip whole units of this size (at most 60K).", valueName: "size"))
  var align: Size?

  @Option(help: ArgumentHelp("Stop after this many bytes.", valueName: "size"))
  var limit: Size?

  @Option(help: ArgumentHelp("Start at this offset of the source.", valueName: "size"))
  var offset: Size?

  @Option(
    help: ArgumentHelp(
      "Write at this offset of a sink that is a file, which is not truncated.", valueName: "size"))
  var sinkOffset: Size?

  @Flag(help: "Resume an interrupted copy from file to file at the end of the sink.")
  var resume = false

  @Flag(help: "Overwrite existing files also as the second or a later sink.")
  var force = false

  @Flag(help: "Never overwrite an existing file.")
  var noClobber = false

  @OptionGroup(title: "How bytes move") var moves: MoveOptions

  @Option(help: ArgumentHelp("Size of the pipe, if the kernel grants it.", valueName: "size"))
  var pipeSize: Size?

  @Option(
    help: ArgumentHelp(
      "Buffer of this size in user memory, for bursts larger than any pipe. Holes are written as zeros.",
      valueName: "size"))
  var buffer: Size?

  @Flag(help: "Write sinks that are files to disk (fsync) before the end.")
  var sync = false

  @Option(help: ArgumentHelp("Show progress: auto (on a terminal), always or never.", valueName: "when"))
  var progress: ProgressMode = .auto

  @Option(
    help: ArgumentHelp(
      "Expected size of a stream, for the percentage and the time left.", valueName: "size"))
  var total: Size?

  @Flag(name: .shortAndLong, help: "Print errors only: no progress, no remarks.")
  var quiet = false

  @OptionGroup(title: "Reports") var reports: ReportOptions

  func validate() throws {
    try CopyPlan.check(sources: [source] + then, sinks: plans)
    if offset != nil { try source.mustHavePlaces("--offset") }
    if sinkOffset != nil, !plans.contains(where: { (try? $0.endpoint.mustHavePlaces("")) != nil }) {
      try plans[0].endpoint.mustHavePlaces("--sink-offset")
    }
    if sync, !plans.contains(where: \.endpoint.mayBeFile) {
      throw ValidationError("--sync is for a sink that is a file, not '\(plans[0].endpoint.word)'")
    }
    if let align {
      if align.bytes < 1 || align.bytes > FanOut.largestAlignment {
        throw ValidationError("--align is between 1 and 60K")
      }
      if skipSlow.isEmpty { throw ValidationError("--align is for sinks of --skip-slow") }
    }
    if let pipeSize, pipeSize.bytes == 0 || pipeSize.bytes > 1 << 30 {
      throw ValidationError("--pipe-size is between 1 and 1G")
    }
    if let buffer {
      if buffer.bytes == 0 || buffer.bytes > 1 << 40 { throw ValidationError("--buffer is between 1 and 1T") }
      if moves.via == .splice { throw ValidationError("--buffer copies, and --via splice does not") }
    }
    if quiet, progress == .always {
      throw ValidationError("--quiet shows no progress, and --progress always does")
    }
    if force, noClobber { throw ValidationError("--force overwrites, and --no-clobber does not") }
    if noClobber, resume || sinkOffset != nil {
      throw ValidationError("--no-clobber makes new files, and --resume and --sink-offset write into one")
    }
    if resume {
      if sinkOffset != nil {
        throw ValidationError("--resume finds the place in the sink itself, without --sink-offset")
      }
      guard plans.count == 1, then.isEmpty, case .path = plans[0].endpoint.place, source.mayBeFile else {
        throw ValidationError("--resume copies from one file to one file only")
      }
    }
  }

  /// All sinks: those that are waited for, those that may miss something, those that may be let go.
  private var plans: [SinkPlan] {
    let policies: [(SinkPlan.Policy, [Endpoint])] = [
      (.wait, sinks), (.skip, skipSlow), (.detach, detachSlow),
    ]
    let all = policies.flatMap { policy, endpoints in endpoints.map { (policy, $0) } }
    return CopyPlan.sinks(all, of: source)
  }

  /// What all flags ask for.
  var plan: CopyPlan {
    var plan = CopyPlan(
      sources: [source]
        + then.enumerated().map { index, source in source.numbered(plans.count + index + 1) },
      sinks: plans)
    if let limit { plan.limit = limit.bytes }
    plan.offset = offset.map { Int64($0.bytes) }
    plan.sinkOffset = sinkOffset.map { Int64($0.bytes) }
    plan.resumes = resume
    if noClobber || force { plan.overwrites = noClobber ? .nothing : .everything }
    if let pipeSize { plan.pipeSize = Int(pipeSize.bytes) }
    plan.buffer = buffer.map { Int($0.bytes) }
    if let align { plan.alignment = Int(align.bytes) }
    plan.syncs = sync
    plan.progress = quiet ? .never : progress
    plan.total = total?.bytes
    plan.moves = moves.plan
    plan.reports = reports.plan(quiet: quiet)
    return plan
  }

  func run() { Signals.exit(plan.run()) }
}

// MARK: - Without flags

extension CopyPlan {
  /// What `splice SOURCE SINK...` asks for; nil when it takes the parser to know. A parser of flags looks each
  /// kind of flag up in the whole program, which takes longer than a short copy.
  init?(words: [String]) {
    guard words.count > 1, words.allSatisfy({ $0 == "-" || $0.unicodeScalars.first != "-" }),
      !SpliceTool.subcommands.contains(words[0]), let source = try? Endpoint(parsing: words[0])
    else { return nil }
    let sinks = words.dropFirst().compactMap { try? Endpoint(parsing: $0) }
    let plans = Self.sinks(sinks.map { (.wait, $0) }, of: source)
    guard plans.count == words.count - 1, (try? Self.check(sources: [source], sinks: plans)) != nil else {
      return nil
    }
    self.init(sources: [source], sinks: plans)
  }

  fileprivate static func sinks(_ all: [(SinkPlan.Policy, Endpoint)], of source: Endpoint) -> [SinkPlan] {
    all.enumerated().map { index, sink in
      SinkPlan(endpoint: sink.1.entered(by: source).numbered(index + 1), policy: sink.0)
    }
  }

  /// Throws for a source that is a sink only, and the other way around.
  fileprivate static func check(sources: [Endpoint], sinks: [SinkPlan]) throws {
    for sink in sinks.map(\.endpoint) where sink.place == .zero {
      throw ValidationError("'\(sink.word)' is a source, not a sink")
    }
    for source in sources {
      if source.place.isDigest { throw ValidationError("'\(source.word)' is a sink, not a source") }
      if case .append = source.place { throw ValidationError("'\(source.word)' is a sink, not a source") }
    }
  }
}

/// How bytes move: options of every subcommand that moves some.
struct MoveOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("How bytes travel: auto, splice (fail where it cannot) or copy.", valueName: "path"))
  var via: PathChoice = .automatic

  @Option(help: ArgumentHelp("Maximum bytes a second.", valueName: "size"))
  var rateLimit: Size?

  @Option(
    help: ArgumentHelp(
      """
      Fail after this long without a byte, a peer, an answer or the exit of a program. Waits for disks do not \
      count.
      """,
      valueName: "time"))
  var idleTimeout: Span?

  func validate() throws {
    if rateLimit?.bytes == 0 { throw ValidationError("--rate-limit is at least 1") }
  }

  /// What these flags ask for.
  struct Plan: Sendable {
    var via = PathChoice.automatic
    var rate: UInt64?
    var idle: Span?

    /// For one direction, which has its pace for itself. The command watches the idle time, over all that
    /// moves.
    func options() -> FlowOptions { FlowOptions(via: via, pace: rate.map { Pace(bytesPerSecond: $0) }) }

    /// For how long the rate lets nothing move.
    var pause: Duration { rate.map { Pace(bytesPerSecond: $0).longestPause } ?? .zero }
  }

  var plan: Plan {
    Plan(via: via, rate: rateLimit?.bytes, idle: idleTimeout)
  }
}

/// What is said at the end: options of every subcommand that moves bytes.
struct ReportOptions: ParsableArguments {
  @Flag(help: "Print the path that each hop took, and why.")
  var explain = false

  @Option(help: ArgumentHelp("Print a report at the end: json or text.", valueName: "format"))
  var stats: StatsFormat?

  /// What these flags ask for.
  struct Plan: Sendable {
    var explains = false
    var stats: StatsFormat?
    /// Whether what is no failure is left unsaid.
    var isQuiet = false
  }

  func plan(quiet: Bool = false) -> Plan { Plan(explains: explain, stats: stats, isQuiet: quiet) }
}

extension PathChoice: ExpressibleByArgument {}

/// How a report is written.
enum StatsFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  case json, text
}

extension Endpoint {
  /// Whether this may turn out to be a file with places in it. A descriptor or a path has to be opened to
  /// know.
  var mayBeFile: Bool {
    switch place {
    case .standard, .inherited, .path, .append: true
    case .exec, .tcp, .tcpListen, .unix, .unixListen, .zero, .null, .digest: false
    }
  }

  fileprivate func mustHavePlaces(_ option: String) throws {
    if case .append = place { throw ValidationError("\(option): '\(word)' is append-only") }
    guard mayBeFile else { throw ValidationError("\(option): '\(word)' has no offsets") }
  }
}
