// What is to be known of a sink: enough to say which side is slow.

import SystemPackage

extension FanOut {
  /// What has come of one sink.
  public struct Counters: Sendable, Hashable {
    /// Bytes it accepted.
    public internal(set) var delivered: UInt64 = 0
    /// Bytes that went by because it was too slow.
    public internal(set) var skipped: UInt64 = 0
    /// Times that began.
    public internal(set) var gaps = 0
    /// Times everybody waited for it.
    public internal(set) var waits = 0
    /// Bytes it has yet to accept.
    public internal(set) var lag = 0
    /// The most it ever had.
    public internal(set) var largestLag = 0
    /// Bytes it read from the recording.
    public internal(set) var replayed: UInt64 = 0

    /// So many so far.
    package init(delivered: UInt64 = 0, skipped: UInt64 = 0, lag: Int = 0) {
      self.delivered = delivered
      self.skipped = skipped
      self.lag = lag
    }

    mutating func add(_ count: Int) {
      lag += count
      largestLag = max(largestLag, lag)
    }

    mutating func accept(_ count: Int) {
      delivered += UInt64(count)
      lag -= count
    }
  }

  /// Why a sink was let go.
  public enum DetachReason: Sendable, Hashable {
    /// Its flow ended with an error, or was cancelled.
    case failed(SpliceError)
    /// It could not keep up, and lagged by this many bytes.
    case tooSlow(lag: Int)
    /// The recording it read from has come to an end before what it needs.
    case recordingLost
    /// The source, which it read by itself, was cut or could not be read, and only it was left to say so
    /// this sink.
    case cutShort(SpliceError)
    /// The stream was declared bad.
    case invalid
  }
}
