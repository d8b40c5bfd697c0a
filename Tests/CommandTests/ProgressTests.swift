// Progress that people like: what the line says, when it is drawn, and that the terminal is left clean.

import Foundation
import Splice
import TestSupport
import Testing

@testable import SpliceCommand

@Suite(.mayBlock) struct ProgressTests {
  @Test func theLine() {
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
  func sizes(_ count: Double, _ text: String) { #expect(ProgressLine.bytes(count) == text) }

  @Test(arguments: [
    ("4096", 4096), ("0", 0), ("1k", 1024), ("64K", 65536), ("1.5K", 1536), ("1KiB", 1024), ("2MiB", 2 << 20),
    ("1kB", 1000),
    ("1MB", 1_000_000), ("1.25GB", 1_250_000_000), ("2t", 2 << 40), ("0.1K", 102),
  ])
  func sizesAsPeopleWriteThem(_ word: String, _ bytes: UInt64) {
    #expect(Size(argument: word)?.bytes == bytes)
  }

  @Test(arguments: [
    "", "K", "1.5", "1.K", ".5K", "1..5K", "-1", "+1", "1 K", "1KK", "1KiBB", "1iB", "0x10", "1e3",
    "8388608T", "99999999999999999999",
    "1.0000000001K", "\u{0663}",
  ])
  func sizesThatAreNone(_ word: String) { #expect(Size(argument: word) == nil) }

  @Test func times() {
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

  /// Runs the command on a terminal of so many columns, and gives what was drawn there and the seconds it took. Its standard input
  /// is a pipe that `feed` writes to.
  private func onTerminal(
    _ words: [String], columns: Int, _ meanwhile: String = "", terminal: String = "xterm"
  ) throws -> (text: String, took: Double) {
    let run = try inlinePython(
      """
      import fcntl, pty, signal, termios
      fed, feed = os.pipe()
      began = time.monotonic()
      pid, master = pty.fork()
      if pid == 0:
          os.dup2(fed, 0)
          os.environ['TERM'] = '\(terminal)'
          os.execv(splice, [splice] + \(words))
      os.close(fed)
      def resize(columns): fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
      resize(\(columns))
      before = termios.tcgetattr(master)
      got = b''
      def read():
          global got
          try: d = os.read(master, 10000)
          except OSError: d = b''
          got += d; return d
      \(meanwhile)
      while read(): pass
      check(termios.tcgetattr(master) == before)
      status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
      print(time.monotonic() - began); print(status, end=' ', flush=True)
      os.write(1, got)
      """)
    #expect(run.status == 0, "\(run.errors)")
    let parts = run.text.split(separator: "\n", maxSplits: 1)
    return (String(try #require(parts.last)), try #require(parts.first.flatMap { Double($0) }))
  }

  @Test func onATerminal() throws {
    // Drawn calmly, never wider than the terminal, also after it was made smaller.
    let (text, took) = try onTerminal(
      ["-", "null:", "--limit", "1M"], columns: 70,
      "os.write(feed, bytes(1000))\nwhile got.count(b'\\r') < 2: read()\nresize(40)\n"
        + "for count in [1000, (1 << 20) - 2000]: os.write(feed, bytes(count))")
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
      "os.write(feed, bytes(1 << 19))\nwhile not (b'[   0B/s]' in got and b'50% ETA -:--:--' in got): read()\nos.write(feed, bytes(1 << 19))"
    ).text
    #expect(text.contains("100%\u{1b}[K\r\n"), "\(text)")
  }

  @Test func `a terminal that cannot draw gets plain lines`() throws {
    let text = try onTerminal(
      ["-", "null:", "--limit", "8K", "--total", "8K"], columns: 80,
      "os.write(feed, bytes(4096))\nwhile b' 50%' not in got: read()\nos.write(feed, bytes(4096))",
      terminal: "dumb"
    ).text
    #expect(!text.contains("\u{1b}") && text.dropFirst(2).hasPrefix("4.00KiB") && text.hasSuffix(" 100%\r\n"))
  }

  /// Both have the same terminal as their standard error. The second draws once the first has ended.
  @Test func `of two commands on one terminal one draws at a time`() throws {
    let run = try python(
      """
      import pty
      master, terminal = pty.openpty()
      os.environ['TERM'] = 'xterm'
      got = b''
      def read():
          global got
          got += os.read(master, 10000)
      pipes = [os.pipe() for _ in range(2)]
      words = [[splice, '-', 'null:', '--limit', size, '--total', '100M'] for size in ('2M', '3M')]
      commands = []
      def begin():
          n = len(commands)
          commands.append(subprocess.Popen(words[n], stdin=pipes[n][0], stderr=terminal))
          os.write(pipes[n][1], bytes(999 + n * 1001))
      begin()
      while b'999B' not in got: read()
      begin()
      # It could have drawn twice while the first one did.
      count = got.count(b'\\r')
      while got.count(b'\\r') < count + 4: read()
      check(b'1.95KiB 0:' not in got, got)
      os.close(pipes[0][0]); os.write(pipes[0][1], bytes((2 << 20) - 999))
      check(commands[0].wait() == 0)
      while b'1.95KiB 0:' not in got: read()
      check(got.index(b'2.00MiB') < got.index(b'\\n') < got.index(b'1.95KiB 0:'), got)
      commands[1].kill(); commands[1].wait()
      """)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test func interruptedTheTerminalIsClean() throws {
    let text = try onTerminal(
      ["zero:", "null:", "--rate-limit", "10M", "--stats", "text"], columns: 70,
      "while b'MiB' not in got: read()\nos.kill(pid, signal.SIGINT)"
    ).text
    // The line is left in place, and what follows begins on one of its own.
    #expect(text.hasPrefix("130 ") && text.contains("\u{1b}[K\r\nsplice: "))
    #expect(text.hasSuffix(" s\r\n"))
  }

  @Test func severalSinksHaveALineEach() throws {
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
      "while got.count(b'\\x1b[2A') < 2: read()\nfor _ in range(6): os.write(feed, bytes(1 << 20))"
    ).text
    #expect(text.contains("\r\u{1b}[2A"))
    let last = text.components(separatedBy: "\u{1b}[2A").last ?? ""
    #expect(
      last.hasPrefix("6.00MiB ") && last.contains("6.00MiB null:") && last.contains("6.00MiB /dev/zero"))
    let always = try splice("zero:", "null:", "/dev/zero", "--limit", "4M", "--progress", "always")
    #expect(always.errorLines.suffix(2) == ["4.00MiB null:", "4.00MiB /dev/zero"])
  }

  @Test func whereThereIsNoTerminal() throws {
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

  @Test func asked() throws {
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

  @Test func theRateIsKeptAndItIsStillSpliced() throws {
    let began = ContinuousClock.now
    let run = try splice("zero:", "null:", "--limit", "10M", "--rate-limit", "5M", "--stats", "json")
    let took = ContinuousClock.now - began
    // The first share of a twentieth of a second comes at once.
    #expect(took > .seconds(1.9), "\(took)")
    let paths = try #require((try stats(run)["source"] as? [String: Any])?["paths"] as? [String: Int])
    #expect(try #require(paths["splice"]) > 10 << 20 - 64 << 10)
  }
}
