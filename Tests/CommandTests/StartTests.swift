// How the command starts: checked, then opened, then run; and a start that is refused leaves nothing behind.

import Foundation
import TestSupport
import Testing

@testable import SpliceCommand

@Suite(.mayBlock) struct StartTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a refused start leaves nothing behind and runs nothing`() throws {
    try passes("start/a_refused_start_leaves_nothing_behind_and_runs_nothing", in: here)
  }

  /// Without flags nothing is looked up for them, and it is the same copy.
  @Test func `plain words mean what the parser takes them for`() throws {
    for words in [
      ["-", "-"], ["a", "b"], ["a", "tcp:h:1", "fd:3"], ["zero:", "null:"], ["exec:ls", "append:a"],
      ["./copy", "digest:sha256"], ["a", "copy"],
    ] {
      let plain = try #require(CopyPlan(words: words), "\(words)")
      #expect(String(reflecting: plain) == String(reflecting: try Copy.parse(words).plan), "\(words)")
    }
    for words in [
      [], ["a"], ["a", "--force", "b"], ["-q", "a", "b"], ["a", "b", "--"], ["a", "zero:"],
      ["append:a", "b"],
      ["digest:sha256", "b"], ["a", "tcp:nowhere"], ["unheard:of", "b"], ["a", "-\u{301}"],
    ] { #expect(CopyPlan(words: words) == nil, "\(words)") }
    let names = SpliceTool.configuration.subcommands.map {
      $0.configuration.commandName ?? "\($0)".lowercased()
    }
    #expect(SpliceTool.subcommands == names + ["help"])
  }

  @Test func `packed letters are unknown options`() throws {
    for words in [
      ["-dash", "-"], ["-", "-dash"], ["-hello", "-"], ["-xh", "a", "b"], ["join", "-hx", "-"],
      ["relay", "-sh"],
      ["-dash"],
    ] {
      let run = try run(try product("splice"), words)
      #expect(run.status == 64 && run.output.isEmpty, "\(words): \(run.status)")
      #expect(run.errors.contains("Unknown option '-"), "\(run.errors)")
    }
    for words in [["-h"], ["--help"], ["join", "-h"], ["relay", "--help"], ["help"]] {
      let run = try run(try product("splice"), words)
      #expect(run.status == 0 && run.text.contains("USAGE") && run.errors.isEmpty, "\(words)")
    }
    // Behind `--` it is a name.
    try here.write("-dash", Array("content".utf8))
    #expect(try shell("$splice -- -dash -", in: here).text == "content")
  }

  @Test func `an empty copy changes no length`() throws {
    try passes("start/an_empty_copy_changes_no_length", in: here)
  }

  @Test(arguments: ["EMFILE", "ENFILE", "ENOMEM"])
  func `without a pipe of the kernel there is one in memory`(_ errno: String) throws {
    try here.write("a", bytes(2_000_003))
    let strace =
      "strace -qq -o /dev/null -e trace=pipe2,copy_file_range,ioctl -e inject=pipe2:error=\(errno) -e inject=copy_file_range:error=EXDEV -e inject=ioctl:error=ENOTTY $splice"
    for line in [
      "\(strace) a b && cmp a b", "\(strace) a b --via copy && cmp a b", "\(strace) a - | cmp - a",
      "cat a | \(strace) - b && cmp a b", "\(strace) a - --via copy | cmp - a",
      "\(strace) a b c && cmp a b && cmp a c",
      "\(strace) join - exec:true < a > b 2>/dev/null; true",
    ] {
      let run = try shell("set -o pipefail; \(line)", in: here)
      #expect(run.status == 0 && run.errors.isEmpty, "\(line): \(run.errors)")
    }
    let forced = try shell("cat a | \(strace) - null: --via splice", in: here)
    #expect(forced.status == 74 && forced.errors.hasPrefix("splice: pipe: use: "), "\(forced.errors)")
  }

  @Test func `a start without descriptors empties nothing and runs nothing`() throws {
    try passes("start/a_start_without_descriptors_empties_nothing_and_runs_nothing", in: here)
  }

  @Test func `a start without descriptors is no clean end for a peer`() throws {
    try passes("start/a_start_without_descriptors_is_no_clean_end_for_a_peer", in: here)
  }

  @Test func `what was made is not removed under another command`() throws {
    try passes("start/what_was_made_is_not_removed_under_another_command", in: here)
  }
}
