// Errors of flows say who stopped them; the errno inside says why.

import SystemPackage

/// Who stopped a flow.
///
/// Whatever is thrown, the pipe still holds what was taken from the source and not yet accepted by the sink:
/// it can be drained elsewhere, read, or resumed by calling again.
public enum SpliceError: Error, Sendable, Hashable {
  /// The source failed.
  case source(Errno)
  /// The sink failed.
  case sink(Errno)
  /// The pipe between them failed, or the machinery that waits for both.
  case pipe(Errno)
  /// The source ended this many bytes before it was promised to.
  case truncated(missing: UInt64)
  /// The task was cancelled, or the flow was stopped from outside.
  case cancelled
  /// The deadline passed.
  case timedOut
}

extension SpliceError {
  /// The reader of the sink has left.
  var isLostPeer: Bool { self == .sink(.brokenPipe) || self == .sink(.connectionReset) }
}

extension SpliceError: CustomStringConvertible {
  /// Who, then why, in words.
  public var description: String {
    switch self {
    case .source(let errno): "source: \(errno)"
    case .sink(let errno): "sink: \(errno)"
    case .pipe(let errno): "pipe: \(errno)"
    case .truncated(let missing): "source: ended \(missing) bytes too early"
    case .cancelled: "cancelled"
    case .timedOut: "timed out"
    }
  }
}
