// What a sink has yet to read of a file, because it could not keep up, or because that is faster. Pure.

import SystemPackage

/// The part of the stream that a sink reads from a recording, since it could not keep up.
struct Backlog {
  /// From where to where, counted from the stream's first byte.
  private(set) var start, end: UInt64
  /// Whether it comes before what is in the pipe.
  var isFirst = false
  /// So little is left that the pipe may be filled meanwhile.
  static let joinDistance = 256 << 10
  let recording: FanOut.Recording

  init(from start: UInt64, of recording: FanOut.Recording) {
    (self.start, end) = (start, start)
    self.recording = recording
  }

  var isEmpty: Bool { start == end }
  var count: Int { Int(end - start) }
  /// Where the front of it is.
  var place: FanOut.Recording.Place { recording.place(of: start..<end) }

  mutating func extend(by count: Int) { end += UInt64(count) }
  mutating func consume(_ count: Int) { start += UInt64(count) }
}
