// What one call did. The expected is a value, so that `try` is left for failures.

import SystemPackage

/// What one call that never waits did.
///
/// A count never means the end, and the end is never an error: `.bytes(0)` says only that nothing was asked
/// for.
public enum Transfer: Sendable, Hashable {
  /// So many bytes were moved, perhaps fewer than were asked for.
  case bytes(Int)
  /// The source has ended: nothing was moved and nothing will come.
  case endOfFile
  /// Nothing was moved, since that would have meant waiting.  C: EAGAIN
  case wouldBlock

  /// Bytes moved, which is none for an end or a would-block.
  var count: Int { if case .bytes(let count) = self { count } else { 0 } }

  /// Judges a call that takes bytes: 0 is the end of the file.
  @inline(__always)
  static func taking(_ call: () throws(Errno) -> Int) throws(Errno) -> Transfer {
    do throws(Errno) {
      let count = try call()
      return count == 0 ? .endOfFile : .bytes(count)
    } catch {
      return try Transfer(waiting: error)
    }
  }

  /// Judges a call that hands over bytes it has: a sink that accepts none and gives no reason is broken.
  @inline(__always)
  static func giving(_ call: () throws(Errno) -> Int) throws(Errno) -> Transfer {
    do throws(Errno) {
      let count = try call()
      if count == 0 { throw Errno.ioError }
      return .bytes(count)
    } catch {
      return try Transfer(waiting: error)
    }
  }

  @inline(__always)
  private init(waiting errno: Errno) throws(Errno) {
    guard errno == .wouldBlock || errno == .resourceTemporarilyUnavailable else { throw errno }
    self = .wouldBlock
  }
}

/// How bytes travel over one hop.
public enum TransferPath: String, Sendable, Hashable, CaseIterable {
  /// By reference to their pages, through `splice`.
  case splice
  /// By reference, through `tee`: other sinks got them too.
  case tee
  /// By reference, from a file to a socket and through no pipe of ours.
  case sendfile
  /// Through user memory, by `read` and `write` or their kin.
  case copy
  /// From file to file within the kernel.
  case copyFileRange = "copy_file_range"
  /// Not at all: two files share the blocks.
  case reflink
  /// Not at all: a hole is a length, not bytes.
  case hole
}

/// Which paths a flow may take.
public enum PathChoice: String, Sendable, Hashable, CaseIterable {
  /// Splices what is bulky, copies what is small and what cannot splice.
  case automatic = "auto"
  /// Splices, and fails where that is refused.
  case splice
  /// Copies.
  case copy
}
