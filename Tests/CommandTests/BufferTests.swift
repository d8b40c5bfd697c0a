// `--buffer`: a copy through user memory, filled and emptied side by side.

import Foundation
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct BufferTests {
  @Test func `every byte goes through the buffer`() throws {
    let directory = try TemporaryDirectory()
    let content = bytes(5_000_000, seed: 21)
    try directory.write("source", content)
    let run = try shell("$splice source sink --buffer 64K --explain --stats json", in: directory)
    #expect(run.status == 0)
    #expect(try directory.contents("sink") == content)
    #expect(run.errors.contains("read 5000000 bytes by copy (through the buffer)"))
    #expect(run.errors.contains(#""delivered":5000000"#))
  }

  /// Its size is that of the bytes in it, so it knows no holes, and says so.
  @Test func `a note says that holes become zeros`() throws {
    let directory = try TemporaryDirectory()
    let run = try shell(
      "truncate -s 1M source; $splice source sink --buffer 64K --explain && cmp source sink", in: directory)
    #expect(run.status == 0)
    #expect(
      run.errors.contains(
        "sink: wrote 1048576 bytes by splice (through the buffer, holes are written as zeros)\n")
        || run.errors.contains(
          "sink: wrote 1048576 bytes by copy (through the buffer, holes are written as zeros)\n"),
      "\(run.errors)")
    #expect(
      try splice("copy", "--help").text.replacing(/\s+/, with: " ").contains("Holes are written as zeros"))
    // From a pipe there are none to tell of.
    #expect(
      try !shell("cat source | $splice - sink --buffer 64K --explain", in: directory).errors.contains("zeros")
    )
  }

  /// The sink takes nothing before the whole source is in the buffer: a pipe of the kernel could not hold it.
  @Test func `a burst does not wait for the sink`() throws {
    let directory = try TemporaryDirectory()
    let run = try shell(
      """
      mkfifo go
      { head -c 8000000 /dev/zero; echo sent >go; } | $splice - exec:'cat go >/dev/null; cat >sink' --buffer 16M
      """, in: directory)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try directory.contents("sink") == [UInt8](repeating: 0, count: 8_000_000))
  }

  @Test func `a buffer in front of several sinks`() throws {
    let directory = try TemporaryDirectory()
    let content = bytes(3_000_000, seed: 23)
    try directory.write("source", content)
    let run = try shell(
      "cat source | $splice - a b --skip-slow c --buffer 1M --align 188 --stats json --explain", in: directory
    )
    #expect(run.status == 0, "\(run.errors)")
    #expect(try directory.contents("a") == content)
    #expect(try directory.contents("b") == content)
    #expect(run.errors.contains("read 3000000 bytes by copy (through the buffer)"))
    let failing = try shell("$splice exec:'cat source; exit 3' a b --buffer 64K --force", in: directory)
    #expect(failing.status == 74 && failing.errors.contains("run: ended with status 3"))
    #expect(try directory.contents("b") == content)
  }

  @Test func `what stops an end is said, and what was read is counted`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("source", bytes(3_000_000))
    let full = try shell("$splice source /dev/full --buffer 1M", in: directory)
    #expect(full.status == 74)
    #expect(full.errors == "splice: /dev/full: write: No space left on device\n")
    let gone = try shell("$splice source exec:'head -c 10 >/dev/null' --buffer 1M", in: directory)
    #expect(gone.status == 74)
    #expect(gone.errors.contains("write: Broken pipe"))
    // A source that fails: its bytes arrive before the failure is told.
    let failing = try shell(
      "$splice exec:'head -c 100000 /dev/zero; exit 3' sink --buffer 1M", in: directory)
    #expect(failing.status == 74)
    #expect(try directory.contents("sink").count == 100_000)
    // What was read and not delivered is the file's still.
    let rest = try shell(
      "{ $splice - exec:'head -c 10 >/dev/null' --buffer 64K; wc -c; } <source 2>errors", in: directory)
    let left = Int(String(decoding: rest.output, as: UTF8.self).filter(\.isNumber)) ?? 0
    #expect(left > 0 && left < 3_000_000)
  }

  @Test func `the progress line says how full it is`() throws {
    let directory = try TemporaryDirectory()
    #expect(mkfifo("\(directory.path)/go", 0o600) == 0)
    // A sink that takes nothing more until the line was seen.
    let running = try Running(
      try product("splice"),
      [
        "zero:", "exec:head -c 1000000 >/dev/null; read x <go; cat >/dev/null", "--limit", "8M",
        "--buffer", "1M", "--progress", "always",
      ], directory: directory.path)
    let said = running.waitForErrors(containing: "buffer 100%")
    #expect(said.contains("buffer 100%"))
    try directory.write("go", Array("go\n".utf8))
    #expect(running.wait().status == 0)
  }

  /// What is not used costs nothing: the largest one fits into little memory.
  @Test func `a buffer takes memory for what is in it`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("source", bytes(3_000_000))
    let run = try shell(
      "ulimit -v 2000000; $splice source sink --buffer 1T && cmp source sink", in: directory)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func `a buffer that makes no sense is refused`() throws {
    for words in [
      ["--buffer", "0"], ["--buffer", "2T"], ["--buffer", "1M", "--via", "splice"], ["--buffer", "x"],
    ] {
      let run = try shell("$splice /dev/null - \(words.joined(separator: " "))")
      #expect(run.status == 64)
      #expect(run.errors.contains("--buffer"))
    }
  }

  @Test func `a pace and a limit hold with a buffer`() throws {
    let run = try splice(
      "zero:", "null:", "--buffer", "1M", "--limit", "3M", "--rate-limit", "6M", "--stats", "json")
    #expect(run.status == 0)
    #expect(run.errors.contains(#""delivered":3145728"#))
    let seconds = try #require(run.errors.firstMatch(of: /"seconds":([0-9.]+)/)?.1)
    // A twentieth of a second is given at once.
    #expect(try #require(Double(seconds)) >= 0.4)
  }
}
