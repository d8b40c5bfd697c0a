// Every command line of the guides and of the manual is run as it stands, each machine being a directory.
//
// `host$ line` runs in the directory of that host. In a block of several hosts all but the last line of the
// last host begin and go on beside each other, as in several terminals: what listens is waited for before the
// next line. A comment at the end of a line is the status it ends with. Lines without a prompt are what the
// line before them prints. A line of curl only looks on, and the others go on.

import Foundation
import TestSupport
import Testing

/// A line of a guide.
private struct Line: Sendable {
  let host, command: String
  var status: Int32 = 0
  var prints: [String] = []
  /// It listens, so that others connect to it.
  var listens: Bool { command.contains("-listen:") || serves }
  /// It goes on until it is told to end.
  var serves: Bool {
    command.hasPrefix("splice relay ") || command.hasPrefix("splice broadcast ")
      || command.hasPrefix("splice serve ")
  }
  var looksOn: Bool { command.hasPrefix("curl ") }
}

private func blocks(of guide: String) throws -> [[Line]] {
  let text = try String(contentsOfFile: "\(packageRoot)/docs/\(guide).md", encoding: .utf8)
  return text.components(separatedBy: "```console\n").dropFirst().map { part in
    var lines: [Line] = []
    for text in part.components(separatedBy: "```")[0].split(separator: "\n").map(String.init) {
      guard let prompt = text.firstRange(of: "$ "), !text[..<prompt.lowerBound].contains(" ") else {
        lines[lines.count - 1].prints.append(text)
        continue
      }
      var line = Line(host: String(text[..<prompt.lowerBound]), command: String(text[prompt.upperBound...]))
      if let comment = text.firstRange(of: "   # ") {
        line.status = Int32(text[comment.upperBound...]) ?? -1
      }
      lines.append(line)
    }
    return lines
  }
}

@Suite(.mayBlock, .serialized) struct GuideTests {
  static let guides = [
    "disk-images", "resuming", "rate-limiting", "netcat", "one-to-many", "relay", "operations", "broadcast",
    "serve", "know-your-kernel",
  ]

  private func article(_ name: String) throws -> String {
    try String(contentsOfFile: "\(packageRoot)/Sources/Splice/Splice.docc/\(name).md", encoding: .utf8)
  }

  @Test func `the driver in the guide is the one that is compiled and runs`() throws {
    let source = try String(contentsOfFile: packageRoot + "/Examples/Gzip/Gzip.swift", encoding: .utf8)
    let guide = try article("Drivers")
    #expect(guide.contains(source))
    #expect(source.split(separator: "\n").count < 60)
    let place = try TemporaryDirectory()
    let content = bytes(1_000_000) + [UInt8](repeating: 7, count: 2_000_000)
    try place.write("plain", content)
    let run = try shell(
      "\(try product("Gzip")) <plain >packed && gunzip <packed >again && cmp plain again", in: place)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try place.contents("packed").count < 1_100_000)
  }

  /// Each piece of code in the guide is in the example, which does what the guide says.
  @Test func `the bridges in the guide are those that are compiled and run`() throws {
    let source = try String(contentsOfFile: packageRoot + "/Examples/Bridges/Bridges.swift", encoding: .utf8)
    let guide = try article("Bridges")
    let pieces = guide.components(separatedBy: "```swift\n").dropFirst().map {
      $0.components(separatedBy: "```")[0]
    }
    #expect(pieces.count == 5 && pieces.allSatisfy { source.contains($0) })
    let run = try run(try product("Bridges"), [])
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.text == "hello\nhello\nfrom a child\nthrough Dispatch\n")
  }

  @Test func `the relay in the guide is the one that is compiled and runs`() throws {
    let source = try String(
      contentsOfFile: packageRoot + "/Examples/TinyRelay/TinyRelay.swift", encoding: .utf8)
    let guide = try article("Connections")
    let pieces = guide.components(separatedBy: "```swift\n").dropFirst().map {
      $0.components(separatedBy: "```")[0]
    }
    #expect(pieces.count == 5 && pieces.allSatisfy { source.contains($0) })
    try passes("guide/the_relay_in_the_guide_is_the_one_that_is_compiled_and_runs", try product("TinyRelay"))
  }

  @Test func `every guide is tested`() throws {
    for (folder, names) in [("guides", Self.guides), ("manual", Self.manual)] {
      let files = try FileManager.default.contentsOfDirectory(atPath: "\(packageRoot)/docs/\(folder)")
      #expect(Set(files) == Set(names.map { "\($0).md" }))
    }
  }

  static let manual = [
    "splice-copy", "splice-join", "splice-relay", "splice-broadcast", "splice-serve",
    "splice-doctor", "splice-bench",
  ]

  @Test(arguments: guides.map { "guides/\($0)" } + manual.map { "manual/\($0)" })
  func `every command line of a guide does what it says`(_ guide: String) throws {
    let place = try TemporaryDirectory()
    for line in try blocks(of: guide).joined() { try askForPeers(of: line.command) }
    // 4 MiB of data in 64 MiB.
    let made = try shell(
      "for h in . here there backup gate viewer studio air edge; do mkdir -p $h; (cd $h; echo a note > notes.txt; truncate -s 8M disk.img; "
        + "dd if=/dev/urandom of=disk.img bs=64K count=65 seek=50 conv=notrunc status=none; truncate -s 65M disk.img); done",
      in: place)
    #expect(made.status == 0)
    // Somebody who accepts and says nothing.
    let silent = try Ends.silentListener()
    for block in try blocks(of: guide) {
      let ports = try ["8000", "9000", "9001", "9900"].map { ($0, try freePort()) }
      var begun: [(Line, Running)] = []
      for line in block {
        var command = line.command
        command = command.replacing("tcp:slow:9001", with: "tcp:127.0.0.1:\(silent.port)")
        for host in ["backup", "there", "viewer", "gate", "air", "0.0.0.0"] {
          for port in ["80", "90"] {
            command = command.replacing("\(host):\(port)", with: "127.0.0.1:\(port)")
          }
        }
        for (name, number) in ports {
          command = command.replacing("127.0.0.1:\(name)", with: "127.0.0.1:\(number)")
        }
        let running = try Running(
          "/bin/bash",
          [
            "-c",
            "PATH=\(URL(fileURLWithPath: try product("splice")).deletingLastPathComponent().path):$PATH; \(line.serves ? "exec " : "")\(command)",
          ],
          directory: "\(place.path)/\(line.host)")
        if line.listens {
          try waitUntilListening(command, in: "\(place.path)/\(line.host)", running)
          begun.append((line, running))
        } else {
          try check(line, running.wait(), guide)
          if line.looksOn { continue }
          // Those who were waiting for it have ended, too, unless it was only a first part.
          for (line, running) in begun {
            if line.serves { running.send(SIGTERM) }
            try check(line, running.wait(), guide)
          }
          begun = []
        }
      }
      #expect(begun.isEmpty, "nobody connects to what listens")
    }
  }

  private func check(_ line: Line, _ run: Run, _ guide: String) throws {
    // As a shell tells of a signal.
    #expect(
      (run.signal.map { 128 + $0 } ?? run.status) == line.status, "\(guide): \(line.command): \(run.errors)")
    guard !line.prints.isEmpty else { return }
    let said = (run.text + run.errors).split(separator: "\n").map(String.init)
    #expect(said == line.prints, "\(guide): \(line.command)")
  }

  private func waitUntilListening(_ command: String, in directory: String, _ running: Running) throws {
    try waitUntil("'\(command)' listens") {
      guard running.isRunning else { return true }
      if let path = command.firstMatch(of: /unix-listen:(\S+)/)?.1 {
        if FileManager.default.fileExists(atPath: "\(directory)/\(path)") { return true }
      } else if let port = command.firstMatch(
        of: /(?:tcp-listen:|relay |--http |--tcp |--listen )127.0.0.1:(\d+)/
      )
      .flatMap({
        UInt16($0.1)
      }) {
        // Hexadecimal, behind the address; 0A is LISTEN.
        let hex = String(port, radix: 16, uppercase: true)
        let sockets = try String(contentsOfFile: "/proc/net/tcp", encoding: .utf8)
        return sockets.contains(
          ":\(String(repeating: "0", count: 4 - hex.count))\(hex) 00000000:0000 0A")
      }
      return false
    }
  }

  private func freePort() throws -> UInt16 {
    let listener = try Ends.silentListener()
    return listener.port
  }
}
