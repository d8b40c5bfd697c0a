// Progress that people like: what the line says, when it is drawn, and that the terminal is left clean.

import Foundation
import Splice
import TestSupport
import Testing

@testable import SpliceCommand

@Suite(.mayBlock) struct ProgressTests {
  @Test func `the progress line fits its width`() {
    func line(
      _ moved: UInt64, of total: UInt64?, _ columns: Int, seconds: Int64 = 4, recent: Double = 105e6
    ) -> String {
      ProgressLine(moved: moved, total: total, elapsed: .seconds(seconds), recent: recent, average: 100e6)
        .text(columns: columns)
    }
    #expect(line(440_401_920, of: nil, 80) == " 420MiB 0:00:04 [ 100MiB/s] [95.4MiB/s avg]")
    #expect(
      line(440_401_920, of: 1 << 30, 80)
        == " 420MiB 0:00:04 [ 100MiB/s] [95.4MiB/s avg] [=======>          ] 41% ETA 0:00:07")
    #expect(
      line(1 << 30, of: 1 << 30, 70)
        == "1.00GiB 0:00:04 [ 100MiB/s] [95.4MiB/s avg] [===================] 100%")
    // Without room for a bar it has none, and nothing is ever wider than the terminal.
    #expect(
      line(440_401_920, of: 1 << 30, 64) == " 420MiB 0:00:04 [ 100MiB/s] [95.4MiB/s avg] 41% ETA 0:00:07")
    // The percentage and the time left stay longest.
    #expect(line(440_401_920, of: 1 << 30, 40) == " 420MiB [ 100MiB/s] 41% ETA 0:00:07")
    #expect(line(440_401_920, of: 1 << 30, 24) == " 420MiB 41% ETA 0:00:07")
    #expect(line(440_401_920, of: nil, 40) == " 420MiB 0:00:04 [ 100MiB/s]")
    // However long it may take.
    #expect(line(1, of: UInt64(Int64.max), 60).hasSuffix(" 0% ETA 8760:00:00"))
    // Nothing moves, and so there is no telling.
    #expect(line(440_401_920, of: 1 << 30, 40, recent: 0) == " 420MiB [   0B/s] 41% ETA -:--:--")
    for columns in 0...200 {
      #expect(line(5 << 30, of: 6 << 30, columns, seconds: 90_000).count <= columns)
    }
    // More than was promised, and nothing yet.
    #expect(line(3 << 30, of: 1 << 30, 50).hasSuffix("100%"))
    #expect(line(0, of: 0, 80) == "   0B 0:00:04 [ 100MiB/s] [95.4MiB/s avg]")
  }

  @Test(arguments: [
    (0.0, "   0B"), (999, " 999B"), (1000, "0.98KiB"), (1023, "1.00KiB"), (10_230, "9.99KiB"),
    (10_240, "10.0KiB"),
    (1_023_000, " 999KiB"), (10_736_344_498, "10.0GiB"), (1.8e19, "15.6EiB"),
  ])
  func `sizes are written with their unit`(_ count: Double, _ text: String) {
    #expect(ProgressLine.bytes(count) == text)
  }

  @Test(arguments: [
    ("4096", 4096), ("0", 0), ("1k", 1024), ("64K", 65536), ("1.5K", 1536), ("1KiB", 1024), ("2MiB", 2 << 20),
    ("1kB", 1000),
    ("1MB", 1_000_000), ("1.25GB", 1_250_000_000), ("2t", 2 << 40), ("0.1K", 102),
  ])
  func `sizes are read as people write them`(_ word: String, _ bytes: UInt64) {
    #expect(Size(argument: word)?.bytes == bytes)
  }

  @Test(arguments: [
    "", "K", "1.5", "1.K", ".5K", "1..5K", "-1", "+1", "1 K", "1KK", "1KiBB", "1iB", "0x10", "1e3",
    "8388608T", "99999999999999999999",
    "1.0000000001K", "\u{0663}",
  ])
  func `what is no size is refused`(_ word: String) { #expect(Size(argument: word) == nil) }

  @Test func `times are written and read`() {
    #expect(ProgressLine.clock(0) == "0:00:00" && ProgressLine.clock(3661) == "1:01:01")
    #expect(
      Span(argument: "250ms")?.duration == .milliseconds(250)
        && Span(argument: "2h")?.duration == .seconds(7200))
    #expect(
      Span(argument: "5")?.duration == .seconds(5) && Span(argument: "1.5s")?.duration == .milliseconds(1500))
    for word in ["", "0", "0s", "s", "-1s", "1.s", ".5s", "1..5s", "1 s", "1d", "0.0001s", "99999999999999h"]
    {
      #expect(Span(argument: word) == nil)
    }
  }

  /// Runs the command on a terminal of so many columns, and gives what was drawn there and the seconds it
  /// took. Its standard input is a pipe that the test in Python writes to.
  private func onTerminal(
    _ words: [String], columns: Int, _ test: String = "progress/on_a_terminal", terminal: String = "xterm"
  ) throws -> (text: String, took: Double) {
    let run = try python(test, ["\(columns)", terminal] + words)
    #expect(run.status == 0, "\(run.errors)")
    let parts = run.text.split(separator: "\n", maxSplits: 1)
    return (String(try #require(parts.last)), try #require(parts.first.flatMap { Double($0) }))
  }

  @Test func `on a terminal the line is drawn again and again`() throws {
    // Drawn calmly, never wider than the terminal, also after it was made smaller.
    let (text, took) = try onTerminal(
      ["-", "null:", "--limit", "1M"], columns: 70,
      "progress/on_a_terminal_that_is_made_smaller")
    #expect(text.hasPrefix("0 "))
    let drawn = text.dropFirst(2).split(separator: "\r").filter { $0 != "\n" }
    #expect(drawn.count >= 3 && Double(drawn.count) <= took / 0.5 + 1, "\(drawn) \(took)")
    for line in drawn {
      #expect(line.contains("\u{1b}[K") && line.replacing("\u{1b}[K", with: "").count < 70)
    }
    #expect(text.hasSuffix("\u{1b}[K\r\n"))
    let last = try #require(drawn.last)
    #expect(last.hasPrefix("1.00MiB") && last.count < 45)
    // Data on the same terminal is left alone.
    let data = try onTerminal(["zero:", "-", "--limit", "6K", "--rate-limit", "10K"], columns: 80).text
    #expect(data.utf8.count == 2 + (6 << 10) && !data.contains("KiB"))
    // A copy of a moment says nothing.
    let moment = try onTerminal(["zero:", "null:", "--limit", "1M"], columns: 80)
    #expect(moment.text == "0 " || moment.took > 0.5)
    #expect(
      try onTerminal(
        ["zero:", "null:", "--limit", "8M", "--rate-limit", "10M", "--progress", "never"], columns: 80
      ).text == "0 ")
  }

  @Test func `a size that is told gives a percentage, and a stall shows`() throws {
    let text = try onTerminal(
      ["-", "null:", "--limit", "1M", "--total", "1M"], columns: 60,
      "progress/on_a_terminal_until_a_stall_was_drawn"
    ).text
    #expect(text.contains("100%\u{1b}[K\r\n"), "\(text)")
  }

  @Test func `a terminal that cannot draw gets plain lines`() throws {
    let text = try onTerminal(
      ["-", "null:", "--limit", "8K", "--total", "8K"], columns: 80,
      "progress/on_a_terminal_until_half_was_said",
      terminal: "dumb"
    ).text
    #expect(!text.contains("\u{1b}") && text.dropFirst(2).hasPrefix("4.00KiB") && text.hasSuffix(" 100%\r\n"))
  }

  @Test func `a terminal that is not read holds nothing up`() throws {
    try passes("progress/a_terminal_that_is_not_read_holds_nothing_up")
  }

  @Test func `the master of a terminal as standard error gets what is said`() throws {
    try passes("progress/the_master_of_a_terminal_as_standard_error_gets_what_is_said")
  }

  /// What has moved is drawn until the end, and is never less than before.
  @Test func `when all sinks have failed, what has moved is still drawn`() throws {
    let text = try onTerminal(
      ["zero:", "exec:head -c 4M", "exec:head -c 4M", "--rate-limit", "1M"].map {
        $0.hasPrefix("exec:") ? "\($0) > /dev/null" : $0
      }, columns: 80
    ).text
    #expect(text.hasPrefix("74 "), "\(text)")
    let last = try #require(text.components(separatedBy: "\u{1b}[2A").last)
    #expect(!last.hasPrefix("   0B"), "\(text)")
  }

  /// Both have the same terminal as their standard error. The second draws once the first has ended.
  @Test func `of two commands on one terminal one draws at a time`() throws {
    try passes("progress/of_two_commands_on_one_terminal_one_draws_at_a_time")
  }

  @Test func `an interrupted copy leaves the terminal clean`() throws {
    let text = try onTerminal(
      ["zero:", "null:", "--rate-limit", "10M", "--stats", "text"], columns: 70,
      "progress/on_a_terminal_that_interrupts"
    ).text
    // The line is left in place, and what follows begins on one of its own.
    #expect(text.hasPrefix("130 ") && text.contains("\u{1b}[K\r\nsplice: "))
    #expect(text.hasSuffix(" s\r\n"))
  }

  @Test func `several sinks have a line each`() throws {
    var fared = FanOut.Counters()
    #expect(SinkLine(word: "b", fared: fared).text(columns: 80) == "   0B b")
    #expect(SinkLine(word: "b", fared: fared, hasFailed: true).text(columns: 80) == "   0B b, failed")
    fared = FanOut.Counters(delivered: 5 << 20, skipped: 1 << 30, lag: 300 << 10)
    let line = SinkLine(word: "tcp:host:9000", fared: fared)
    #expect(line.text(columns: 80) == "5.00MiB tcp:host:9000, 300KiB behind, missed 1.00GiB")
    #expect(line.text(columns: 20) == "5.00MiB tcp:host:900")
    // Drawn again over themselves: two lines up for two sinks.
    let text = try onTerminal(
      ["-", "null:", "/dev/zero", "--limit", "6M"], columns: 80,
      "progress/on_a_terminal_until_all_was_drawn_anew"
    ).text
    #expect(text.contains("\r\u{1b}[2A"))
    let last = text.components(separatedBy: "\u{1b}[2A").last ?? ""
    #expect(
      last.hasPrefix("6.00MiB ") && last.contains("6.00MiB null:") && last.contains("6.00MiB /dev/zero"))
    let always = try splice("zero:", "null:", "/dev/zero", "--limit", "4M", "--progress", "always")
    #expect(always.errorLines.suffix(2) == ["4.00MiB null:", "4.00MiB /dev/zero"])
  }

  @Test func `without a terminal there is no line unless it is asked for`() throws {
    #expect(try splice("zero:", "null:", "--limit", "8M", "--rate-limit", "10M").errors.isEmpty)
    let feed = Foundation.Pipe()
    let slow = try Running(
      try product("splice"), ["-", "null:", "--limit", "8K", "--progress", "always"],
      input: feed.fileHandleForReading)
    _ = slow.waitForErrors(containing: "\n")
    try feed.fileHandleForWriting.write(contentsOf: Data(count: 8 << 10))
    let always = slow.wait()
    #expect(
      always.errorLines.count >= 2 && !always.errors.contains("\r") && !always.errors.contains("\u{1b}"))
    #expect(always.errorLines.last?.hasPrefix("8.00KiB") == true)
  }

  @Test func `SIGUSR1 asks for the progress`() throws {
    // Wherever standard error goes, once for each time; and nothing is lost by it.
    let running = try Running(
      try product("splice"), ["zero:", "-", "--limit", "2G"],
      output: FileHandle(forWritingAtPath: "/dev/null"))
    try waitUntil("a handler") { running.handles(SIGUSR1) }
    running.send(SIGUSR1)
    let run = running.wait()
    #expect(run.status == 0 && run.errorLines.count <= 1)
    let feed = Foundation.Pipe()
    let slow = try Running(
      try product("splice"), ["-", "-", "--limit", "40K"], input: feed.fileHandleForReading)
    for count in [10, 20] {
      try feed.fileHandleForWriting.write(contentsOf: Data(count: 10 << 10))
      try waitUntil("it moves") { slow.said.utf8.count >= count << 10 }
      slow.send(SIGUSR1)
      #expect(slow.waitForErrors(containing: "\(count).0KiB 0:").contains("/s avg]"))
    }
    try feed.fileHandleForWriting.write(contentsOf: Data(count: 20 << 10))
    let ended = slow.wait()
    #expect(
      ended.status == 0 && ended.output.count == 40 << 10 && ended.errorLines.count == 2, "\(ended.errors)")
  }

  @Test func `a quiet command says errors only`() throws {
    let directory = try TemporaryDirectory()
    try directory.write("a", bytes(10))
    let loud = try splice("a", "null:", "--offset", "20", directory: directory.path)
    #expect(loud.status == 0 && loud.errors.contains("past the end"))
    #expect(try splice("a", "null:", "--offset", "20", "-q", directory: directory.path).errors.isEmpty)
    #expect(
      try onTerminal(["zero:", "null:", "--limit", "8M", "--rate-limit", "10M", "--quiet"], columns: 80).text
        == "0 ")
    #expect(try splice("nope", "null:", "-q").errors == "splice: nope: open: No such file or directory\n")
    #expect(try splice("a", "null:", "-q", "--progress", "always").status == 64)
  }

  @Test func `the rate is kept, and the bytes are still spliced`() throws {
    let began = ContinuousClock.now
    let run = try splice("zero:", "null:", "--limit", "10M", "--rate-limit", "5M", "--stats", "json")
    let took = ContinuousClock.now - began
    // The first share of a twentieth of a second comes at once.
    #expect(took > .seconds(1.9), "\(took)")
    let paths = try #require((try stats(run)["source"] as? [String: Any])?["paths"] as? [String: Int])
    #expect(try #require(paths["splice"]) > 10 << 20 - 64 << 10)
  }
}
