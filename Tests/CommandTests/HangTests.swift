// A program of the tests that hangs says where, and ends what it has started.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct HangTests {
  @Test func `a program that hangs says at which line`() throws {
    let file = "hang/a_program_that_hangs_says_at_which_line"
    for (what, place) in [
      ("busy", "/\(file).py:7: any(False for _ in iter(int, 1))"),
      ("accept", "/\(file).py:9: socket.create_server(('127.0.0.1', 0)).accept()"),
      ("wait", "/\(file).py:11: threading.Event().wait()"),
    ] {
      let run = try python(file, [what], within: .milliseconds(500))
      #expect(run.status == 1 && run.errors.contains(place), "\(run.errors)")
    }
  }

  /// Also where a function that tests share has found it.
  @Test func `a check that fails says at which line, and what there was`() throws {
    let file = "hang/a_check_that_fails_says_at_which_line_and_what_there_was"
    for (what, said) in [
      ("check", "/\(file).py:6: check(len(words) == 2, words): ['one']\n"),
      ("helper", "/\(file).py:9: Relay('--no-such-option', upstreams=['127.0.0.1:9'])\n"),
    ] {
      let run = try python(file, [what])
      #expect(run.status == 1 && run.errors.hasSuffix(said), "\(run.errors)")
    }
  }

  @Test func `every program in Python is run by a test`() throws {
    let folder = "\(packageRoot)/Tests/CommandTests"
    let swift = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".swift") }
    let tests = try swift.map { try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8) }.joined()
    let modules = ["relay_name/resolving", "relay_listen/draining", "log/unread", "progress/terminal"]
    for file in try FileManager.default.subpathsOfDirectory(atPath: "\(folder)/Python")
    where file.contains("/") && file.hasSuffix(".py") && !modules.contains(String(file.dropLast(3))) {
      #expect(tests.contains("\"\(file.dropLast(3))\""), "\(file) is run by no test")
    }
  }

  @Test func `the relays of a program that hangs end with it`() throws {
    let run = try python("hang/the_relays_of_a_program_that_hangs_end_with_it")
    #expect(run.status == 1 && run.errors.contains(".py:8: r.process.wait()\n"), "\(run.errors)")
    let process = Substring(run.text).prefix { $0.isNumber }
    try waitUntil("the relay has ended") { kill(try #require(Int32(process)), 0) != 0 }
  }
}
