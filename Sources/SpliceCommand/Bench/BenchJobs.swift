// The jobs of `splice bench`, each done by copying and by splicing: the same flow, told which way to go. What
// feeds it and what swallows it are threads beside it, whose CPU is not counted.

import CSplice
import Splice
import SystemPackage

/// One job that can be done either way.
struct BenchJob: Sendable {
  enum Way: String, Sendable { case copying, splicing }

  enum Unit: String, Sendable {
    case gibibytes = "GiB"
    case messages = "message"
  }

  let name: String
  let unit: Unit
  /// What follows when splicing has won, and when it has not.
  let advice: (won: String, lost: String)
  /// Does so much of it, in bytes or messages, and says what that has cost.
  let run: @Sendable (Way, Int) throws -> Cost

  /// How much to begin with.
  var least: Int { unit == .messages ? 200 : 16 << 20 }
  var most: Int { unit == .messages ? 1 << 20 : 16 << 30 }

  /// Of an amount.
  func units(_ amount: Int) -> Double {
    unit == .messages ? Double(amount) : Double(amount) / Double(1 << 30)
  }

  static let all = [
    BenchJob(
      name: "file to nowhere", unit: .gibibytes,
      advice: (
        "reading a cached file costs next to nothing", "reading a cached file is cheaper by copying here"
      )
    ) { way, bytes in
      try [BenchEnd]().beside { try file(to: Descriptor.open("/dev/null", .writeOnly), way, bytes) }
    },
    BenchJob(
      name: "file to socket", unit: .gibibytes,
      advice: (
        "send files by splice",
        "copying is cheaper where the receiver is on this machine; over a network measure there"
      )
    ) { way, bytes in
      var pair = try StreamPair.tcp()
      let reader = try BenchEnd.swallowing(pair.takeFar())
      return try [reader].beside { try file(to: pair.takeNear(), way, bytes) }
    },
    BenchJob(
      name: "socket to socket", unit: .gibibytes,
      advice: ("relay streams by splice", "relay streams by copying here")
    ) { way, bytes in
      var source = try StreamPair.tcp()
      var sink = try StreamPair.tcp()
      let ends = [
        try BenchEnd.feeding(source.takeNear(), bytes), try BenchEnd.swallowing(sink.takeFar()),
      ]
      return try ends.beside {
        var pipe = try SplicePipe()
        let from = source.takeFar()
        let to = sink.takeNear()
        try pipe.forward(from: from, to: to, options: way.options, waitingIn: .bench)
        try to.close()
      }
    },
    BenchJob(
      name: "one to four", unit: .gibibytes,
      advice: ("one stream for many sinks by tee", "one stream for many sinks by copying here")
    ) { way, bytes in try spread(way, bytes, sinks: 4) },
    BenchJob(
      name: "messages of 100 bytes", unit: .messages,
      advice: ("even small messages", "small messages are copied, which splice does by itself")
    ) { way, messages in
      var client = try StreamPair.tcp()
      var server = try StreamPair.tcp()
      let ends = [
        try BenchEnd.asking(client.takeNear(), messages), try BenchEnd.echoing(server.takeFar()),
      ]
      return try ends.beside {
        var duplex = Duplex()
        let first = client.takeFar()
        let second = server.takeNear()
        try duplex.run(
          between: first, and: second, options: Duplex.Options(way.options), waitingIn: .bench)
      }
    },
    BenchJob(
      name: "memory, 64 KiB each", unit: .gibibytes,
      advice: (
        "vmsplice for a ring whose reader copies (PageRing)", "write from memory, without vmsplice"
      )
    ) { way, bytes in try [BenchEnd]().beside { try memory(way, bytes, block: 64 << 10) } },
  ]
}

extension BenchJob.Way {
  fileprivate var options: FlowOptions { FlowOptions(via: self == .copying ? .copy : .splice) }
}

extension BlockingWait {
  /// What stands still is not waited for.
  static var bench: BlockingWait { BlockingWait(until: .now + .seconds(20)) }
}

// MARK: - Jobs

extension BenchJob {
  /// A cached file, again and again.
  private static func file(
    to sink: consuming Descriptor, _ way: Way, _ bytes: Int
  ) throws {
    let sample = try SampleFile.shared.get()
    var pipe = try SplicePipe()
    var left = bytes
    while left > 0 {
      try sample.rewind()
      let count = try pipe.forward(
        from: sample.file, to: sink, upTo: UInt64(left), options: way.options, waitingIn: .bench)
      if count == 0 { throw SpliceError.source(.ioError) }
      left -= Int(count)
    }
    try sink.close()
  }

  /// A pipe to so many pipes: by tee, or by one read and a write to each.
  private static func spread(_ way: Way, _ bytes: Int, sinks count: Int) throws -> Cost {
    let source = try BenchEnd.pipe()
    var ends = [try BenchEnd.feeding(Descriptor(owning: source.writer), bytes)]
    let from = Descriptor(owning: source.reader)
    var sinks: [Held] = []
    for _ in 0..<count {
      let pipe = try BenchEnd.pipe()
      sinks.append(Held(pipe.writer))
      ends.append(try BenchEnd.swallowing(Descriptor(owning: pipe.reader)))
    }
    if way == .copying {
      return try ends.beside {
        try copy(from, to: sinks)
        sinks = []
      }
    }
    let fan = try FanOut()
    let servers = try sinks.map { sink in
      let own = Descriptor(owning: try sink.lend { sink throws(Errno) in try Syscall.duplicate(sink) })
      let attached = try fan.attach()
      return try BenchEnd(own) { end in
        try attached.drain(to: end, options: way.options, waitingIn: .bench)
      }
    }
    sinks = []
    return try ends.beside {
      try servers.during {
        // The sinks are not kept waiting for what does not come.
        do { try fan.fill(from: from, options: way.options, waitingIn: .bench) } catch {
          fan.invalidate()
          throw error
        }
        fan.finish()
      }
    }
  }

  private static func copy(_ source: borrowing Descriptor, to sinks: [Held]) throws(Errno) {
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count = try source.withFileDescriptor { source throws(Errno) in try source.read(into: &buffer) }
      if count == 0 { return }
      for sink in sinks {
        try sink.lend { sink throws(Errno) in try sink.write(all: buffer[..<count]) }
      }
    }
  }

  /// Memory that is filled anew each time, into a pipe that is emptied.
  private static func memory(_ way: Way, _ bytes: Int, block: Int) throws {
    var pipe = try SplicePipe()
    // Past a user's budget pipes are small.
    let block = min(block, pipe.capacity)
    let null = try Descriptor.open("/dev/null", .writeOnly)
    var ring = try PageRing(vouchingForTheReaderOf: pipe)
    var buffer = [UInt8](repeating: 0, count: block)
    for round in 0..<bytes / block {
      let value = UInt8(truncatingIfNeeded: round)
      let moved: Transfer
      switch way {
      case .copying:
        unsafe buffer.withUnsafeMutableBytes { unsafe $0.set(to: value) }
        // Bytes are bytes.
        moved = try pipe.write(unsafe buffer.span.bytes)
      case .splicing:
        ring.fill(upTo: block) { output in
          unsafe output.withUnsafeMutableBytes { bytes, count in
            count = min(block, bytes.count)
            unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]).set(to: value)
          }
        }
        moved = try pipe.vmsplice(&ring)
        if pipe.receivedBy.copy > 0 { throw SpliceError.pipe(.notSupported) }
      }
      if moved != .bytes(block) { throw SpliceError.pipe(.noBufferSpace) }
      try pipe.drain(to: null, waitingIn: .bench)
    }
  }
}

extension UnsafeMutableRawBufferPointer {
  fileprivate func set(to value: UInt8) {
    // Within its own bounds.
    if let base = baseAddress { unsafe memset(base, CInt(value), count) }
  }
}

// MARK: - The cached file

/// A file in the page cache, which has no name.
final class SampleFile: Sendable {
  let file: Descriptor

  /// Made once, for all runs.
  static let shared = Result { try SampleFile() }

  private init() throws {
    var (made, failure) = (Held?.none, Errno.noSpace)
    // Smaller where files may not be large.
    for size in [64 << 20, 1 << 20, 64 << 10] where made == nil {
      do throws(Errno) {
        let file = try Self.make()
        // Written, as holes need no pages everywhere.
        let block = [UInt8](repeating: 1, count: 64 << 10)
        for _ in 0..<size / block.count {
          try file.lend { file throws(Errno) in try file.write(all: block[...]) }
        }
        made = file
      } catch { failure = error }
    }
    guard let made else { throw failure }
    file = Descriptor(owning: try made.lend { number throws(Errno) in try Syscall.duplicate(number) })
  }

  /// On a disk where that is possible, in memory else.
  private static func make() throws(Errno) -> Held {
    let places = [Syscall.environment("TMPDIR").map { FilePath($0) }, "/var/tmp", "/tmp", "."]
    if let file = places.lazy.compactMap({ $0 }).compactMap({ try? UnnamedFile.make(in: $0) }).first {
      return file
    }
    return Held(try Syscall.memfd(named: "splice-bench"))
  }

  func rewind() throws(Errno) {
    _ = try file.withFileDescriptor { file throws(Errno) in
      try Syscall.lseek(file, to: 0, from: .start)
    }
  }
}
