// Pipes within one process: what passes through them, and what a slot costs.

import Glibc
import Splice
import SystemPackage

enum Within {
  /// Blocks are written and read again, until so many bytes have passed.
  static func writeAndRead(_ body: SplicePipe.Storage, block: Int, total: Int) throws {
    var pipe = try SplicePipe(body)
    let input = [UInt8](repeating: 1, count: block)
    var output = [UInt8](repeating: 0, count: block)
    for _ in 0..<(total + block - 1) / block {
      guard try pipe.write(input.span.bytes) == .bytes(block) else { preconditionFailure("a short write") }
      let transfer = try output.withUnsafeMutableBytes { buffer throws(Errno) in
        var span = OutputRawSpan(buffer: buffer, initializedCount: 0)
        return try pipe.read(into: &span)
      }
      guard transfer == .bytes(block) else { preconditionFailure("a short read") }
    }
  }

  /// A full pipe is duplicated into eight others, which are moved on and dropped.
  static func tee(total: Int) throws {
    var pipe = try SplicePipe(.memory)
    var sink = try SplicePipe(.memory)
    try fill(&pipe)
    for _ in 0..<total / pipe.count {
      for _ in 0..<8 {
        guard try pipe.tee(to: &sink) == .bytes(pipe.count) else { preconditionFailure("a short tee") }
        drop(&sink)
      }
    }
  }

  /// A full pipe is moved to another and back.
  static func move(total: Int) throws {
    var pipe = try SplicePipe(.memory)
    var other = try SplicePipe(.memory)
    try fill(&pipe)
    let count = pipe.count
    for _ in 0..<total / count / 2 {
      guard try pipe.splice(to: &other) == .bytes(count), try other.splice(to: &pipe) == .bytes(count) else {
        preconditionFailure("a short move")
      }
    }
  }

  private static func fill(_ pipe: inout SplicePipe) throws {
    let page = [UInt8](repeating: 1, count: 4096)
    while pipe.hasRoom { _ = try pipe.write(page.span.bytes) }
  }

  /// Its slots are let go.
  private static func drop(_ pipe: inout SplicePipe) {
    while let segment = try? pipe.takeSegment() { _ = segment }
  }
}

// MARK: - Memory that is filled anew each time, into a pipe that is emptied into /dev/null

extension Within {
  static func give(_ how: String, block: Int, total: Int) throws {
    var pipe = try SplicePipe()
    let null = Descriptor(owning: try FileDescriptor.open("/dev/null", .writeOnly))
    var ring = try PageRing(vouchingForTheReaderOf: pipe)
    var buffer = [UInt8](repeating: 0, count: block)
    for round in 0..<total / block {
      let value = UInt8(truncatingIfNeeded: round)
      switch how {
      case "write":
        buffer.withUnsafeMutableBytes { set($0, to: value) }
        _ = try pipe.write(buffer.span.bytes)
      case "pages":
        var pages = try Pages(upTo: block) { output in output.fill(block, with: value) }
        _ = try pipe.vmsplice(&pages)
      default:
        ring.fill(upTo: block) { output in output.fill(block, with: value) }
        _ = try pipe.vmsplice(&ring)
      }
      guard pipe.count == block else { preconditionFailure("a short one") }
      while pipe.count > 0 { _ = try pipe.splice(to: null) }
    }
  }
}

private func set(_ bytes: UnsafeMutableRawBufferPointer, to value: UInt8) {
  if let base = bytes.baseAddress { memset(base, Int32(value), bytes.count) }
}

extension OutputRawSpan {
  fileprivate mutating func fill(_ count: Int, with value: UInt8) {
    withUnsafeMutableBytes { bytes, initialized in
      set(UnsafeMutableRawBufferPointer(rebasing: bytes[..<count]), to: value)
      initialized = count
    }
  }
}

// MARK: - Buffers from one task to another

extension Within {
  private static let segmentSize = 64 << 10

  private static func segments(_ total: Int) -> AsyncStream<PipeSegment> {
    AsyncStream { continuation in
      Task {
        for round in 0..<total / segmentSize {
          continuation.yield(
            PipeSegment(upTo: segmentSize) { $0.fill(segmentSize, with: UInt8(truncatingIfNeeded: round)) })
          // No more in flight than a pipe would hold.
          if round % 16 == 15 { await Task.yield() }
        }
        continuation.finish()
      }
    }
  }

  /// Looks at every byte.
  private static func eat(_ segment: PipeSegment) -> Int {
    segment.withBytes { bytes in
      bytes.withUnsafeBytes {
        $0.withMemoryRebound(to: UInt64.self) { $0.reduce(0) { Int(truncatingIfNeeded: $1) &+ $0 } }
      }
    }
  }

  static func sequence(_ how: String, total: Int) async throws {
    var sum = 0
    if how == "direct" {
      for await segment in segments(total) { sum &+= eat(segment) }
    } else {
      let outcome = try await SplicePipe(.memory).split().run(
        reading: { reader in
          var sum = 0
          while let segment = try await reader.next() { sum &+= eat(segment) }
          return sum
        },
        writing: { writer in
          var source = SequenceSource(segments(total))
          var pipe = try SplicePipe(.memory)
          try await pipe.forward(from: &source, to: &writer)
        })
      sum = outcome.read
    }
    if sum == 1 { print("that was unlikely") }
  }
}
