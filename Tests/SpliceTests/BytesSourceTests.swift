// Bytes that a program has, as a source, and bytes that it wants, as a sink.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct BytesSourceTests {
  private static let content = bytes(300_000, seed: 4)

  @Test(arguments: [SplicePipe.Storage.kernel, .memory], [4096, 1 << 20])
  func `the bytes arrive, whatever holds them`(_ storage: SplicePipe.Storage, _ capacity: Int) async throws {
    func passes(_ bytes: some Collection<UInt8>) async throws {
      var pipe = try SplicePipe(storage, capacity: capacity)
      var source = BytesSource(bytes)
      var sink = BytesSink<[UInt8]>()
      let count = try await pipe.forward(from: &source, to: &sink)
      #expect(count == UInt64(bytes.count) && sink.bytes.elementsEqual(bytes))
    }
    let content = Self.content
    try await passes(content)
    try await passes(content[1000..<200_001])
    try await passes(ContiguousArray(content))
    try await passes(Data(content))
    try await passes(Data(content)[7...])
    // In no one piece of memory.
    try await passes(AnyCollection(content))
    try await passes(content.lazy.map { $0 ^ 1 })
    try await passes([UInt8]())
  }

  @Test func `bytes go out between those of descriptors`() async throws {
    var ends = try Ends.unix()
    let near = ends.giveNear()
    let writing = Task {
      let socket = Descriptor(owning: near)
      var pipe = try SplicePipe()
      var source = BytesSource(Self.content)
      return try await pipe.forward(from: &source, to: socket)
    }
    var pipe = try SplicePipe()
    var head = BytesSink(Data("head: ".utf8))
    #expect(try await pipe.forward(from: ends.far, to: &head, upTo: 1000) == 1000)
    #expect(head.bytes == Data("head: ".utf8) + Self.content.prefix(1000))
    var rest = BytesSink<[UInt8]>()
    #expect(try await pipe.forward(from: ends.far, to: &rest) == 299_000)
    #expect(rest.bytes == Array(Self.content.dropFirst(1000)))
    #expect(try await writing.value == 300_000)
  }

  /// What a limit leaves is given by the next flow.
  @Test func `a source goes on where it stopped`() async throws {
    var pipe = try SplicePipe(.memory)
    var source = BytesSource(Self.content)
    var sink = BytesSink<[UInt8]>()
    #expect(try await pipe.forward(from: &source, to: &sink, upTo: 100_001) == 100_001)
    #expect(try await pipe.forward(from: &source, to: &sink) == 199_999)
    #expect(sink.bytes == Self.content)
  }

  // MARK: - Sequences

  @Test(arguments: [SplicePipe.Storage.kernel, .memory])
  func `a sequence of anything that is bytes is a source`(_ storage: SplicePipe.Storage) async throws {
    func passes(_ pieces: [some Collection<UInt8> & Sendable & SendableMetatype]) async throws {
      let stream = AsyncStream { continuation in
        for piece in pieces { continuation.yield(piece) }
        continuation.finish()
      }
      let source = Handover(SequenceSource(copying: stream))
      // In another task.
      let task = Task {
        var source = source.take()
        var pipe = try SplicePipe(storage, capacity: 8192)
        var sink = BytesSink<[UInt8]>()
        try await pipe.forward(from: &source, to: &sink)
        return sink.bytes
      }
      #expect(try await task.value == pieces.flatMap { $0 })
    }
    let content = Self.content
    let pieces = stride(from: 0, to: content.count, by: 7001).map {
      content[$0..<min($0 + 7001, content.count)]
    }
    try await passes(pieces.map(Array.init))
    try await passes(pieces)
    try await passes(pieces.map { Data($0) })
    try await passes(pieces.map { PipeSegment(copying: $0) })
    try await passes([[], [1], [], [2, 3]] as [[UInt8]])
  }

  @Test func `a segment is a collection`() {
    let segment = PipeSegment(copying: Self.content[10..<5010])
    #expect(segment.count == 5000 && segment[0] == Self.content[10] && segment.last == Self.content[5009])
    #expect(
      Array(segment) == Array(Self.content[10..<5010]) && Data(segment) == Data(Self.content[10..<5010]))
    #expect(Array(segment.dropFirst(4990)) == Array(Self.content[5000..<5010]))
    #expect(PipeSegment(copying: EmptyCollection()).isEmpty)
    #expect(Array(PipeSegment(copying: (0..<200).lazy.map { UInt8($0) })) == (0..<200).map { UInt8($0) })
  }
}
