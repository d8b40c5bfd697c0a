// splice refused, by strace in the kernel's place: the same bytes by copying, in order, whenever it happens.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct RefusedTests {
  let content = bytes(2_000_003)

  /// From file to file the kernel's own copy is refused too, so that the bytes go through a pipe.
  private func spliceUnderStrace(
    _ inject: String, _ arguments: [String], input: FileHandle? = nil, output: FileHandle? = nil
  ) throws -> Run {
    try run(
      try tool("strace"),
      [
        "-qq", "-o", "/dev/null", "-e", "trace=splice,copy_file_range", "-e", "inject=splice:\(inject)", "-e",
        "inject=copy_file_range:error=EXDEV", try product("splice"),
      ]
        + arguments, input: input, output: output)
  }

  @Test(arguments: ["EINVAL", "ENOSYS", "EPERM", "EOPNOTSUPP"], ["1+", "2+", "3+", "4+", "5", "7", "10+"])
  func `what splice refuses is copied, to the same bytes`(_ errno: String, _ when: String) throws {
    let from = try TemporaryFile(content)
    let to = try TemporaryFile()
    let run = try spliceUnderStrace("error=\(errno):when=\(when)", [from.path.string, to.path.string])
    #expect(run.status == 0, "\(run.errors)")
    #expect(try to.contents == content)
  }

  @Test(arguments: ["EINVAL", "ENOSYS", "EPERM"], ["2+", "3+", "6+", "9+", "20+"])
  func `what splice refuses is copied also after a partial write`(_ errno: String, _ when: String) throws {
    // A reader through a small pipe takes pieces, so that refusals meet pipes that hold half of what they
    // took.
    let from = try TemporaryFile(content)
    let line =
      "strace -qq -o /dev/null -e trace=splice -e inject=splice:error=\(errno):when=\(when) $splice '\(from.path)' - "
      + "| python3 -c 'import os,sys\nwhile (d := os.read(0, 3001)): os.write(1, d)'"
    let run = try shell(line)
    #expect(run.output == content, "\(run.errors)")
  }

  @Test(arguments: ["EIO", "ENOMEM", "EBADF", "ENOSPC"], ["1", "2", "3", "4"])
  func `a failure is a failure, and names its end`(_ errno: String, _ when: String) throws {
    let from = try TemporaryFile(content)
    let to = try TemporaryFile()
    let run = try spliceUnderStrace(
      "error=\(errno):when=\(when)", [from.path.string, to.path.string, "--stats", "json"])
    #expect(run.status == 74)
    // Fills are odd, drains are even.
    let act = Int(when)! % 2 == 1 ? "\(from.path.string): read: " : "\(to.path.string): write: "
    #expect(run.errors.contains("splice: \(act)"), "\(run.errors)")
    #expect(content.starts(with: try to.contents))
  }

  @Test func `interrupted and short calls lose nothing`() throws {
    let from = try TemporaryFile(content)
    for inject in ["error=EINTR:when=1+2", "error=EAGAIN:when=2+3"] {
      let to = try TemporaryFile()
      let run = try spliceUnderStrace(inject, [from.path.string, to.path.string])
      #expect(run.status == 0, "\(inject): \(run.errors)")
      #expect(try to.contents == content)
    }
  }
}
