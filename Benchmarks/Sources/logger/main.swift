// Writes lines to a file, as a program does: logger KIND THREADS LINES FILE [each].
//
// Prints what a call takes its thread, in nanoseconds, how many lines a second were in the file, and with
// `each` what half of the calls and all but a thousandth take at most.

import Glibc
import Logging
import Splice
import SpliceLogging
import SystemPackage

/// Swift's own part of a call: the dictionary, the event, and who is asked whether it is wanted.
struct Nothing: LogHandler {
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  var lines = 0
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  func log(event: LogEvent) { if event.metadata?.count == 100 { fatalError("what a large event") } }
}

enum Program {
  static func now() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  /// The logger, and what has everything in the file.
  static func begin(_ kind: String, _ path: String) throws -> (Logger, PageWriter?) {
    if kind == "stream" {
      let file = try FileDescriptor.open(
        FilePath(path), .writeOnly, options: [.append, .create], permissions: [.ownerReadWrite])
      _ = try file.duplicate(as: .standardError)
      return (Logger(label: "app") { StreamLogHandler.standardError(label: $0) }, nil)
    }
    if kind == "nothing" { return (Logger(label: "app") { _ in Nothing() }, nil) }
    var options = PageWriter.Options()
    options.capacity = 8 << 20
    options.whenFull = kind == "drop" ? .drop : .wait
    let writer = try PageWriter(appendingTo: FilePath(path), options: options)
    let format = LogFormat(rawValue: kind) ?? .text
    return (Logger(label: "app") { SpliceLogHandler(label: $0, format, to: writer) }, writer)
  }

  static func main() throws {
    let words = CommandLine.arguments
    guard words.count > 4, let threads = Int(words[2]), let lines = Int(words[3]) else { exit(64) }
    let isEach = words.last == "each"
    let (logger, writer) = try begin(words[1], words[4])
    let line = [UInt8](repeating: UInt8(ascii: "x"), count: 119) + [UInt8(ascii: "\n")]
    func call(_ number: Int) {
      if words[1] == "records", let writer {
        writer.write(line.span.bytes)
      } else {
        logger.info(
          "a request was answered well",
          metadata: ["path": "/a/directory/of/files/index.html", "status": "200"])
      }
    }
    let begun = now()
    var took = inThreads(threads) {
      var took: [Int] = []
      if isEach {
        took.reserveCapacity(lines)
        for number in 0..<lines {
          let start = now()
          call(number)
          took.append(now() - start)
        }
      } else {
        for number in 0..<lines { call(number) }
      }
      return took
    }
    let called = now()
    writer?.close(for: words[1] == "drop" ? .milliseconds(1) : .seconds(60))
    let ended = now()
    print(
      Double(called - begun) / Double(lines), Double(threads * lines) / Double(ended - begun) * 1e9,
      terminator: "")
    took.sort()
    if isEach { print("", took[took.count / 2], took[took.count - took.count / 1000 - 1], terminator: "") }
    print()
  }

  /// Runs a body in so many threads at once.
  static func inThreads(_ count: Int, _ body: @escaping () -> [Int]) -> [Int] {
    if count == 1 { return body() }
    final class Box {
      let body: () -> [Int]; var took: [Int] = []; init(_ body: @escaping () -> [Int]) { self.body = body }
    }
    let boxes = (0..<count).map { _ in Box(body) }
    let ids = boxes.map { box in
      var id = pthread_t()
      let argument = Unmanaged.passUnretained(box).toOpaque()
      pthread_create(
        &id, nil,
        { argument in
          guard let argument else { return nil }
          let box = Unmanaged<Box>.fromOpaque(argument).takeUnretainedValue()
          box.took = box.body()
          return nil
        }, argument)
      return id
    }
    for id in ids { pthread_join(id, nil) }
    return boxes.flatMap(\.took)
  }
}

try Program.main()
