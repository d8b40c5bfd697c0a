// `splice join A B`: its flags, and the plan they make.

import ArgumentParser
import Splice

struct Join: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connect two endpoints, both ways.",
    discussion: """
      Each end is passed on to the other side: splice join - tcp:HOST:PORT is a netcat.

      \(Endpoint.help)
      """)

  @Argument(help: "One endpoint.", completion: .file(), transform: Endpoint.init(parsing:))
  var first: Endpoint

  @Argument(help: "The other.", completion: .file(), transform: Endpoint.init(parsing:))
  var second: Endpoint

  @OptionGroup(title: "How bytes move") var moves: MoveOptions

  @Option(
    help: ArgumentHelp(
      "After one direction has ended, end the other once it was idle for so long.", valueName: "time"))
  var halfCloseTimeout = Span(.seconds(5), word: "5s")

  @OptionGroup(title: "Reports") var reports: ReportOptions

  func validate() throws {
    for endpoint in [first, second] {
      switch endpoint.place {
      case .append, .zero, .digest: throw ValidationError("'\(endpoint.word)' has one direction only")
      default: break
      }
    }
    if first.place == .standard, second.place == .standard {
      throw ValidationError("'-' can be one of the two only")
    }
  }

  func run() {
    let plan = JoinPlan(
      first: first, second: second.numbered(1), halfCloseTimeout: halfCloseTimeout, moves: moves.plan,
      reports: reports.plan())
    Signals.exit(plan.run())
  }
}
