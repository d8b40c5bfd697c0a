// An upload that goes on where it was interrupted, and a checksum of all of it, made of the bytes as they leave.
//
//   Upload FILE HOST PORT    the server says how much it has, takes the rest, and answers with its own checksum

import Foundation
import Splice
import SystemPackage

@main struct Upload {
  static func main() async throws {
    let words = CommandLine.arguments.dropFirst()
    guard words.count == 3, let path = words.first.map({ FilePath($0) }), let port = UInt16(words[3]) else {
      FileHandle.standardError.write(Data("usage: Upload FILE HOST PORT\n".utf8))
      exit(64)
    }
    for attempt in 1...5 {
      do throws(SpliceError) {
        let server = try await connect(words[2], port)
        let sums = try await send(path, over: server)
        say(sums.ours == sums.theirs ? "done: \(sums.ours)" : "it has other bytes: \(sums)")
        exit(sums.ours == sums.theirs ? 0 : 74)
      } catch { say("attempt \(attempt): \(error)") }
    }
    exit(74)
  }

  static func connect(_ host: String, _ port: UInt16) async throws(SpliceError) -> Descriptor {
    do { return try await Descriptor.connect(host: host, port: port, until: .now + .seconds(5)) } catch {
      throw error as? SpliceError ?? .sink(.hostIsDown)
    }
  }

  static func send(
    _ path: FilePath, over server: consuming Descriptor
  ) async throws(SpliceError) -> (ours: String, theirs: String) {
    let patience = FlowOptions(idle: .seconds(30))
    let server = server
    do {
      let sum = try FlowObserver(UInt64(14_695_981_039_346_656_037)) { sum, bytes in
        // FNV-1a.
        bytes.withUnsafeBytes { for byte in $0 { sum = (sum ^ UInt64(byte)) &* 1_099_511_628_211 } }
      }
      var pipe = try SplicePipe()
      let file = try Descriptor.open(path, .readOnly)
      // Eight bytes in hexadecimal: so much of it is there.
      var had = BytesSink<[UInt8]>()
      try await pipe.forward(from: server, to: &had, upTo: 16, options: patience)
      let offset = UInt64(String(decoding: had.bytes, as: UTF8.self), radix: 16) ?? 0
      let nowhere = try Descriptor.open("/dev/null", .writeOnly)
      try await pipe.forward(from: file, to: nowhere, upTo: offset, watchedBy: sum)
      try await pipe.forward(from: file, to: server, options: patience, watchedBy: sum)
      try server.halfClose()
      var answer = BytesSink<[UInt8]>()
      try await pipe.forward(from: server, to: &answer, upTo: 16, options: patience)
      return (String(sum.withState { $0 }, radix: 16), String(decoding: answer.bytes, as: UTF8.self))
    } catch let error as SpliceError { throw error } catch { throw .source(error as? Errno ?? .ioError) }
  }

  static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}
