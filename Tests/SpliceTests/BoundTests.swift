// Nothing a test waits for can hang the suite: it is ended, with all it has started, and says which it was.

import Foundation
import Synchronization
import TestSupport
import Testing

@Suite(.mayBlock) struct BoundTests {
  /// A program that does not end, nor does its child, which has a session of its own and holds the output.
  @Test func `a program that hangs is killed with its children, and named`() throws {
    let directory = try TemporaryDirectory()
    let script = "echo begun; setsid sleep 1000 & echo $! >child; wait; sleep 1001"
    let said = Mutex("")
    let since = ContinuousClock.now
    try withKnownIssue {
      let run = try run("/bin/sh", ["-c", script], directory: directory.path, within: .seconds(4))
      #expect(run.signal == SIGKILL && run.text == "begun\n")
    } matching: { issue in
      said.withLock { $0 += "\(issue)" }
      return true
    }
    #expect(since + .seconds(60) > .now)
    let text = said.withLock { $0 }
    #expect(
      text.contains("has not ended within 4.0 seconds: /bin/sh -c \(script)") && text.contains("begun"),
      "\(text)")
    let child = String(decoding: try directory.contents("child"), as: UTF8.self).trimmingCharacters(
      in: .newlines)
    // Gone, or dead and not collected yet by whoever has inherited it.
    try waitUntil("the child is gone") {
      let state = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8))?.split(separator: ")")
        .last
      return state == nil || state?.hasPrefix(" Z") == true
    }
  }

  /// One that has ended, and whose child holds what it was given.
  @Test func `a child that is left behind holds no test`() throws {
    try withKnownIssue {
      let run = try run("/bin/sh", ["-c", "sleep 1002 & echo begun"], within: .seconds(4))
      #expect(run.text == "begun\n")
    } matching: {
      "\($0)".contains("within 4.0 seconds: /bin/sh -c sleep 1002")
    }
  }

  @Test func `words that are never said are not waited for long`() throws {
    try withKnownIssue {
      let running = try Running(
        "/bin/sh", ["-c", "echo other >&2; exec sleep 1003"], within: .milliseconds(500))
      #expect(running.waitForErrors(containing: "this") == "other\n")
      #expect(running.wait().signal == SIGKILL)
    } matching: {
      "\($0)".contains("has not said 'this' within 0.5 seconds")
    }
  }

  @Test func `threads and conditions have a bound`() throws {
    let go = DispatchSemaphore(value: 0)
    let work = onThread { _ = go.wait(timeout: .now() + 60) }
    #expect(throws: Hung.self) { try work.join(within: .milliseconds(50)) }
    go.signal()
    try work.join()
    #expect(throws: Hung.self) { try waitUntil("never", within: .milliseconds(20)) { false } }
  }

  @Test func `the watchdog names those that hang`() {
    let watchdog = Watchdog(limit: .seconds(100))
    #expect(watchdog.stuck(at: .now + .seconds(101)).isEmpty)
    for name in ["one", "two", "three"] { watchdog.begin(name) }
    #expect(watchdog.stuck().isEmpty)
    watchdog.end("two")
    #expect(watchdog.stuck(at: .now + .seconds(101)) == ["one", "three"])
  }

  @Test func `a tool that is missing is named with its package`() throws {
    let words = "no-such-tool is not installed: apt-get install its-package"
    let missing = try missing(words, in: ["CI": "true"])
    #expect("\(missing)" == words)
  }
}
