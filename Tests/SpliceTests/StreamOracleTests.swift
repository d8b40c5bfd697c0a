// The kernel as the oracle where slots cannot be compared: sockets and pipes as sources and sinks, memory
// that is given, segments.
//
// What a socket puts into a slot depends on its fragments. So the pipes are never full here, and what is
// compared is the bytes, their order, the end and the errno.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Something that happens to a pipe, its source or its sink.
private enum Operation: Sendable {
  case feed(Int)
  case endSource
  case resetSource
  case fill(upTo: Int)
  case write(Int)
  case give(Int)
  case segment(Int)
  case drain(upTo: Int)
  case receive
  case takeSegments(upTo: Int)
  case closeSink
  case renewSource(Ends.Kind)
  case renewSink(Ends.Kind)

  static func random(_ random: inout Random) -> Operation {
    let size = [1, 100, 1000, 4095, 4096, 4097, 8192, 12_000].randomElement(using: &random) ?? 1
    let kind = Ends.Kind.allCases.randomElement(using: &random) ?? .pipe
    switch Int.random(in: 0..<40, using: &random) {
    case 0..<8: return .feed(size)
    case 8..<16: return .fill(upTo: Bool.random(using: &random) ? size : .max)
    case 16..<18: return .write(size)
    case 18..<20: return .give(size)
    case 20..<22: return .segment(size)
    case 22..<29: return .drain(upTo: Bool.random(using: &random) ? size : .max)
    case 29..<31: return .receive
    case 31: return .takeSegments(upTo: size * 3)
    case 32: return .endSource
    case 33: return .resetSource
    case 34: return .closeSink
    case 35..<37: return .renewSink(kind)
    default: return .renewSource(kind)
    }
  }
}

/// What could be seen of an operation.
private struct Sight: Equatable {
  var answer = ""
  var bytes: [UInt8] = []
  var count = 0
}

private let pattern = bytes(80_000, seed: 5)

/// A pipe of one body between a source and a sink.
private struct Course: ~Copyable {
  private var pipe: SplicePipe
  private var source = try! Ends.pipe()
  private var sink = try! Ends.pipe(size: 1 << 20)
  /// Bytes on their way to the far end of the sink.
  private var sent = 0
  private var fed = 0
  private var sinkIsOpen = true

  init(_ body: SplicePipe.Storage) throws { pipe = try SplicePipe(body, capacity: 1 << 20) }

  private static let nowhere = FileDescriptor(rawValue: -1)

  mutating func run(_ operation: Operation, _ number: Int) -> Sight {
    var sight = Sight()
    // Other bytes each time.
    func next(_ count: Int) -> [UInt8] {
      Array(pattern[number * 7919 % 50_000..<number * 7919 % 50_000 + count])
    }
    do {
      switch operation {
      case .feed(let count):
        // Not more than surely fits, of which a socket says nothing that one could go by.
        guard fed + count <= 32 << 10, source.near.withFileDescriptor({ $0.rawValue >= 0 }) else { break }
        try source.near.writeAll(next(count))
        fed += count
        try wait(for: fed, at: source.far)
      case .endSource:
        guard source.near.withFileDescriptor({ $0.rawValue >= 0 }) else { break }
        Self.close(&source.near)
        Self.waitForLoss(of: source.far)
      case .resetSource:
        guard source.near.withFileDescriptor({ $0.rawValue >= 0 }), source.near.kind == .tcpSocket else {
          break
        }
        try Self.reset(&source.near)
        Self.waitForLoss(of: source.far)
      case .fill(let limit):
        guard pipe.count < 512 << 10 else { break }
        let transfer = try pipe.splice(from: source.far, upTo: limit)
        if case .bytes(let count) = transfer { fed -= count }
        sight.answer = "\(transfer)"
      case .write(let count):
        guard pipe.count < 512 << 10 else { break }
        sight.answer = "\(try pipe.write(next(count)))"
      case .give(let count):
        guard pipe.count < 512 << 10 else { break }
        var pages = try Pages(upTo: count) { output in
          for byte in next(count) { output.append(byte, as: UInt8.self) }
        }
        sight.answer = "\(try pipe.vmsplice(&pages)) \(pages.count)"
      case .segment(let count):
        guard pipe.count < 512 << 10 else { break }
        var segment = PipeSegment(copying: next(count).span.bytes)
        sight.answer = "\(try pipe.splice(from: &segment)) \(segment.count)"
      case .drain(let limit):
        sight.answer = try drain(min(limit, (32 << 10) - sent))
      case .receive:
        guard sinkIsOpen else { break }
        sight.bytes = try sink.far.read(exactly: sent)
        sent = 0
      case .takeSegments(let limit):
        var left = limit
        while left > 0, let segment = try pipe.takeSegment(upTo: left) {
          segment.withBytes { span in
            for index in 0..<span.byteCount {
              sight.bytes.append(span.unsafeLoad(fromByteOffset: index, as: UInt8.self))
            }
          }
          left -= segment.count
        }
      case .closeSink:
        guard sinkIsOpen else { break }
        if sink.far.kind == .tcpSocket { try Self.reset(&sink.far) } else { Self.close(&sink.far) }
        sinkIsOpen = false
        Self.waitForLoss(of: sink.near)
      case .renewSource(let kind):
        source = try Ends.make(kind)
        fed = 0
      case .renewSink(let kind):
        sink = kind == .pipe ? try Ends.pipe(size: 1 << 20) : try Ends.make(kind)
        sinkIsOpen = true
        sent = 0
      }
    } catch { sight.answer = "\(error)" }
    sight.count = pipe.count
    return sight
  }

  /// Drains so many bytes, in as many calls as it takes: how many one takes depends on the slots.
  private mutating func drain(_ wanted: Int) throws -> String {
    var left = wanted
    while left > 0 {
      switch try pipe.splice(to: sink.near, upTo: left) {
      case .bytes(let count):
        left -= count
        sent += count
      case .endOfFile: return "ended"
      case .wouldBlock where pipe.count == 0: return "empty after \(wanted - left)"
      case .wouldBlock: try sink.near.wait(as: .sink, in: .poll)
      }
    }
    return "all"
  }

  private static func close(_ end: inout Descriptor) { end = Descriptor(owning: Self.nowhere) }

  /// What was not sent yet is thrown away, and the peer told so.
  private static func reset(_ end: inout Descriptor) throws {
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    let answer = end.withFileDescriptor {
      setsockopt($0.rawValue, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    }
    if answer < 0 { throw Errno(rawValue: errno) }
    close(&end)
  }

  /// Loopback delivers at once, but nobody promises it.
  private func wait(for count: Int, at end: borrowing Descriptor) throws {
    try waitUntil("\(count) bytes arrive") {
      try end.withFileDescriptor { try Syscall.bytesWaiting(in: $0) } >= count
    }
  }

  /// A program that another test starts holds a copy of what was closed for a moment.
  private static func waitForLoss(of end: borrowing Descriptor) {
    end.withFileDescriptor { end in
      // POLLRDHUP, which glibc keeps to itself.
      var poll = pollfd(fd: end.rawValue, events: 0x2000, revents: 0)
      while Glibc.poll(&poll, 1, -1) <= 0 {}
    }
  }
}

private func difference(_ operations: [Operation]) throws -> Difference? {
  var kernel = try Course(.kernel)
  var memory = try Course(.memory)
  for (index, operation) in operations.enumerated() {
    let (truth, claim) = (kernel.run(operation, index), memory.run(operation, index))
    if truth == claim { continue }
    let bytes = truth.bytes == claim.bytes ? "" : " (other bytes)"
    return Difference(
      index: index,
      text:
        "\(operation): the kernel \(truth.answer) \(truth.count), memory \(claim.answer) \(claim.count)\(bytes)"
    )
  }
  return nil
}

@Suite(.mayBlock) struct StreamOracleTests {
  @Test(arguments: 0..<4)
  func `both bodies carry the same streams`(_ worker: Int) throws {
    try campaign(rounds: 60, worker: worker, random: Operation.random, difference: difference)
  }
}
