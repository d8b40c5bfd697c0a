// An actor that owns a pipe, with timeouts: many tasks hand messages over, one at a time goes out, and what a broken connection has not taken
// goes out over the next one.
//
//   Courier HOST PORT    sends what comes in on standard input, a message for each line

import Foundation
import Splice

actor Courier {
  private let (host, port): (String, UInt16)
  /// Lent to an async call for as long as that takes, which what an actor stores itself cannot be.
  private let pipe: AsyncMutex<SplicePipe>
  private(set) var broken = 0

  init(_ host: String, _ port: UInt16) throws {
    (self.host, self.port) = (host, port)
    pipe = AsyncMutex(try SplicePipe())
  }

  /// Sends a message, and returns when the other side's kernel has it: within ten seconds, and each attempt within one.
  func send(_ message: some Collection<UInt8> & Sendable) async throws {
    let end = ContinuousClock.now + .seconds(10)
    try await pipe.withLock { pipe in
      let segment = PipeSegment(copying: message)
      try segment.withBytes { try pipe.writeAll($0) }
      while pipe.count > 0 {
        do {
          let server = try await Descriptor.connect(host: host, port: port, until: .now + .seconds(1))
          try await pipe.drain(to: server, until: .now + .seconds(1))
          try await server.finish(until: .now + .seconds(1))
        } catch {
          // Whatever it was, what was not taken is still in the pipe.
          if .now >= end { throw error }
          broken += 1
          try await Task.sleep(for: .milliseconds(20))
        }
      }
    }
  }
}

@main struct Main {
  static func main() async throws {
    let words = Array(CommandLine.arguments.dropFirst())
    guard words.count == 2, let port = UInt16(words[1]) else {
      FileHandle.standardError.write(Data("usage: Courier HOST PORT\n".utf8))
      exit(64)
    }
    let courier = try Courier(words[0], port)
    try await withThrowingTaskGroup { group in
      while let line = readLine(strippingNewline: false) {
        group.addTask { try await courier.send(Array(line.utf8)) }
      }
      try await group.waitForAll()
    }
    print("sent, with \(await courier.broken) broken connections")
  }
}
