import CZlib
import Splice
import SystemPackage

/// Compresses what flows into it, and hands it on to a descriptor.
struct Gzip: SpliceSink, ~Copyable {
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  private var compressed: SplicePipe
  private let sink: Descriptor

  init(to sink: consuming Descriptor) throws(Errno) {
    compressed = try SplicePipe(.memory)
    self.sink = sink
    stream.initialize(to: z_stream())
    deflateInit2_(  // 16 more than the window's size: with a header of gzip
      stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      CInt(MemoryLayout<z_stream>.size))
  }

  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  mutating func drain(_ pipe: inout SplicePipe) async throws {
    guard let segment = try pipe.takeSegment(upTo: 256 << 10) else { return }
    try segment.withBytes { bytes throws(Errno) in try compress(bytes, Z_NO_FLUSH) }
    try await compressed.drain(to: sink)
  }

  /// Nothing follows.
  mutating func finish() async throws {
    try compress(RawSpan(), Z_FINISH)
    try await compressed.drain(to: sink)
  }

  private mutating func compress(_ bytes: borrowing RawSpan, _ flush: CInt) throws(Errno) {
    try bytes.withUnsafeBytes { input throws(Errno) in
      stream.pointee.next_in = UnsafeMutablePointer(
        mutating: input.assumingMemoryBound(to: UInt8.self).baseAddress)
      stream.pointee.avail_in = UInt32(input.count)
      repeat {
        var piece = PipeSegment(upTo: 64 << 10) { output in
          output.withUnsafeMutableBytes { buffer, initialized in
            stream.pointee.next_out = buffer.assumingMemoryBound(to: UInt8.self).baseAddress
            stream.pointee.avail_out = UInt32(buffer.count)
            deflate(stream, flush)
            initialized = buffer.count - Int(stream.pointee.avail_out)
          }
        }
        // A piece is one slot, and there are enough.
        guard case .bytes = try compressed.splice(from: &piece) else { throw .noBufferSpace }
      } while stream.pointee.avail_out == 0
    }
  }
}

@main enum Program {
  static func main() async throws {
    var gzip = try Gzip(to: Descriptor(duplicating: .standardOutput))
    var pipe = try SplicePipe(.memory)
    try await pipe.forward(from: Descriptor(duplicating: .standardInput), to: &gzip)
    try await gzip.finish()
  }
}
