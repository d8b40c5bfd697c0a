// `splice join A B`: its flags, and the plan they make.

import ArgumentParser
import Splice

struct Join: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connect two endpoints, both ways.",
    discussion: """
      The end of one direction is passed on to the other side (half-close).

      splice join - tcp:host:25

      \(Endpoint.help)
      """)

  @Argument(help: "First endpoint.", completion: .file(), transform: Endpoint.init(parsing:))
  var first: Endpoint

  @Argument(help: "Second endpoint.", completion: .file(), transform: Endpoint.init(parsing:))
  var second: Endpoint

  @OptionGroup(title: "How bytes move") var moves: MoveOptions

  @Option(
    help: ArgumentHelp(
      "Maximum idle time of one direction after the other has ended.", valueName: "time"))
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
      throw ValidationError("'-' can be only one of the two endpoints")
    }
  }

  func run() {
    let plan = JoinPlan(
      first: first, second: second.numbered(1), halfCloseTimeout: halfCloseTimeout, moves: moves.plan,
      reports: reports.plan())
    Signals.exit(plan.run())
  }
}
