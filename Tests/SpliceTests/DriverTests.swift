// Sources and sinks that are Swift code, and sequences of segments.

import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Segments of some bytes, one after the other.
private func pieces(of content: [UInt8], each size: Int) -> AsyncStream<PipeSegment> {
  AsyncStream { continuation in
    for start in stride(from: 0, to: content.count, by: size) {
      let piece = Array(content[start..<min(start + size, content.count)])
      continuation.yield(PipeSegment(copying: piece.span.bytes))
    }
    continuation.finish()
  }
}

extension PipeSegment {
  fileprivate var array: [UInt8] {
    withBytes { bytes in (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) } }
  }
}

/// Takes a few bytes at a time, and fails when it is told to.
private struct Sipping: SpliceSink {
  struct Full: Error, Equatable {}
  var taken: [UInt8] = []
  var limit = Int.max

  mutating func drain(_ pipe: inout SplicePipe) async throws {
    if taken.count >= limit { throw Full() }
    guard let segment = try pipe.takeSegment(upTo: min(1000, limit - taken.count)) else { return }
    taken += segment.array
  }
}

/// Counts up.
private struct Counting: SpliceSource {
  var next = 0
  let count: Int

  mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    let piece = (next..<min(next + 700, next + limit, count)).map { UInt8(truncatingIfNeeded: $0) }
    if piece.isEmpty { return .endOfFile }
    let transfer = try pipe.write(piece)
    if case .bytes(let taken) = transfer { next += taken }
    return transfer
  }
}

@Suite(.mayBlock) struct DriverTests {
  /// A source that answers only what its peer has seen: what is in the pipe goes first.
  @Test(arguments: SplicePipe.Storage.allCases)
  func `what is held goes out before code is asked`(_ body: SplicePipe.Storage) async throws {
    struct Echo: SpliceSource, ~Copyable {
      let heard: Descriptor
      mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
        try await heard.wait(as: .source, until: .now + .seconds(20), waitingOn: .epoll)
        return .endOfFile
      }
    }
    let ends = try Ends.unix()
    var pipe = try SplicePipe(body)
    try pipe.write([1, 2, 3, 4])
    var source = Echo(heard: Descriptor(owning: try ends.far.duplicate()))
    #expect(try await pipe.forward(from: &source, to: ends.near) == 4)
    #expect(try ends.far.read(exactly: 4) == [1, 2, 3, 4])
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `bytes go from code to code`(_ body: SplicePipe.Storage) async throws {
    var source = Counting(count: 100_000)
    var sink = Sipping()
    var pipe = try SplicePipe(body, capacity: 16 << 10)
    #expect(try await pipe.forward(from: &source, to: &sink, upTo: 40_000) == 40_000)
    #expect(source.next == 40_000)
    #expect(try await pipe.forward(from: &source, to: &sink) == 60_000)
    #expect(sink.taken == (0..<100_000).map { UInt8(truncatingIfNeeded: $0) })
    #expect(pipe.isBalanced && pipe.count == 0)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `what the code did not take stays in the pipe`(_ body: SplicePipe.Storage) async throws {
    let content = bytes(50_000)
    let file = try TemporaryFile(content).open(.readOnly)
    var sink = Sipping(limit: 12_345)
    var pipe = try SplicePipe(body, capacity: 16 << 10)
    await #expect(throws: Sipping.Full()) { try await pipe.forward(from: file, to: &sink) }
    #expect(pipe.delivered == 12_345 && pipe.isBalanced && pipe.count > 0)
    let rest = try TemporaryFile()
    try await pipe.forward(from: file, to: rest.open(.writeOnly))
    #expect(try sink.taken + rest.contents == content)
  }

  /// More than was asked for is an error of the source, and is in the pipe.
  @Test func `code that gives too much is refused`() async throws {
    struct Generous: SpliceSource {
      mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
        try pipe.write([1, 2, 3, 4, 5])
      }
    }
    var (source, sink) = (Generous(), Sipping())
    var pipe = try SplicePipe(.memory)
    await #expect(throws: SpliceError.source(.invalidArgument)) {
      try await pipe.forward(from: &source, to: &sink, upTo: 3)
    }
    #expect(pipe.count == 5)
  }

  /// What the source says is not hidden by a sink that is gone when the rest goes out.
  @Test func `the source of a fan-out fails`() async throws {
    struct Broken: Error, Equatable {}
    struct Failing: SpliceSource, ~Copyable {
      let fan: FanOut
      var sink: FanOut.Sink?
      mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
        _ = try pipe.write([1, 2, 3])
        sink = nil
        throw Broken()
      }
    }
    let fan = try FanOut(.memory)
    var source = Failing(fan: fan, sink: try fan.attach())
    await #expect(throws: Broken()) { try await fan.fill(from: &source) }
  }

  /// Also when the source does not look at it, and gives little.
  @Test func `a cancelled fan-out asks its source no more`() async throws {
    final class Asked: Sendable { let count = Atomic<Int>(0) }
    struct Deaf: SpliceSource {
      let asked: Asked
      mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
        asked.count.add(1, ordering: .relaxed)
        withUnsafeCurrentTask { $0?.cancel() }
        return try pipe.write([1])
      }
    }
    let (asked, fan) = (Asked(), try FanOut(.memory))
    let sink = try fan.attach()
    let filling = Task {
      var source = Deaf(asked: asked)
      try await fan.fill(from: &source)
    }
    await #expect(throws: SpliceError.cancelled) { try await filling.value }
    #expect(asked.count.load(ordering: .relaxed) == 1)
    sink.detach()
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `bytes go from code to a descriptor that fails`(_ body: SplicePipe.Storage) async throws {
    var source = Counting(count: 100_000)
    var pipe = try SplicePipe(body, capacity: 16 << 10)
    let full = try device("/dev/full", .writeOnly)
    await #expect(throws: SpliceError.sink(.noSpace)) { try await pipe.forward(from: &source, to: full) }
    #expect(pipe.count == source.next)
    let target = try TemporaryFile()
    try await pipe.forward(from: &source, to: target.open(.writeOnly))
    #expect(try target.contents == (0..<100_000).map { UInt8(truncatingIfNeeded: $0) })
  }

  @Test func `a sequence passes through a pipe in memory without being copied`() async throws {
    let content = bytes(2_000_000, seed: 2)
    let ends = try SplicePipe(.memory, capacity: 64 << 10).split()
    let outcome = try await ends.run(
      reading: { reader in
        var all: [UInt8] = []
        while let segment = try await reader.next() { all += segment.array }
        return all
      },
      writing: { writer in
        var source = SequenceSource(pieces(of: content, each: 10_000))
        var pipe = try SplicePipe(.memory, capacity: 64 << 10)
        try await pipe.forward(from: &source, to: &writer)
        return (pipe.receivedBy, pipe.deliveredBy)
      })
    #expect(outcome.read == content)
    #expect(outcome.written.0 == PathCounts(splice: 2_000_000))
    #expect(outcome.written.1 == PathCounts(splice: 2_000_000))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a sequence goes to a descriptor, and one comes from it`(_ body: SplicePipe.Storage) async throws {
    let content = bytes(1_000_000, seed: 7)
    let file = try TemporaryFile()
    var source = SequenceSource(pieces(of: content, each: 7777))
    var pipe = try SplicePipe(body, capacity: 32 << 10)
    #expect(try await pipe.forward(from: &source, to: file.open(.writeOnly)) == 1_000_000)
    #expect(try file.contents == content)

    let outcome = try await SplicePipe(body, capacity: 32 << 10).split().run(
      reading: { reader in
        var all: [UInt8] = []
        while let segment = try await reader.next() { all += segment.array }
        return all
      },
      writing: { writer in try await writer.fill(from: file.open(.readOnly)) })
    #expect(outcome.read == content)
  }

  @Test func `a cancelled iteration leaves the bytes to the next`() async throws {
    let ends = try SplicePipe(.memory).split()
    let writer = Box(ends.writer)
    let segments = ends.reader.segments()
    let waiting = Task { () -> String in
      do {
        for try await segment in segments { return "\(segment.count)" }
        return "ended"
      } catch { return "\(error)" }
    }
    waiting.cancel()
    #expect(await waiting.value == "\(SpliceError.cancelled)")
    var end = writer.take()
    var first = PipeSegment(copying: bytes(300).span.bytes)
    try await end.send(&first)
    #expect(first.count == 0 && end.count == 300)
    var seen: [UInt8] = []
    _ = consume end
    for try await segment in segments { seen += segment.array }
    #expect(seen == bytes(300))
  }

  @Test func `a segment is made in place and shared by tee`() throws {
    var segment = PipeSegment(upTo: 10_000) { output in
      for byte in 0..<9000 { output.append(UInt8(truncatingIfNeeded: byte), as: UInt8.self) }
    }
    #expect(segment.count == 9000)
    let expected = segment.array
    var pipe = try SplicePipe(.memory, capacity: 4096)
    #expect(try pipe.splice(from: &segment, upTo: 5000) == .bytes(5000))
    #expect(segment.count == 4000)
    #expect(try pipe.splice(from: &segment) == .wouldBlock)
    var other = try SplicePipe(.memory)
    #expect(try pipe.tee(to: &other) == .bytes(5000))
    let (one, two) = (try pipe.takeSegment(), try other.takeSegment())
    #expect(one?.array == Array(expected[..<5000]) && two?.array == one?.array)
    #expect(one?.slot.segment === two?.slot.segment)
    let none = try pipe.takeSegment()
    #expect(none.map(\.count) == nil)
  }
}
