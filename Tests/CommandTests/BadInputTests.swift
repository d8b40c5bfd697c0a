// Bad input and faults: a clear line, the right status, nothing lost.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct BadInputTests {
  let here: TemporaryDirectory
  let content = bytes(3_000_001)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  @Test func `without a word it says how to go on`() throws {
    let run = try splice()
    #expect(run.status == 64 && run.output.isEmpty)
    #expect(
      run.errorLines.count <= 7
        && run.errors.hasPrefix("splice: nothing to move\nusage: splice SOURCE SINK...\n"))
    // The examples are those of the help.
    let help = try splice("--help").text
    for line in run.errorLines[2...5] { #expect(help.contains(line)) }
  }

  @Test func permissions() throws {
    // Also as root, who may read everything: the command is run by nobody then.
    let line = """
      cp $splice tool; chmod 755 . tool; touch b; chmod 000 a b; mkdir d; chmod 555 d
      run() { if [ $(id -u) = 0 ]; then setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; else "$@"; fi; }
      run ./tool a -; echo $?; run ./tool null: b; echo $?; run ./tool null: d/x; echo $?; chmod 644 a
      """
    let run = try shell(line, in: here)
    #expect(run.text == "66\n73\n73\n")
    #expect(
      run.errorLines == ["a", "b", "d/x"].map { "splice: \($0): open: Permission denied" }, "\(run.errors)")
  }

  @Test func `names and ports`() throws {
    let unknown = try splice("tcp:no.such.host.invalid:1", "-")
    #expect(unknown.status == 66 && unknown.errors.hasPrefix("splice: tcp:no.such.host.invalid:1: resolve: "))
    let first = try Running(try product("splice"), ["tcp-listen:0", "-", "--explain"])
    let number = try port(first)
    let taken = try splice("tcp-listen:\(number)", "-")
    #expect(
      taken.status == 66 && taken.errors == "splice: tcp-listen:\(number): listen: Address already in use\n")
    #expect(try splice("null:", "tcp-listen:\(number)").status == 73)
    first.send(SIGTERM)
    #expect(first.wait().status == 143)
    try here.write("s", [])
    let there = try splice("unix-listen:\(here.path)/s", "-")
    #expect(there.status == 66 && there.errors.hasSuffix("listen: Address already in use\n"))
    // It was not ours, and is there still.
    #expect(FileManager.default.fileExists(atPath: "\(here.path)/s"))
  }

  @Test func `files of the kernel are copied as they are read`() throws {
    for file in [
      "/proc/self/mounts", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/cpuinfo",
    ] {
      let run = try shell(
        "$splice \(file) b && $splice \(file) - | cmp - b && cat \(file) | wc -c | cmp - <(wc -c < b)",
        in: here)
      #expect(run.status == 0, "\(file): \(run.errors)")
      #expect(try !here.contents("b").isEmpty)
    }
  }

  @Test func `limits on the process are reported`() throws {
    let large = try shell("ulimit -f 1000; $splice a b; echo $?; stat -c %s b", in: here)
    #expect(large.text == "74\n1024000\n" && large.errors == "splice: b: write: File too large\n")
    #expect(try here.contents("b") == Array(content[..<1_024_000]))
    let many = try shell(
      "for n in 3 4 5 6 7; do (ulimit -n $n; $splice a - | cat > b; echo ${PIPESTATUS[0]}); done", in: here)
    #expect(many.text.split(separator: "\n").last == "0" || many.errors.contains("Too many open files"))
    for line in many.errorLines where line.hasPrefix("splice:") {
      #expect(line.hasSuffix(": Too many open files"), "\(line)")
    }
    #expect(
      many.text.split(separator: "\n").allSatisfy { ["0", "66", "70", "73", "74"].contains($0) },
      "\(many.text)")
  }

  @Test func `sinks that go away are reported`() throws {
    try passes("bad_input/sinks_that_go_away_are_reported")
    let quits = try shell(
      "$splice zero: - --stats json | head -c 100000 >/dev/null; echo ${PIPESTATUS[0]}", in: here)
    #expect(
      quits.text == "141\n" && quits.errors.contains("\"error\":{\"act\":\"write\",\"errno\":\"EPIPE\""))
  }

  @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
  func `signals in the middle lose nothing`(_ signal: Int32, _ status: Int32) throws {
    // Stopped, gone on with, and ended: what it says is what has arrived.
    let running = try Running(
      try product("splice"), ["a", "b", "--rate-limit", "100K", "--stats", "json", "--progress", "always"],
      directory: here.path)
    _ = running.waitForErrors(containing: "KiB/s")
    running.send(SIGSTOP)
    running.send(SIGCONT)
    running.send(signal)
    let run = running.wait()
    #expect(run.status == status)
    let report = try stats(run)
    let arrived = try here.contents("b")
    #expect(report["received"] as? Int == arrived.count && !arrived.isEmpty && content.starts(with: arrived))
    #expect(((report["sinks"] as? [[String: Any]])?.first)?["delivered"] as? Int == arrived.count)
  }

  @Test(arguments: [1, 38])
  func `in a sandbox without splice, tee, copy_file_range and sendfile the bytes are copied`(
    _ errno: Int
  ) throws {
    _ = try shell("truncate -s 1M holes; cat a >> holes; truncate -s 9M holes", in: here)
    try passes(
      "bad_input/in_a_sandbox_without_splice_tee_copy_file_range_and_sendfile_the_bytes_are_copied",
      "\(errno)", in: here)
  }

  /// Beyond `pipe-user-pages-soft` pipes have two slots and do not grow. That is slower, and nothing else.
  @Test func `an unprivileged user beyond the page budget loses nothing`() throws {
    try passes("bad_input/an_unprivileged_user_beyond_the_page_budget_loses_nothing")
  }
}
