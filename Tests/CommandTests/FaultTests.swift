// System calls that fail under the command: the bytes are exact, or a clear line says who failed. A sample;
// the whole matrix is `scripts/faults`.

import Foundation
import TestSupport
import Testing

/// A way through the command, and the calls that fail on it.
struct Course: Sendable, CustomTestStringConvertible {
  let name: String
  /// The line, where `$S` is the command under strace.
  let line: String
  let calls: [String]
  var testDescription: String { name }
}

private let courses = [
  Course(name: "file to file", line: "$S a b", calls: ["copy_file_range", "ftruncate", "lseek", "ioctl"]),
  Course(name: "holes", line: "$S holes b", calls: ["copy_file_range", "lseek", "pwrite64"]),
  Course(
    name: "file to pipe", line: "set -o pipefail; $S a - | cat > b", calls: ["splice", "pipe2", "fcntl"]),
  Course(name: "pipe to file", line: "cat a | $S - b", calls: ["splice", "ppoll", "ftruncate"]),
  Course(name: "copying", line: ": > b; $S a b --via copy", calls: ["pread64", "pwrite64"]),
  Course(name: "appending", line: ": > b; $S a append:b", calls: ["splice", "read", "write"]),
  Course(name: "program", line: "$S exec:'cat a' b", calls: ["splice", "wait4", "pidfd_open", "ppoll"]),
  Course(name: "unix", line: "$S a unix:s", calls: ["splice", "connect", "shutdown", "recvfrom"]),
]

@Suite(.mayBlock) struct FaultTests {
  let here: TemporaryDirectory
  let content = bytes(1_200_003)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
    #expect(try shell("truncate -s 3M holes; cat a >> holes; truncate -s 9M holes", in: here).status == 0)
  }

  @Test(
    arguments: courses,
    [
      "ENOSYS:when=1+", "EIO:when=3", "EINTR:when=1+2", "EPERM:when=2+", "ENOMEM:when=1+", "EINVAL:when=5",
      "ENOSPC:when=4+3",
    ])
  func `a copy is exact, or says clearly what is wrong`(_ course: Course, _ fault: String) throws {
    for call in course.calls {
      // Where a call is interrupted for ever, nobody can go on.
      _ = try shell("rm -f b s", in: here)
      let peer =
        course.name == "unix"
        ? try Running(try tool("socat"), ["-u", "UNIX-LISTEN:s", "CREATE:b"], directory: here.path) : nil
      if let peer {
        try waitUntil("socat listens") {
          !peer.isRunning || FileManager.default.fileExists(atPath: "\(here.path)/s")
        }
      }
      // Reading and writing are done by others, too: the loader, and whoever says what went wrong.
      let paths = ["read", "write", "pread64", "pwrite64"].contains(call) ? "-P a -P b " : ""
      let strace =
        "timeout 20 strace -qq -o /dev/null \(paths)-e trace=\(call) -e inject=\(call):error=\(fault) $splice"
      let run = try shell(course.line.replacingOccurrences(of: "$S", with: strace), in: here)
      if run.status != 0 { peer?.send(SIGTERM) }
      _ = peer?.wait()
      let what = "\(course.name), \(call) \(fault): \(run.status) \(run.errors)"
      let expected = try here.contents(course.name == "holes" ? "holes" : "a")
      let arrived = (try? here.contents("b")) ?? []
      if run.status == 0 {
        #expect(arrived == expected, "\(what)")
      } else {
        #expect([66, 70, 73, 74].contains(run.status), "\(what)")
        #expect(run.errors.contains(try Regex("(?m)^splice: .*: \\w+: .+$")), "\(what)")
        #expect(expected.starts(with: arrived), "\(what)")
      }
    }
  }
}
