// `splice copy SOURCE SINK`, which is also `splice SOURCE SINK`: its flags, and the plan they make.

import ArgumentParser
import Splice

struct Copy: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Move a source to a sink.", discussion: Endpoint.help)

  @Argument(help: "Where the bytes come from.", transform: Endpoint.init(parsing:))
  var source: Endpoint

  @Argument(help: "Where they go.", transform: Endpoint.init(parsing:))
  var sink: Endpoint

  @Option(help: ArgumentHelp("Stop after so many bytes.", valueName: "size"))
  var limit: Size?

  @Option(
    help: ArgumentHelp("How bytes travel: auto, splice (fail where it cannot) or copy.", valueName: "path"))
  var via: Via = .automatic

  @Flag(help: "Say for each hop which path ran and why.")
  var explain = false

  @Option(help: ArgumentHelp("Report at the end: json or text.", valueName: "format"))
  var stats: StatsFormat?

  func validate() throws {
    if sink.place == .zero { throw ValidationError("'\(sink.word)' is a source, not a sink") }
  }

  func run() throws {
    let plan = CopyPlan(
      source: source, sink: sink, limit: limit?.bytes ?? .max, via: via, explains: explain, stats: stats)
    throw plan.run().exitCode
  }
}

extension Via: ExpressibleByArgument {}

/// How a report is written.
enum StatsFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
  case json, text
}
