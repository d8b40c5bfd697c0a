// Urgent data, at which splice stops and a copy does not, through everything that moves bytes: all ordinary
// bytes arrive.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Everything that takes bytes from a descriptor until it ends.
private enum Mover: String, CaseIterable, Sendable {
  case flow, duplex, writer, fanOut, code, sendfileLike
}

/// What is queued before anything is read: ordinary bytes, and urgent ones in between.
private struct Stream: Sendable, CustomTestStringConvertible {
  /// Counts of ordinary bytes, with an urgent one between each two.
  let parts: [Int]
  /// Whether an end follows.
  var ends = true

  var testDescription: String { "\(parts)\(ends ? ", end" : "")" }

  static let all = [
    Stream(parts: [0, 60_000]), Stream(parts: [30_000, 30_000]), Stream(parts: [60_000, 0]),
    Stream(parts: [10_000, 1, 20_000, 0, 29_999]), Stream(parts: [0, 0, 0, 60_000, 0]),
    Stream(parts: [0, 60_000], ends: false), Stream(parts: [30_000, 30_000], ends: false),
  ]

  /// Nothing urgent is among these.
  var ordinary: [UInt8] { bytes(parts.reduce(0, +)).map { $0 & 0x7f } }

  func write(to socket: borrowing Descriptor) throws {
    var rest = ordinary[...]
    for (index, count) in parts.enumerated() {
      if index > 0 {
        var urgent: UInt8 = 0xff
        try #require(socket.withFileDescriptor { send($0.rawValue, &urgent, 1, CInt(MSG_OOB)) } == 1)
      }
      try socket.writeAll(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
    if ends { try socket.withFileDescriptor { try Syscall.shutdown($0, .writing) } }
  }
}

/// Keeps what it takes.
private struct Keeping: SpliceSink {
  var taken: [UInt8] = []
  mutating func drain(_ pipe: inout SplicePipe) async throws { taken += try pipe.contents() }
}

@Suite(.mayBlock) struct UrgentTests {
  private static let deadline = Duration.seconds(60)

  @Test(arguments: SplicePipe.Storage.allCases, Stream.all)
  private func `all ordinary bytes arrive`(_ body: SplicePipe.Storage, _ stream: Stream) async throws {
    for mover in Mover.allCases {
      for waiting in [Waiting.async, .blocking] {
        let source = try Ends.tcp()
        try stream.write(to: source.near)
        let limit = stream.ends ? UInt64.max : UInt64(stream.ordinary.count)
        let got = try await move(mover, waiting, body, from: source.far, upTo: limit)
        // Of several urgent bytes the kernel takes out the last one at least.
        #expect(got.filter { $0 != 0xff } == stream.ordinary, "\(mover) \(waiting)")
      }
    }
  }

  /// What has arrived.
  private func move(
    _ mover: Mover, _ waiting: Waiting, _ body: SplicePipe.Storage, from source: borrowing Descriptor,
    upTo limit: UInt64
  ) async throws -> [UInt8] {
    var sink = try Ends.unix()
    let far = sink.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    let near = Descriptor(owning: sink.giveNear())
    let end = ContinuousClock.now + Self.deadline
    let poll = BlockingWait(until: end)
    switch mover {
    case .flow, .sendfileLike:
      var pipe = try SplicePipe(body)
      let options = FlowOptions(via: mover == .flow ? .automatic : body == .kernel ? .splice : .copy)
      switch waiting {
      case .async: try await pipe.forward(from: source, to: near, upTo: limit, options: options, until: end)
      case .blocking: try pipe.forward(from: source, to: near, upTo: limit, options: options, waitingIn: poll)
      }
    case .duplex:
      // It has no limit, so one that does not end is left to the others.
      guard limit == .max else {
        _ = consume near
        _ = try reader.join()
        return try await move(.flow, waiting, body, from: source, upTo: limit)
      }
      var duplex = Duplex()
      near.withFileDescriptor { try? Syscall.shutdown($0, .reading) }
      switch waiting {
      case .async: try await duplex.run(between: source, and: near, until: end)
      case .blocking: try duplex.run(between: source, and: near, waitingIn: poll)
      }
    case .writer:
      let ends = try SplicePipe(body, capacity: 16 << 10).split()
      let (outEnd, inEnd) = (Box(ends.reader), Box(ends.writer))
      let out = near.release()
      let drained = onThread {
        var reader = outEnd.take()
        try reader.drain(to: Descriptor(owning: out), waitingIn: poll)
      }
      var writer = inEnd.take()
      switch waiting {
      case .async: try await writer.fill(from: source, upTo: limit, until: end)
      case .blocking: try writer.fill(from: source, upTo: limit, waitingIn: poll)
      }
      _ = consume writer
      _ = try drained.join()
      return try reader.join()
    case .fanOut:
      let fan = try FanOut(body)
      let one = try fan.attach()
      let out = near.release()
      let drained = onThread { try one.drain(to: Descriptor(owning: out), waitingIn: poll) }
      switch waiting {
      case .async: try await fan.fill(from: source, upTo: limit, until: end)
      case .blocking: try fan.fill(from: source, upTo: limit, waitingIn: poll)
      }
      fan.finish()
      _ = try drained.join()
      return try reader.join()
    case .code:
      var pipe = try SplicePipe(body)
      var keeping = Keeping()
      try await pipe.forward(from: source, to: &keeping, upTo: limit)
      _ = consume near
      _ = try reader.join()
      return keeping.taken
    }
    _ = consume near
    return try reader.join()
  }
}
