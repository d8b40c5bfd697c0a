// A live source goes to disk and out to everybody who watches, at once; whoever comes late, or cannot keep up, is served from the recording.
//
//   encoder | Recorder FILE    says where viewers connect

import Foundation
import Splice
import SystemPackage

@main struct Recorder {
  static func main() async throws {
    guard let path = CommandLine.arguments.dropFirst().first.map({ FilePath($0) }) else {
      FileHandle.standardError.write(Data("usage: Recorder FILE\n".utf8))
      exit(64)
    }
    let fan = try FanOut()
    let archive = try fan.attach(to: .open(path, .writeOnly, options: [.create, .truncate]))
    let recording = try FanOut.Recording(.open(path, .readOnly), writtenBy: archive)
    let listener = try Listener(host: "127.0.0.1", port: 0)
    say("\(listener.address)")
    try await withThrowingDiscardingTaskGroup { group in
      group.addTask { try await archive.serve() }
      group.addTask {
        defer { fan.finish() }
        try await fan.fill(from: Descriptor(duplicating: .standardInput))
      }
      while !fan.isFinished {
        guard let client = try await next(listener) else { continue }
        // From the first byte, however late it is.
        let viewer = try fan.attach(.replay(recording), to: client, from: 0)
        group.addTask {
          do throws(SpliceError) { say("a viewer has \(try await viewer.serve()) bytes") } catch {
            say("a viewer left: \(error)")
          }
        }
      }
    }
    say("recorded \(fan.position) bytes")
  }

  static func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

  /// The next viewer; nil when none came for a tenth of a second.
  static func next(_ listener: borrowing Listener) async throws -> Descriptor? {
    do { return try await listener.accept(until: .now + .milliseconds(100)) } catch SpliceError.timedOut {
      return nil
    }
  }
}
