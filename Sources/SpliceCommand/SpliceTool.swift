// The command `splice`: one file a subcommand. Flags become a plan, and the library carries the plan out.

import ArgumentParser

@main
struct SpliceTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "splice",
    abstract: "Move bytes between files, pipes and sockets without copying them.",
    discussion: Endpoint.help,
    version: "0.1.0",
    subcommands: [Copy.self, Join.self, RelayTool.self],
    defaultSubcommand: Copy.self)

  static func main() {
    // Before anything opens a file: a standard descriptor that was closed must not be taken for one that is open.
    StandardDescriptors.plug()
    Self.main(nil)
  }
}
