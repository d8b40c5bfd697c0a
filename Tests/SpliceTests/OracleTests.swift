// The kernel as the oracle: the same random operations on both bodies, and whatever can be seen of them is
// the same.
//
// A sequence that tells them apart is shrunk to its shortest before it is reported, with its seed.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

/// Something done to one of a few pipes, or between two.
private enum Operation: Sendable, CustomStringConvertible {
  case write(Int, bytes: Int)
  case read(Int, upTo: Int)
  case splice(Int, to: Int, upTo: Int)
  case tee(Int, to: Int, upTo: Int)
  case resize(Int, to: Int)
  case fromFile(Int, at: Int64, upTo: Int)
  case fromZeros(Int, upTo: Int)
  case toFile(Int, upTo: Int)

  var description: String {
    switch self {
    case .write(let pipe, let bytes): "write(\(pipe), bytes: \(bytes))"
    case .read(let pipe, let limit): "read(\(pipe), upTo: \(limit))"
    case .splice(let pipe, let other, let limit): "splice(\(pipe), to: \(other), upTo: \(limit))"
    case .tee(let pipe, let other, let limit): "tee(\(pipe), to: \(other), upTo: \(limit))"
    case .resize(let pipe, let capacity): "resize(\(pipe), to: \(capacity))"
    case .fromFile(let pipe, let offset, let limit): "fromFile(\(pipe), at: \(offset), upTo: \(limit))"
    case .fromZeros(let pipe, let limit): "fromZeros(\(pipe), upTo: \(limit))"
    case .toFile(let pipe, let limit): "toFile(\(pipe), upTo: \(limit))"
    }
  }

  static func random(_ random: inout Random) -> Operation {
    let pipe = Int.random(in: 0..<3, using: &random)
    let other = (pipe + Int.random(in: 1..<3, using: &random)) % 3
    // Around the sizes at which something changes.
    let edges = [
      0, 1, 2, 100, 1000, 3996, 4095, 4096, 4097, 5000, 8191, 8192, 12_288, 20_000, 65_536, 100_000,
    ]
    var size = edges.randomElement(using: &random) ?? 0
    if Bool.random(using: &random) { size = max(0, size + Int.random(in: -3...3, using: &random)) }
    switch Int.random(in: 0..<20, using: &random) {
    case 0..<6: return .write(pipe, bytes: size)
    case 6..<10: return .read(pipe, upTo: size)
    case 10..<13: return .splice(pipe, to: other, upTo: size)
    case 13..<15: return .tee(pipe, to: other, upTo: size)
    case 15: return .resize(pipe, to: Int.random(in: 1...140_000, using: &random))
    case 16..<18: return .fromFile(pipe, at: Int64.random(in: 0...40_000, using: &random), upTo: size)
    case 18: return .fromZeros(pipe, upTo: size)
    default: return .toFile(pipe, upTo: size)
    }
  }
}

/// What is written, from some place on.
private let pattern = bytes(200_000, seed: 5)

/// What could be seen of an operation.
private struct Sight: Equatable {
  var outcome: String
  var bytes: [UInt8] = []
  var counts: [Int] = []
  var room: [Bool] = []
  var capacities: [Int] = []
}

/// Three pipes of one body, a file with bytes and one without.
private struct World: ~Copyable {
  var first, second, third: SplicePipe
  let file, zeros, sink: Descriptor
  let written: TemporaryFile
  var next = 0

  init(_ body: SplicePipe.Storage, _ content: TemporaryFile) throws {
    let first = try SplicePipe(body, capacity: 16_384)
    let second = try SplicePipe(body, capacity: 4096)
    let third = try SplicePipe(body, capacity: 65_536)
    let file = try content.open(.readOnly)
    let zeros = try device("/dev/zero")
    let written = try TemporaryFile()
    let sink = try written.open(.writeOnly)
    self.first = first
    self.second = second
    self.third = third
    self.file = file
    self.zeros = zeros
    self.written = written
    self.sink = sink
  }

  private mutating func with<Result>(
    _ pipe: Int, _ body: (inout SplicePipe) throws -> Result
  ) rethrows -> Result {
    switch pipe {
    case 0: try body(&first)
    case 1: try body(&second)
    default: try body(&third)
    }
  }

  private mutating func with<Result>(
    _ pipe: Int, _ other: Int, _ body: (inout SplicePipe, inout SplicePipe) throws -> Result
  ) rethrows -> Result {
    switch (pipe, other) {
    case (0, 1): try body(&first, &second)
    case (0, _): try body(&first, &third)
    case (1, 0): try body(&second, &first)
    case (1, _): try body(&second, &third)
    case (_, 0): try body(&third, &first)
    default: try body(&third, &second)
    }
  }

  mutating func run(_ operation: Operation) -> Sight {
    var sight = Sight(outcome: "")
    do {
      switch operation {
      case .write(let pipe, let count):
        // Other bytes each time.
        next = (next + 7919) % 50_000
        let start = next
        sight.outcome = "\(try with(pipe) { try $0.write(Array(pattern[start..<start + count])) })"
      case .read(let pipe, let limit):
        sight.bytes = try with(pipe) { try $0.readSome(upTo: limit, saying: &sight.outcome) }
      case .splice(let pipe, let other, let limit):
        sight.outcome = "\(try with(pipe, other) { try $0.splice(to: &$1, upTo: limit) })"
      case .tee(let pipe, let other, let limit):
        sight.outcome = "\(try with(pipe, other) { try $0.tee(to: &$1, upTo: limit) })"
      case .resize(let pipe, let capacity):
        with(pipe) { $0.resize(to: capacity) }
      case .fromFile(let pipe, let start, let limit):
        var offset = start
        let source = FileDescriptor(rawValue: file.withFileDescriptor { $0.rawValue })
        let descriptor = Descriptor(owning: try Syscall.duplicate(source))
        sight.outcome =
          "\(try with(pipe) { try $0.splice(from: descriptor, at: &offset, upTo: limit) }) \(offset)"
      case .fromZeros(let pipe, let limit):
        let descriptor = Descriptor(owning: try zeros.duplicate())
        sight.outcome = "\(try with(pipe) { try $0.splice(from: descriptor, upTo: limit) })"
      case .toFile(let pipe, let limit):
        let descriptor = Descriptor(owning: try sink.duplicate())
        sight.outcome = "\(try with(pipe) { try $0.splice(to: descriptor, upTo: limit) })"
      }
    } catch { sight.outcome = "\(error)" }
    for pipe in 0..<3 {
      with(pipe) {
        sight.counts.append($0.count)
        sight.room.append($0.hasRoom)
        sight.capacities.append($0.capacity)
      }
    }
    return sight
  }
}

extension SplicePipe {
  fileprivate mutating func readSome(upTo limit: Int, saying outcome: inout String) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: max(limit, 1)) { buffer, initialized in
      var output = OutputRawSpan(
        buffer: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<limit]),
        initializedCount: 0)
      let transfer = try read(into: &output)
      outcome = "\(transfer)"
      if case .bytes(let count) = transfer { initialized = count }
    }
  }
}

/// Where the two bodies differ first, if they do, and how.
private func difference(_ operations: [Operation], _ content: TemporaryFile) throws -> Difference? {
  var kernel = try World(.kernel, content)
  var memory = try World(.memory, content)
  for (index, operation) in operations.enumerated() {
    let (truth, claim) = (kernel.run(operation), memory.run(operation))
    if truth == claim { continue }
    return Difference(
      index: index,
      text:
        "\(operation): the kernel \(truth.outcome) \(truth.counts) \(truth.room), memory \(claim.outcome) \(claim.counts) \(claim.room)"
    )
  }
  if try kernel.written.contents == memory.written.contents { return nil }
  return Difference(index: operations.count - 1, text: "what was written")
}

@Suite(.mayBlock) struct OracleTests {
  @Test(arguments: 0..<8)
  func `both bodies are the same pipe`(_ worker: Int) throws {
    let content = try TemporaryFile(bytes(50_000, seed: 3))
    try campaign(rounds: 130, worker: worker, random: Operation.random) { try difference($0, content) }
  }
}
