// The relay of the article Connections: a rate limit for all connections together, progress, a record of what clients say, a graceful end.

import Foundation
import Splice

@main struct TinyRelay {
  static func main() async throws {
    let words = CommandLine.arguments.dropFirst()
    guard words.count == 3, let host = words.first,
      let port = words.dropFirst().first.flatMap({ UInt16($0) }),
      let path = words.last
    else {
      FileHandle.standardError.write(Data("usage: TinyRelay HOST PORT RECORD\n".utf8))
      exit(64)
    }
    let listener = try Listener(host: "127.0.0.1", port: 0)
    say("listening on \(listener.address)")

    let (sent, pace, said) = (ByteMeter(), Pace(bytesPerSecond: 100 << 20), try FanOut())
    let record = try said.attach(
      .skip, to: Descriptor.open(.init(path), .writeOnly, options: [.create, .truncate]))
    async let recorded = record.serve()
    try await withThrowingDiscardingTaskGroup { group in
      // Until nobody has come for a second; those who are here are served to their end.
      while let client = try await next(listener) {
        let client = Handover(client)
        group.addTask {
          let server = try await Descriptor.connect(host: host, port: port, until: .now + .seconds(5))
          var duplex = Duplex()
          let ending = try await duplex.run(
            between: client.take(), and: server,
            options: Duplex.Options(forward: FlowOptions(pace: pace, meter: sent), idle: .seconds(30)),
            watchedBy: Duplex.Taps(forward: said))
          say("\(ending.first) ended first, \(sent.passed.total) bytes sent so far")
        }
      }
    }
    said.finish()
    say("\(try await recorded) bytes recorded")
  }

  static func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

  /// The next client; nil when there is none for a second.
  static func next(_ listener: borrowing Listener) async throws -> Descriptor? {
    do { return try await listener.accept(until: .now + .seconds(1)) } catch SpliceError.timedOut {
      return nil
    }
  }
}
