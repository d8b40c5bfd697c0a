// The command `splice`: one file a subcommand. Flags become a plan, and the library carries the plan out.

import ArgumentParser
import CSplice
import Splice

@main
struct SpliceTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "splice",
    abstract: "Move bytes between files, pipes and sockets without copying them.",
    usage: """
      splice [<options>] <source> <sink> ...
      splice <subcommand> ...
      """,
    discussion: examples + "\n\n" + Endpoint.help,
    version: "0.1.0",
    subcommands: [
      Copy.self, Join.self, RelayTool.self, BroadcastTool.self, ServeTool.self, DoctorTool.self,
      BenchTool.self,
    ],
    defaultSubcommand: Copy.self)

  /// The words that are no source.
  static let subcommands = ["copy", "join", "relay", "broadcast", "serve", "doctor", "bench", "help"]

  private static let examples = """
      splice disk.img tcp:host:9000    send a file
      splice join - tcp:host:25        connect standard input and output: a netcat
      splice relay 8080 backend:80     forward connections
      splice broadcast - --http 8000   send a live stream to many
    """

  /// What a command line without a word is answered with.
  static let hint = """
    splice: nothing to move
    usage: splice SOURCE SINK...
    \(examples)
    splice --help shows all of it.
    """

  static func main() {
    // Before anything else: a signal that asks a question must not find a process that ends by it.
    Signals.beginToBeAsked()
    let arguments = Arguments.given()
    // Before anything opens a file: a standard descriptor that was closed must not be taken for one that is
    // open.
    StandardDescriptors.plug(arguments)
    // What leaves nothing behind ends by a signal as any program does.
    if arguments.first != DoctorTool.configuration.commandName { _ = Signals.begin() }
    if arguments.isEmpty {
      StandardDescriptors.complain(hint)
      CSplice.exit(Status.usage.rawValue)
    }
    if let plan = CopyPlan(words: arguments) { Signals.exit(plan.run()) }
    do {
      try Arguments.check(arguments)
      var command = try parseAsRoot(arguments)
      try command.run()
    } catch { end(error) }
  }

  /// Says what the parser has to say, which is help on standard output, or what is wrong on standard error.
  private static func end(_ error: any Error) -> Never {
    let status = exitCode(for: error)
    // The line feeds are the parser's own: those of arguments are carried.
    let text = fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: false).map {
      String($0).escaped
    }.joined(separator: "\n").asOurs
    let isSaid =
      text.isEmpty
      || (status == .success ? StandardDescriptors.print(text) : StandardDescriptors.complain(text))
    CSplice.exit(status == .success && !isSaid ? Status.failedUnderWay.rawValue : status.rawValue)
  }
}

extension String {
  /// The parser's words for what is wrong, as all other messages begin, and with what would be accepted.
  fileprivate var asOurs: String {
    let mark = "Error: "
    guard hasPrefix(mark) else { return self }
    var lines = ("splice: " + dropFirst(mark.count)).split(separator: "\n", omittingEmptySubsequences: false)
      .map(String.init)
    for (value, accepted) in [("<size>'", Size.accepted), ("<time>'", Span.accepted)]
    where lines[0].hasSuffix(value) {
      lines[0] += ": " + accepted
    }
    return lines.joined(separator: "\n")
  }
}
