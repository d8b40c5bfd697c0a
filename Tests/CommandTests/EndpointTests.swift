// Every endpoint, and the rules of opening them.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct EndpointTests {
  let here: TemporaryDirectory
  let content = bytes(300_001)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  @Test func `append creates and appends`() throws {
    #expect(try shell("$splice a append:b && $splice a append:b --explain", in: here).status == 0)
    #expect(try here.contents("b") == content + content)
    let refused = try shell("$splice append:b -", in: here)
    #expect(refused.status == 64 && refused.errors.contains("is a sink, not a source"))
    #expect(try shell("$splice a append:a", in: here).status == 73)
    #expect(try here.contents("a") == content)
  }

  @Test func `inherited descriptors`() throws {
    #expect(try shell("$splice fd:5 fd:7 5<a 7>b", in: here).status == 0)
    #expect(try here.contents("b") == content)
    // Behind the last byte, for those who share it; and appended where that was asked for.
    let row = try shell(
      "{ $splice fd:5 - --limit 1000; $splice fd:5 - --offset 10 --limit 5; cat <&5; } 5<a | cmp - <(cat a)",
      in: here)
    #expect(row.status == 1)
    let exact = try shell(
      "{ $splice fd:5 - --limit 1000; $splice fd:5 null: --limit 10; cat <&5; } 5<a", in: here)
    #expect(exact.output == Array(content[..<1000] + content[1010...]))
    #expect(try shell("$splice a fd:7 7>>b && $splice a fd:7 7>>b", in: here).status == 0)
    #expect(try here.contents("b") == content + content + content)
    // 3 is our own by the time it is looked for, and was nobody's when we began.
    for (line, status) in [
      ("$splice fd:3 - 3<&-", 66), ("$splice a fd:3 3<&-", 73), ("$splice fd:9 - 9>x", 66),
      ("$splice a fd:9 9<a", 73),
    ] {
      let run = try shell(line, in: here)
      #expect(run.status == status, "\(line)")
      #expect(run.errors.hasSuffix("open: Bad file descriptor\n"), "\(run.errors)")
    }
  }

  @Test func programs() throws {
    #expect(try shell("$splice exec:'cat a' exec:'cat > b'", in: here).status == 0)
    #expect(try here.contents("b") == content)
    // Its own end is what counts, except by SIGPIPE once we have stopped reading.
    #expect(try shell("$splice exec:yes null: --limit 1M", in: here).status == 0)
    for (line, message) in [
      ("$splice exec:'cat a; exit 3' null:", "splice: exec:cat a; exit 3: run: ended with status 3\n"),
      ("$splice exec:'kill -9 $$' null:", "splice: exec:kill -9 $$: run: ended by signal 9\n"),
      (
        "$splice a exec:'cat >/dev/null; exit 4'",
        "splice: exec:cat >/dev/null; exit 4: run: ended with status 4\n"
      ),
    ] {
      let run = try shell(line, in: here)
      #expect(run.status == 74 && run.errors == message, "\(run.errors)")
    }
    // One that does not read on is a sink that went away, whatever status it ends with.
    let early = try shell("$splice zero: exec:true", in: here)
    #expect(early.status == 74 && early.errors == "splice: exec:true: write: Broken pipe\n")
  }

  @Test func `programs get default signals, and no descriptors of splice`() throws {
    let run = try shell(
      "trap '' PIPE USR1; $splice exec:'grep -E \"Sig(Ign|Blk)\" /proc/self/status; ls /proc/self/fd | wc -l' -; ls /proc/self/fd | wc -l",
      in: here)
    // The two above the first 31 are the C library's own.
    for line in run.text.split(separator: "\n").prefix(2) {
      let signals = try #require(UInt64(line.suffix(16), radix: 16))
      #expect(signals & 0x7fff_ffff == 0, "\(line)")
    }
    // As many as without us.
    let lines = run.text.split(separator: "\n")
    #expect(lines.count == 4 && lines[2] == lines[3], "\(run.text)")
  }

  @Test func `a signal reaches the program too`() throws {
    let running = try Running(
      try product("splice"), ["exec:echo $$; exec sleep 600", "-"], directory: here.path)
    try waitUntil("a word") { !running.said.isEmpty }
    let child = try #require(Int32(running.said.filter(\.isNumber)))
    running.send(SIGTERM)
    #expect(running.wait().status == 143)
    #expect(kill(child, 0) == -1)
  }

  @Test func `IPv6 addresses and abstract names`() throws {
    let listener = try Running(try product("splice"), ["tcp-listen:[::1]:0", "-", "--explain"])
    #expect(try splice("\(here.path)/a", "tcp:[::1]:\(try port(listener))").status == 0)
    #expect(listener.wait().output == content)
    // A name with several addresses: nobody listens on the first of them.
    let second = try Running(try product("splice"), ["tcp-listen:127.0.0.1:0", "-", "--explain"])
    #expect(try splice("\(here.path)/a", "tcp:localhost:\(try port(second))").status == 0)
    #expect(second.wait().output == content)
  }

  @Test func `endpoints that wait for a peer do so side by side`() throws {
    // The sink's peer comes first, and is welcome; the source's comes later.
    let both = try Running(
      try product("splice"), ["tcp-listen:0", "unix-listen:\(here.path)/s", "--explain"])
    _ = both.waitForErrors(containing: "unix-listen:\(here.path)/s: listening")
    let reader = try Running(try product("splice"), ["unix:\(here.path)/s", "-"])
    let number = try port(both)
    #expect(try splice("\(here.path)/a", "tcp:127.0.0.1:\(number)").status == 0)
    #expect(reader.wait().output == content)
    #expect(both.wait().status == 0)
    #expect(!FileManager.default.fileExists(atPath: "\(here.path)/s"))
    // The listeners went when their one peer had come.
    #expect(try splice("null:", "tcp:127.0.0.1:\(number)").status == 73)
  }

  @Test func `fifos may be on both sides`() throws {
    let run = try shell(
      "mkfifo in out; $splice in out & p=$!; cat out > b & cat a > in; wait $p; echo $?; wait", in: here)
    #expect(run.text == "0\n")
    #expect(try here.contents("b") == content)
    let waiting = try Running(try product("splice"), ["\(here.path)/in", "-"])
    try waitUntil("a handler") { waiting.handles(SIGINT) }
    waiting.send(SIGINT)
    #expect(waiting.wait().status == 130)
  }

  @Test func `nothing is changed before all are open`() throws {
    try here.write("b", bytes(10))
    for source in ["/no/such", "tcp:127.0.0.1:1", "fd:9", "."] {
      #expect(try shell("$splice \(source) b", in: here).status == 66)
      #expect(try here.contents("b") == bytes(10))
    }
    // The source is opened first, and its failure is the one that is told.
    #expect(
      try shell("$splice /no/such /no/such/either", in: here).errors.hasPrefix("splice: /no/such: open"))
  }

  @Test(arguments: ["b", "./b", "file:b", "link", "hard", "append:b"])
  func `source and sink are the same`(_ sink: String) throws {
    try here.write("b", content)
    let run = try shell(
      "ln -s b link; ln b hard; $splice b \(sink); s=$?; $splice - \(sink) <b || $splice b fd:7 7<>b || exit $s",
      in: here)
    #expect(run.status == 73)
    #expect(run.errors.contains("source and sink are the same file"))
    #expect(try here.contents("b") == content)
  }

  @Test func `given pipes are enlarged`() throws {
    let run = try shell(
      "cat a | { $splice - null: --limit 1; python3 -c 'import fcntl; print(fcntl.fcntl(0, 1032))'; }",
      in: here)
    #expect(run.text == "1048576\n")
  }

  @Test func `a socket sink is listened to until its end`() throws {
    // The peer greets, reads, and answers at the end: closed with that unread, the kernel would have thrown
    // bytes away.
    try passes("endpoint/a_socket_sink_is_listened_to_until_its_end", in: here)
  }

  @Test func `a truncated stream is reset, and never looks finished`() throws {
    try passes("endpoint/a_truncated_stream_is_reset_and_never_looks_finished", in: here)
  }

  @Test func `inherited descriptors may be non-blocking`() throws {
    // Sockets and terminals as well; the flag is as it was, also after a kill.
    try passes("endpoint/inherited_descriptors_may_be_non_blocking", in: here)
  }

  @Test func `one terminal is both ends`() throws {
    try passes("endpoint/one_terminal_is_both_ends")
  }

  @Test func `a fifo as standard input ends when its writer has left`() throws {
    let directory = try TemporaryDirectory()
    // The writer has left before the command begins, and what it wrote is still there.
    let run = try shell(
      "mkfifo f; exec 3<>f; printf hello >&3; exec 4<f; exec 3>&-; timeout 20 $splice - - <&4", in: directory)
    #expect(run.status == 0 && run.text == "hello", "\(run.status) \(run.errors)")
  }

  @Test func `the master of a terminal as standard input is that terminal`() throws {
    try passes("endpoint/the_master_of_a_terminal_as_standard_input_is_that_terminal")
  }

  @Test func `a message is taken whole or stays in its socket`() throws {
    try passes("endpoint/a_message_is_taken_whole_or_stays_in_its_socket", in: TemporaryDirectory())
  }
}
