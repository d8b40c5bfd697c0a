// Pipes within one process: what passes through them, and what a slot costs.

import Splice
import SystemPackage

enum Within {
  /// Blocks are written and read again, until so many bytes have passed.
  static func writeAndRead(_ body: SplicePipe.Body, block: Int, total: Int) throws {
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
