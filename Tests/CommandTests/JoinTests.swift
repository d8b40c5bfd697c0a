// `splice join`: both ways, ends passed on, nothing lost.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct JoinTests {
  let here: TemporaryDirectory
  let content = bytes(3_000_001)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  @Test func `a netcat in one line`() throws {
    try passes("join/a_netcat_in_one_line", in: here)
  }

  @Test func `a join between two listeners`() throws {
    try passes("join/a_join_between_two_listeners", in: here)
  }

  @Test func programs() throws {
    let run = try shell("$splice join - exec:'tr a-z A-Z' <<< hello", in: here)
    #expect(run.status == 0 && run.text == "HELLO\n", "\(run.errors)")
    let both = try shell("$splice join exec:'cat a; exec >&-; cat > b' exec:'cat > c; cat c'", in: here)
    #expect(both.status == 0, "\(both.errors)")
    #expect(try here.contents("b") == content && here.contents("c") == content)
    let failing = try shell("$splice join - exec:'cat; exit 3' < a > b", in: here)
    #expect(failing.status == 74 && failing.errors == "splice: exec:cat; exit 3: run: ended with status 3\n")
    #expect(try here.contents("b") == content)
  }

  /// A program or a server that answers and closes has ended, and nothing has failed.
  @Test(arguments: ["exec:head -1", "unix:server"])
  func `a peer that answers and closes has not failed`(_ other: String) throws {
    try passes("join/a_peer_that_answers_and_closes_has_not_failed", other, in: here)
  }

  /// What a program still says after it has stopped to listen arrives, and then that it did not listen is
  /// told.
  @Test(arguments: [true, false])
  func `what was said before leaving arrives`(_ isFirst: Bool) throws {
    try passes("join/what_was_said_before_leaving_arrives", "\(isFirst)", in: here)
  }

  /// A program that fails while it is sent something: what it said is no end, and the failure is its own.
  @Test(arguments: [true, false], ["exit 3", "kill -9 $$"])
  func `a program that fails while it is written to`(_ isFirst: Bool, _ end: String) throws {
    try passes("join/a_program_that_fails_while_it_is_written_to", end, "\(isFirst)", in: here)
  }

  /// A unix peer that closes with something unread has said all it said, however slowly that is taken.
  @Test(arguments: [true, false])
  func `what a unix peer said before it closed arrives`(_ isFirst: Bool) throws {
    try passes("join/what_a_unix_peer_said_before_it_closed_arrives", "\(isFirst)", in: here)
  }

  /// What is read and written at one offset, or at two of one file, would be written over before it is read.
  @Test(arguments: [
    ("fd:3 exec:cat 3<>a", 64, "splice: fd:3: open: cannot be read and written at once\n"),
    ("- exec:cat < a >> a", 73, "splice: -: open: source and sink are the same file\n"),
    ("- fd:3 < a 3<>a", 64, "splice: fd:3: open: cannot be read and written at once\n"),
    ("a exec:cat", 64, "splice: a: open: cannot be read and written at once\n"),
  ])
  func `a file is not its own sink`(_ words: String, _ status: Int32, _ message: String) throws {
    let run = try shell("$splice join \(words)", in: here)
    #expect(run.status == status && run.errors == message, "\(run.errors)")
    #expect(try here.contents("a") == content)
  }

  /// The flag belongs to the open file, and so to whoever gave it to us.
  @Test(arguments: ["AF_UNIX", "AF_INET"])
  func `a socket that is given stays blocking`(_ family: String) throws {
    try passes("join/a_socket_that_is_given_stays_blocking", family, in: here)
  }

  @Test func `after one end, the other may be idle for a while`() throws {
    try passes("join/after_one_end_the_other_may_be_idle_for_a_while")
  }

  @Test func `a reset and a lost reader are failures`() throws {
    try passes("join/a_reset_and_a_lost_reader_are_failures")
  }

  @Test func `a join keeps rates and paths`() throws {
    let began = ContinuousClock.now
    let run = try shell(
      "head -c 600K a | $splice join - exec:cat --rate-limit 400K --via copy --explain --stats text | cmp -n 614400 - a",
      in: here)
    #expect(run.status == 0, "\(run.text)")
    #expect(ContinuousClock.now - began > .seconds(1.3))
    #expect(run.errors.contains("-: read 614400 bytes by copy (copying was asked for)"))
    #expect(run.errors.contains("splice: 614400 bytes received, 614400 delivered in "))
  }

  @Test func `wrong usage`() throws {
    for words in [
      ["-", "-"], ["append:x", "-"], ["-", "zero:"], ["-"], ["-", "null:", "--half-close-timeout", "5x"],
    ] {
      #expect(try run(try product("splice"), ["join"] + words).status == 64, "\(words)")
    }
    let file = try shell("$splice join a null:", in: here)
    #expect(file.status == 64 && file.errors == "splice: a: open: cannot be read and written at once\n")
  }

  @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
  func signals(_ signal: Int32, _ status: Int32) throws {
    let running = try Running(
      try product("splice"), ["join", "tcp-listen:0", "null:", "--explain", "--stats", "text"])
    _ = try port(running)
    running.send(signal)
    let run = running.wait()
    #expect(run.status == status && run.errors.contains("0 bytes received"))
  }

  @Test func `the reader of standard output gets the end`() throws {
    try passes("join/the_reader_of_standard_output_gets_the_end")
  }

  @Test func `the writer to standard input hears that nobody reads`() throws {
    try passes("join/the_writer_to_standard_input_hears_that_nobody_reads", in: here)
  }

  @Test func `a file as standard input is left behind the last byte moved`() throws {
    try passes("join/a_file_as_standard_input_is_left_behind_the_last_byte_moved")
  }

  @Test func `a failure is of one endpoint, and not of its namesake`() throws {
    try passes("join/a_failure_is_of_one_endpoint_and_not_of_its_namesake")
  }
}
