// Bytes that may be shared and never change: what travels between pipes and Swift code without being copied.

import SystemPackage

/// Some bytes of a piece of memory that is counted and shared: a collection of bytes, of which `Array`,
/// `Data` or `ByteBuffer` can be made.
///
/// Copying the value shares the memory, as `tee` does.
public struct PipeSegment: Sendable {
  var slot: Slot

  init(_ slot: Slot) { self.slot = slot }

  /// Bytes seen.
  public var count: Int { slot.length }

  /// New memory for this many bytes, which `body` initializes from the front; what it leaves out is not part
  /// of the segment.
  public init<Failure: Error>(
    upTo count: Int, initializing body: (inout OutputRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    let segment = Segment(count: Swift.max(count, 1))
    let free = unsafe UnsafeMutableRawBufferPointer(rebasing: segment.bytes[..<count])
    // The memory is this segment's alone until the span is gone.
    var output = unsafe OutputRawSpan(buffer: free, initializedCount: 0)
    try body(&output)
    let length = unsafe output.finalize(for: free)
    self.init(Slot(segment, from: 0, length: length, grows: false))
  }

  /// A copy of some bytes.
  public init(copying bytes: borrowing RawSpan) {
    let segment = Segment(count: Swift.max(bytes.byteCount, 1))
    unsafe bytes.withUnsafeBytes { unsafe segment.bytes.copyMemory(from: $0) }
    self.init(Slot(segment, from: 0, length: bytes.byteCount, grows: false))
  }

  /// A copy of a collection of bytes.
  public init(copying bytes: some Collection<UInt8>) {
    // The memory is lent for the time of the call.
    let copy = bytes.withContiguousStorageIfAvailable { unsafe PipeSegment(copying: $0.span.bytes) }
    self = unsafe copy ?? PipeSegment(copying: Array(bytes).span.bytes)
  }

  /// Lends the bytes, for the time of the call.
  public func withBytes<Result, Failure: Error>(
    _ body: (borrowing RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe slot.withBytes { bytes throws(Failure) in try unsafe body(bytes.bytes) }
  }

  /// The first bytes become a segment of their own, and leave this one.
  mutating func removePrefix(_ count: Int) -> PipeSegment {
    let prefix = PipeSegment(slot.prefix(count))
    slot.removeFirst(count)
    return prefix
  }
}

extension PipeSegment: RandomAccessCollection {
  /// Where the first byte is: 0.
  public var startIndex: Int { 0 }

  /// Behind the last byte.
  public var endIndex: Int { count }

  /// One byte.
  public subscript(position: Int) -> UInt8 {
    precondition(indices.contains(position), "no such byte")
    return unsafe slot.withBytes { bytes in unsafe bytes[position] }
  }

  /// Lends the bytes, for the time of the call.
  public func withContiguousStorageIfAvailable<Result>(
    _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
  ) rethrows -> Result? {
    // The memory is lent for the time of the call.
    try unsafe slot.withBytes { bytes in try unsafe bytes.withMemoryRebound(to: UInt8.self, body) }
  }
}
