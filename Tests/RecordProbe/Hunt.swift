// What scripts/hunt-records runs: several threads write lines, as they are told, and what became of them is printed.
//
//   RecordProbe hunt SINK THREADS COUNT CAPACITY wait|drop INTERVAL LONGEST
//
// SINK is append:PATH, rotate:PATH, unix:PATH, fd:N or vouch:N, INTERVAL milliseconds. Line N of thread T is `T N ` and
// (7919 N + 104729 T) mod LONGEST letters, the one of the alphabet with the number (N + T) mod 26.

import Foundation
import Splice
import SystemPackage

enum Hunt {
  static func run(_ words: [String]) throws {
    let numbers = words.map { Int($0) ?? 0 }
    let (threads, count, longest) = (numbers[1], numbers[2], numbers[6])
    var options = PageWriter.Options()
    (options.capacity, options.whenFull) = (numbers[3], words[4] == "wait" ? .wait : .drop)
    options.flushInterval = .milliseconds(numbers[5])
    let writer = try self.writer(words[0], options)
    let group = DispatchGroup()
    for thread in 0..<threads {
      group.enter()
      Thread.detachNewThread {
        for number in 0..<count {
          let length = (number * 7919 + thread * 104_729) % longest
          let letter = UInt8(ascii: "a") + UInt8((number + thread) % 26)
          let line = Array("\(thread) \(number) ".utf8) + [UInt8](repeating: letter, count: length) + [10]
          writer.write(line.span.bytes)
          if (number + thread) % 1000 == 999 { writer.flush() }
        }
        group.leave()
      }
    }
    group.wait()
    let isWhole = writer.close(for: .seconds(100))
    print(isWhole ? 1 : 0, writer.counts.written, writer.counts.dropped)
  }

  private static func writer(_ sink: String, _ options: PageWriter.Options) throws -> PageWriter {
    let (kind, name) = (sink.prefix { $0 != ":" }, String(sink.drop { $0 != ":" }.dropFirst()))
    func end() -> Descriptor { Descriptor(owning: FileDescriptor(rawValue: CInt(name) ?? -1)) }
    return switch kind {
    case "append": try PageWriter(appendingTo: FilePath(name), options: options)
    case "rotate":
      try PageWriter(appendingTo: FilePath(name), rotating: .init(size: 100_000), options: options)
    case "unix": try PageWriter(connectingTo: .unix(name), options: options)
    case "vouch": try PageWriter(vouchingForTheReaderOf: end(), options: options)
    default: try PageWriter(end(), options: options)
    }
  }
}
