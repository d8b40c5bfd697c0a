// From file to file: holes, offsets, resuming, and disks.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct FileTests {
  let here: TemporaryDirectory
  let content = bytes(3_000_001)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
    // Data in the middle, at odd places, and a hole at either end.
    let made = try shell(
      "truncate -s 20M holes; dd if=a of=holes bs=1 seek=5000001 count=200000 conv=notrunc status=none",
      in: here)
    #expect(made.status == 0)
  }

  private func blocks(_ name: String) throws -> Int {
    try #require(Int(try shell("stat -c %b \(name)", in: here).text.filter(\.isNumber)))
  }

  @Test(arguments: ["auto", "splice", "copy"], [".", "/dev/shm"])
  func `holes stay holes`(_ via: String, _ directory: String) throws {
    let other = directory == "." ? "\(here.path)/b" : "/dev/shm/splice-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: other) }
    let run = try shell("$splice holes \(other) --via \(via) --stats json && cmp holes \(other)", in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try blocks(other) <= 512)
    let report = try stats(run)
    #expect(report["received"] as? Int == 20 << 20)
    let paths = try #require((report["source"] as? [String: Any])?["paths"] as? [String: Int])
    #expect(try #require(paths["hole"]) > 19 << 20)
    #expect(paths.values.reduce(0, +) == 20 << 20)
  }

  /// The pipe is made where nothing else will do.
  @Test func `files are copied without a pipe`() throws {
    try passes("file/files_are_copied_without_a_pipe", in: here)
  }

  @Test func `a hole removes what was there`() throws {
    // Written into a file that is not truncated.
    #expect(
      try shell("head -c 30M /dev/urandom > b; cp b c; $splice holes b --sink-offset 1M", in: here).status
        == 0)
    let expected = try shell(
      "cmp -n $((1 << 20)) b c && cmp -i $((1 << 20)):0 -n $((20 << 20)) b holes && cmp -i $((21 << 20)) b c",
      in: here)
    #expect(expected.status == 0, "\(expected.text)")
  }

  @Test func `offsets, limits and places`() throws {
    #expect(try shell("$splice a - --offset 1K --limit 2K", in: here).output == Array(content[1024..<3072]))
    #expect(try shell("$splice a - --offset 100M", in: here).output.isEmpty)
    #expect(try shell("$splice - - --offset 1K < a", in: here).output == Array(content[1024...]))
    // It counts from where the descriptor stands.
    #expect(
      try shell("{ head -c 10 >/dev/null; $splice - - --offset 5 --limit 7; } < <(cat a) | cat", in: here)
        .output.isEmpty)
    #expect(
      try shell(
        "{ dd bs=10 count=1 of=/dev/null status=none; $splice - - --offset 5 --limit 7; } < a", in: here
      ).output
        == Array(content[15..<22]))
    try here.write("b", [UInt8](repeating: 7, count: 100))
    #expect(try shell("$splice a b --sink-offset 10 --limit 20", in: here).status == 0)
    #expect(
      try here.contents("b") == [UInt8](repeating: 7, count: 10) + content[..<20]
        + [UInt8](repeating: 7, count: 70))
    #expect(try shell("{ printf 123; $splice a - --limit 5; printf 456; } > b", in: here).status == 0)
    #expect(try here.contents("b") == Array("123".utf8) + content[..<5] + Array("456".utf8))
    // Both offsets on two shared files at once.
    #expect(
      try shell("{ $splice fd:5 fd:6 --limit 100; $splice fd:5 fd:6 --limit 100; } 5<a 6>b", in: here).status
        == 0)
    #expect(try here.contents("b") == Array(content[..<200]))
  }

  @Test func `sinks and sources without offsets`() throws {
    for line in [
      "cat a | $splice - null: --offset 5", "$splice tcp:localhost:9 - --offset 5",
      "$splice a tcp:localhost:9 --sink-offset 5",
      "$splice a - --sink-offset 5 | cat", "$splice a append:b --sink-offset 5",
      "$splice a - --sink-offset 5 >> b",
      "$splice exec:true - --offset 1", "mkfifo f; $splice f - --offset 1", "$splice a f --sync",
      "$splice a null: --sync",
      "$splice a - --resume", "cat a | $splice - b --resume", "$splice a b --resume --sink-offset 3",
    ] {
      let run = try shell(
        "timeout 10 bash -o pipefail -c '" + line.replacingOccurrences(of: "$splice", with: "\"$0\"")
          + "' $splice", in: here)
      #expect(run.status == 64, "\(line): \(run.status) \(run.errors)")
      #expect(!run.errors.isEmpty)
    }
  }

  @Test func `a copy is resumed`() throws {
    for line in ["head -c 1000000 a > b", "rm b", ": > b", "cp a b"] {
      #expect(try shell("\(line); $splice a b --resume", in: here).status == 0)
      #expect(try here.contents("b") == content, "\(line)")
    }
    #expect(try shell("$splice a b --limit 1M; $splice a b --resume --limit 2M", in: here).status == 0)
    #expect(try here.contents("b") == Array(content[..<(2 << 20)]))
    // With an offset, what is there already is counted from it.
    #expect(
      try shell("$splice a b --offset 1M --limit 5; $splice a b --offset 1M --resume", in: here).status == 0)
    #expect(try here.contents("b") == Array(content[(1 << 20)...]))
    try here.write("b", bytes(4_000_000))
    let longer = try shell("$splice a b --resume", in: here)
    #expect(
      longer.status == 64
        && longer.errors == "splice: b: resume: the sink is longer than what is to be copied\n")
    #expect(try here.contents("b") == bytes(4_000_000))
  }

  @Test(arguments: ["a", "holes"], ["auto", "splice", "copy"])
  func `a copy is resumed after a kill`(_ name: String, _ via: String) throws {
    // Killed whenever something has been added, it gets to the end.
    var kills = 0
    func size() -> Int {
      var status = stat()
      return stat("\(here.path)/b", &status) == 0 ? Int(status.st_size) : 0
    }
    while kills < 200 {
      let before = size()
      let running = try Running(
        try product("splice"),
        [name, "b", "--resume", "--via", via, "--rate-limit", name == "a" ? "1M" : "100K"],
        directory: here.path)
      try waitUntil("something was added") { !running.isRunning || size() != before }
      running.send(SIGKILL)
      let ended = running.wait()
      if ended.signal == nil {
        #expect(ended.status == 0, "\(ended.errors)")
        if kills > 0 { break }
        // It had finished before we looked: once more, from the beginning.
        #expect(unlink("\(here.path)/b") == 0)
        continue
      }
      kills += 1
      // Never longer than what has been copied: what is there is right.
      guard try shell("cmp -n $(stat -c %s b) b \(name)", in: here).status == 0 else {
        Issue.record("longer than what has been copied")
        return
      }
    }
    #expect(kills > 0)
    #expect(try shell("cmp b \(name)", in: here).status == 0)
  }

  @Test func `reflinks, where the file system has them`() throws {
    // Asked for first, and refused here or not, it is one of the ways of the kernel that ran.
    let run = try shell("$splice a b --explain", in: here)
    #expect(
      run.errors.contains("a: read 3000001 bytes by copy_file_range") || run.errors.contains("by reflink"))
  }

  @Test func `a copy is on disk when it has ended`() throws {
    let calls = try shell(
      "strace -f -qq -e trace=fsync -o trace $splice a b --sync && cat trace", in: here)
    // The file, and the directory its name is new in.
    #expect(calls.status == 0 && calls.text.split(separator: "\n").count == 2, "\(calls.text)")
    let failing = try shell(
      "strace -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO $splice a b --sync", in: here)
    #expect(failing.status == 74 && failing.errors == "splice: b: sync: Input/output error\n")
  }

  @Test func `a disk that is full half-way`() throws {
    // A disk with room for 1 MiB: what arrived is counted, and the rest goes on when there is more.
    let run = try shell(
      """
      mkdir m; cat > script <<'X'
      mount -t tmpfs -o size=10M none m || exit 99
      head -c 9M /dev/zero > m/filler
      $1 a m/b --stats json 2> errors; echo $? $(stat -c %s m/b)
      cmp -n $(stat -c %s m/b) a m/b || exit 98
      rm m/filler
      $1 a m/b --resume && cmp a m/b
      X
      unshare -rm bash script $splice
      """, in: here)
    #expect(run.status == 0, "\(run.text)\(run.errors)")
    let words = run.text.split(whereSeparator: \.isWhitespace)
    #expect(words.first == "74")
    let errors = String(decoding: try here.contents("errors"), as: UTF8.self)
    #expect(errors.hasPrefix("splice: m/b: write: No space left on device\n"))
    #expect(errors.contains("\"delivered\":\(words.last ?? "")"), "\(errors)")
  }

  @Test func `no clobber writes no file that another command has made`() throws {
    try passes("file/no_clobber_writes_no_file_that_another_command_has_made", in: TemporaryDirectory())
  }

  @Test func `a file that fits a pipe ends well, whatever the reader does`() throws {
    try passes("file/a_file_that_fits_a_pipe_ends_well_whatever_the_reader_does", in: TemporaryDirectory())
  }
}
