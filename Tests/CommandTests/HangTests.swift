// A program of the tests that hangs says where, and ends what it has started.

import Glibc
import TestSupport
import Testing

@Suite(.mayBlock) struct HangTests {
  @Test func `a program that hangs says at which line`() throws {
    for line in [
      "while True: pass", "socket.create_server(('127.0.0.1', 0)).accept()", "threading.Event().wait()",
    ] {
      let run = try python("import threading\n\(line)", within: .milliseconds(500))
      #expect(run.status == 1 && run.errors.contains("hung: \(line)"), "\(run.errors)")
    }
  }

  @Test func `the relays of a program that hangs end with it`() throws {
    let run = try relay(
      """
      r = Relay(upstreams=[upstream()])
      print(r.process.pid, flush=True)
      signal.setitimer(signal.ITIMER_REAL, 0.1)
      r.process.wait()
      """)
    #expect(run.status == 1 && run.errors.contains("hung: r.process.wait()"), "\(run.errors)")
    let process = Substring(run.text).prefix { $0.isNumber }
    try waitUntil("the relay has ended") { kill(try #require(Int32(process)), 0) != 0 }
  }
}
