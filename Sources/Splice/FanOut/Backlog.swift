// What a sink has yet to read of a file, because it could not keep up, or because that is faster. Pure.

/// The part of the stream that a sink reads from a recording, since it could not keep up.
struct Backlog {
  /// From where to where, counted from the stream's first byte.
  private(set) var start, end: UInt64
  /// So far the recording is written.
  var recorded: UInt64
  /// Whether the recording will grow no more.
  var isLast: Bool
  /// Whether it comes before what is in the pipe.
  var isFirst = false
  /// So little is left that the pipe may be filled meanwhile.
  static let joinDistance = 256 << 10
  let recording: FanOut.Recording
  /// Where in its file the stream's first byte is, or would be.
  private let origin: Int64
  /// Whether the recording is the source itself.
  var isShared: Bool { recorded == .max }

  init(
    from start: UInt64, of recording: FanOut.Recording, origin: Int64, recorded: UInt64, isLast: Bool
  ) {
    (self.start, end) = (start, start)
    (self.recording, self.origin) = (recording, origin)
    (self.recorded, self.isLast) = (recorded, isLast)
  }

  var isEmpty: Bool { start == end }
  var count: Int { Int(end - start) }
  /// Bytes that are written already, a sensible number of them.
  var available: Int { Int(min(end, max(recorded, start)) - start) }
  var offset: Int64 { origin + Int64(start) }

  mutating func extend(by count: Int) { end += UInt64(count) }
  mutating func consume(_ count: Int) { start += UInt64(count) }
}
