// Bytes that a program has, as a source, and bytes that it wants, as a sink.

import SystemPackage

/// Bytes in memory as a source: an array, a slice, `Data`, a `ByteBufferView`, any collection of them. They
/// are copied once, into the pipe.
///
/// ```swift
/// var greeting = BytesSource(Array("hello\n".utf8))
/// try await pipe.forward(from: &greeting, to: socket)
/// ```
public struct BytesSource<Bytes: Collection>: SpliceSource where Bytes.Element == UInt8 {
  /// What has not gone in yet.
  private var rest: Bytes.SubSequence

  /// Of what does not lie in one piece of memory, so much is made one at a time.
  private static var piece: Int { 64 << 10 }

  /// All of them, from the first.
  public init(_ bytes: Bytes) { rest = bytes[...] }

  /// Puts in what there is room for.  C: `write`
  public mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    if rest.isEmpty { return .endOfFile }
    let transfer =
      // The memory is lent for the time of the call.
      try unsafe rest.withContiguousStorageIfAvailable { buffer in
        try pipe.write(unsafe UnsafeBufferPointer(rebasing: buffer.prefix(limit)).span.bytes)
      } ?? pipe.write(Array(rest.prefix(min(limit, Self.piece))).span.bytes)
    if case .bytes(let count) = transfer { rest.removeFirst(count) }
    return transfer
  }
}

extension BytesSource: Sendable where Bytes.SubSequence: Sendable {}

/// Collects what flows in: as an array, as `Data`, as any collection that can grow. A limit of the flow is
/// the limit of this.
///
/// ```swift
/// var answer = BytesSink<[UInt8]>()
/// try await pipe.forward(from: socket, to: &answer, upTo: 1 << 20)
/// ```
public struct BytesSink<Bytes: RangeReplaceableCollection>: SpliceSink where Bytes.Element == UInt8 {
  /// What has come so far.
  public private(set) var bytes: Bytes

  /// Goes on behind some bytes.
  public init(_ bytes: Bytes = Bytes()) { self.bytes = bytes }

  /// Takes all there is.  C: `read`
  public mutating func drain(_ pipe: inout SplicePipe) async throws {
    while let segment = try pipe.takeSegment() {
      // The memory is lent for the time of the call.
      segment.withBytes { span in unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) } }
    }
  }
}

extension BytesSink: Sendable where Bytes: Sendable {}
