// The built command, as a user runs it: endpoints, options, exit statuses, messages.

import Foundation
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct CopyTests {
  let content = bytes(3_000_001)

  @Test func `a file that is copied to is truncated first`() throws {
    let (from, to) = (try TemporaryFile(content), try TemporaryFile(bytes(5_000_000, seed: 9)))
    let run = try splice(from.path.string, to.path.string)
    #expect(run.status == 0 && run.errors.isEmpty && run.output.isEmpty)
    #expect(try to.contents == content)
  }

  @Test func `a new file has the usual mode`() throws {
    let to = FileManager.default.temporaryDirectory.appendingPathComponent("splice-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: to) }
    let run = try shell("umask 027; $splice null: '\(to)'; stat -c %a '\(to)'")
    #expect(run.text == "640\n")
  }

  @Test func `standard input and output`() throws {
    let from = try TemporaryFile(content)
    #expect(try splice(from.path.string, "-").output == content)
    #expect(try shell("$splice - - < '\(from.path)'").output == content)
    #expect(try shell("cat '\(from.path)' | $splice - - | cat").output == content)
    #expect(try shell("$splice - - < /dev/null").output.isEmpty)
  }

  @Test func `commands in a row share a file`() throws {
    let from = try TemporaryFile(Array("one\ntwo\nthree\n".utf8))
    let exact = try shell(
      "{ $splice - - --limit 4; $splice - /dev/stderr --limit 4; $splice - -; } < '\(from.path)'")
    #expect(exact.text == "one\nthree\n" && exact.errors == "two\n")
  }

  @Test func `appending output is copied`() throws {
    let (from, to) = (try TemporaryFile(content), try TemporaryFile(bytes(10)))
    let run = try shell("$splice '\(from.path)' - --explain >> '\(to.path)'")
    #expect(run.status == 0)
    #expect(try to.contents == bytes(10) + content)
    #expect(run.errors.contains("by copy (through user memory, splice refused: Invalid argument)"))
  }

  @Test func `zero and null`() throws {
    #expect(try splice("zero:", "-", "--limit", "70K").output == [UInt8](repeating: 0, count: 70 << 10))
    #expect(try splice("null:", "-").output.isEmpty)
    let run = try splice("zero:", "null:", "--limit", "1G", "--stats", "json")
    #expect(try stats(run)["received"] as? Int == 1 << 30)
    #expect(try splice("null:", "zero:").status == 64)
  }

  @Test func `TCP between two commands`() throws {
    let (from, to) = (try TemporaryFile(content), try TemporaryFile())
    let listener = try Running(try product("splice"), ["tcp-listen:0", to.path.string, "--explain"])
    let sent = try splice(from.path.string, "tcp:127.0.0.1:\(try port(listener))")
    #expect(sent.status == 0, "\(sent.errors)")
    #expect(listener.wait().status == 0)
    #expect(try to.contents == content)
  }

  @Test(arguments: ["unix", "abstract"])
  func `a unix socket between two commands`(_ kind: String) throws {
    let name = "splice-\(UUID().uuidString)"
    let path =
      kind == "unix" ? FileManager.default.temporaryDirectory.appendingPathComponent(name).path : "@\(name)"
    let from = try TemporaryFile(content)
    // The listener sends, the one who connects receives: both roles have both directions.
    let listener = try Running(try product("splice"), [from.path.string, "unix-listen:\(path)", "--explain"])
    _ = listener.waitForErrors(containing: "listening")
    let received = try splice("unix:\(path)", "-")
    #expect(received.output == content && received.status == 0)
    #expect(listener.wait().status == 0)
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  @Test func `socat is a peer`() throws {
    let socat = try tool("socat")
    let (from, to) = (try TemporaryFile(content), try TemporaryFile())
    let listener = try Running(try product("splice"), ["tcp-listen:0", to.path.string, "--explain"])
    let sent = try run(socat, ["-u", from.path.string, "TCP:127.0.0.1:\(try port(listener))"])
    #expect(sent.status == 0 && listener.wait().status == 0)
    #expect(try to.contents == content)
  }

  @Test func `the path can be chosen`() throws {
    let from = try TemporaryFile(content)
    func paths(_ via: String) throws -> [String: Int] {
      let run = try splice(from.path.string, "null:", "--via", via, "--stats", "json")
      #expect(run.status == 0)
      return try #require((try stats(run)["source"] as? [String: Any])?["paths"] as? [String: Int])
    }
    #expect(try paths("auto") == ["splice": content.count])
    #expect(try paths("splice") == ["splice": content.count])
    #expect(try paths("copy") == ["copy": content.count])
    let append = try TemporaryFile()
    let run = try shell("$splice '\(from.path)' - --via splice >> '\(append.path)'")
    #expect(run.status == 74 && run.errors == "splice: -: write: Invalid argument\n")
    #expect(try append.contents.isEmpty)
  }

  @Test func `the report has its form`() throws {
    let from = try TemporaryFile(content)
    let run = try splice(from.path.string, "null:", "--stats", "json")
    let report = try stats(run)
    #expect(report["received"] as? Int == content.count)
    #expect(report["seconds"] is Double || report["seconds"] is Int)
    let source = try #require(report["source"] as? [String: Any])
    #expect(source["endpoint"] as? String == from.path.string && source["error"] is NSNull)
    let sink = try #require((report["sinks"] as? [[String: Any]])?.first)
    #expect(sink["endpoint"] as? String == "null:" && sink["policy"] as? String == "wait")
    #expect(sink["delivered"] as? Int == content.count && sink["skipped"] as? Int == 0)
    #expect(sink["paths"] as? [String: Int] == ["splice": content.count] && sink["error"] is NSNull)
    let failed = try splice(from.path.string, "/dev/full", "--stats", "json")
    #expect(failed.status == 74)
    let error = (try stats(failed)["sinks"] as? [[String: Any]])?.first?["error"] as? [String: String]
    #expect(error == ["act": "write", "errno": "ENOSPC", "reason": "No space left on device"])
  }

  @Test func `what goes wrong is said in one line`() throws {
    let file = try TemporaryFile(content)
    let path = file.path.string
    let table: [([String], Int32, String)] = [
      (["/no/such", "-"], 66, "splice: /no/such: open: No such file or directory"),
      (["/", "-"], 66, "splice: /: open: Is a directory"),
      (["null:", "/"], 73, "splice: /: open: Is a directory"),
      ([path, "/no/such/file"], 73, "splice: /no/such/file: open: No such file or directory"),
      ([path, path], 73, "splice: \(path): open: source and sink are the same file"),
      ([path, "file:\(path)"], 73, "splice: file:\(path): open: source and sink are the same file"),
      (["tcp:127.0.0.1:1", "-"], 66, "splice: tcp:127.0.0.1:1: connect: Connection refused"),
      ([path, "tcp:127.0.0.1:1"], 73, "splice: tcp:127.0.0.1:1: connect: Connection refused"),
      (["unix:/no/such", "-"], 66, "splice: unix:/no/such: connect: No such file or directory"),
      (
        ["unix-listen:/no/such/dir/s", "-"], 66,
        "splice: unix-listen:/no/such/dir/s: listen: No such file or directory"
      ),
      ([path, "/dev/full"], 74, "splice: /dev/full: write: No space left on device"),
    ]
    for (arguments, status, line) in table {
      let run = try run(try product("splice"), arguments)
      #expect(run.status == status, "\(arguments)")
      #expect(run.errors == line + "\n")
      #expect(run.output.isEmpty)
    }
    #expect(try file.contents == content)
  }

  @Test func `wrong usage exits with 64`() throws {
    for arguments in [
      [], ["-"], ["-", "-", "--limit", "12X"], ["-", "-", "--limit", ""], ["-", "-", "--via", "magic"],
      ["tcp:9000", "-"], ["tcp:host:99999", "-"], ["tcp:::1:9000", "-"], ["digest:sha256", "-"],
      ["-", "digest:crc32"], ["-", "udp:host:53"], ["TCP:host:80", "-"],
      ["-", "-", "--force", "--no-clobber"],
      ["-", "-", "--limit", "99999999999999999999"], ["-", "-", "--no-such"],
    ] {
      let run = try run(try product("splice"), arguments)
      #expect(run.status == 64, "\(arguments): \(run.errors)")
      #expect(run.output.isEmpty && !run.errors.isEmpty)
    }
  }

  @Test func `a closed standard descriptor is refused, and not taken for a file`() throws {
    let file = try TemporaryFile(content)
    let copy = try TemporaryFile()
    #expect(try shell("$splice - null: <&-").status == 66)
    #expect(try shell("$splice '\(file.path)' - >&-").status == 73)
    #expect(try shell("$splice '\(file.path)' '\(copy.path)' <&- >&- 2>&-").status == 0)
    #expect(try copy.contents == content)
    #expect(try shell("$splice /no/such '\(copy.path)' 2>&-").status == 66)
  }

  @Test func `a lost reader ends splice as it ends cat`() throws {
    let run = try shell("$splice zero: - | head -c 10 | wc -c; echo ${PIPESTATUS[0]}")
    #expect(run.text == "10\n141\n" && run.errors.isEmpty)
    // Ignored when we began: then it is a failed sink like any other.
    let ignored = try shell("trap '' PIPE; $splice zero: - | head -c 10 | wc -c; echo ${PIPESTATUS[0]}")
    #expect(ignored.text == "10\n74\n" && ignored.errors == "splice: -: write: Broken pipe\n")
  }

  @Test(arguments: [(SIGINT, Int32(130)), (SIGTERM, Int32(143))])
  func `a signal ends a copy in good order`(_ signal: Int32, _ status: Int32) throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("splice-\(UUID().uuidString)")
      .path
    let waiting = try Running(
      try product("splice"), ["unix-listen:\(path)", "null:", "--explain", "--stats", "json"])
    _ = waiting.waitForErrors(containing: "listening")
    waiting.send(signal)
    let ended = waiting.wait()
    #expect(ended.status == status && ended.signal == nil)
    #expect(!FileManager.default.fileExists(atPath: path))
    #expect(try stats(ended)["received"] as? Int == 0)
    // In the middle of a copy that never waits.
    let busy = try Running(try product("splice"), ["zero:", "null:", "--stats", "json"])
    try waitUntil("a handler") { busy.handles(signal) }
    busy.send(signal)
    let stopped = busy.wait()
    #expect(stopped.status == status)
  }

  @Test func `the flags of inherited descriptors stay as they were`() throws {
    let probe = "python3 -c 'import fcntl,os; print(bool(fcntl.fcntl(0, fcntl.F_GETFL) & os.O_NONBLOCK))'"
    let run = try shell("{ $splice - null: --limit 5; \(probe); } < <(printf 'hello world')")
    #expect(run.text == "False\n")
    let from = try TemporaryFile(content)
    let nonBlocking =
      "import os,subprocess,sys; r,w=os.pipe(); os.set_blocking(r,False); os.set_blocking(w,False);"
      + "p=subprocess.Popen([sys.argv[1],sys.argv[2],'-'],stdout=w); os.close(w); os.set_blocking(r,True);"
      + "data=b''.join(iter(lambda: os.read(r,65536), b'')); sys.stdout.buffer.write(data); sys.exit(p.wait())"
    let through = try TestSupport.run(
      try tool("python3"), ["-c", nonBlocking, try product("splice"), from.path.string])
    #expect(through.status == 0 && through.output == content)
  }

  @Test func `a file that shrinks is reported as truncated`() throws {
    let from = try TemporaryFile(bytes(20_000_000))
    let sender = try Running(try product("splice"), [from.path.string, "-", "--stats", "json"], output: nil)
    // Our reader holds what a pipe holds; the file is cut while the rest waits to be read.
    truncate(from.path.string, 1)
    let run = sender.wait()
    // Cut before it was opened, it is a file of one byte; after, a truncated one.
    if run.output.count > 1 {
      #expect(run.status == 74 || run.output.count == 20_000_000)
      if run.status == 74 {
        #expect(run.errors.contains("read: truncated: \(20_000_000 - run.output.count) bytes are missing"))
      }
    }
  }

  @Test func `fifos wait for their other end`() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("splice-\(UUID().uuidString)")
      .path
    mkfifo(path, 0o600)
    defer { unlink(path) }
    let from = try TemporaryFile(content)
    let reader = try Running(try product("splice"), [path, "-"])
    #expect(try splice(from.path.string, path).status == 0)
    let read = reader.wait()
    #expect(read.status == 0 && read.output == content)
  }

  @Test func `memory stays small whatever the size`() throws {
    let run = try shell(
      "$splice zero: null: --limit 20G & while kill -0 $! 2>/dev/null; do grep VmHWM /proc/$!/status; done 2>/dev/null | tail -1"
    )
    let kilobytes = try #require(Int(run.text.filter(\.isNumber)))
    #expect(kilobytes < 24 << 10)
  }

  @Test func `the help shows the endpoints`() throws {
    for arguments in [["--help"], ["copy", "--help"]] {
      let run = try run(try product("splice"), arguments)
      #expect(run.status == 0 && run.errors.isEmpty)
      for word in ["tcp-listen:", "unix-listen:", "zero:", "null:", "file:PATH"] {
        #expect(run.text.contains(word))
      }
    }
  }
}
