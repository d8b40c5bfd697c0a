// A ring in the kernel: the two ends of a pipe, and who lends them.

import SystemPackage

/// One of the two ends of a pipe.
enum Side: Sendable {
  case reader, writer
}

/// Both ends of a pipe of the kernel, closed with their last reference. A class, since Swift 6.3 cannot
/// inline the deinit of a noncopyable struct across modules.
final class KernelRing: @unchecked Sendable {
  // Sendable: it has one owner, a pipe, which cannot be copied.

  /// The two descriptors, non-blocking.
  struct Ends: Sendable {
    let reader, writer: FileDescriptor
  }

  let ends: Ends
  /// Bytes it was granted.
  let capacity: Int
  /// Who lends it, unless it is its owner's own.
  private var pool: PipePool?
  /// Ends that are closed with it: those that were not given away.
  private var keepsReader = true
  private var keepsWriter = true

  init(_ ends: Ends, capacity: Int, lentBy pool: PipePool? = nil) {
    (self.ends, self.capacity, self.pool) = (ends, capacity, pool)
  }

  deinit {
    if keepsReader { try? Syscall.close(ends.reader) }
    if keepsWriter { try? Syscall.close(ends.writer) }
    pool?.lost(capacity)
  }

  /// Gives an empty one back to the pool that lends it.
  func giveBack() {
    guard let pool = pool.take() else { return }
    (keepsReader, keepsWriter) = (false, false)
    pool.takeBack(ends, capacity)
  }

  /// An end becomes the caller's.
  func giveAway(_ side: Side) -> FileDescriptor {
    switch side {
    case .reader:
      keepsReader = false
      return ends.reader
    case .writer:
      keepsWriter = false
      return ends.writer
    }
  }
}

extension Descriptor {
  /// An end of a ring as the other end of a hop, for one call.
  static func ofRing<Result>(
    _ end: FileDescriptor, _ body: (borrowing Descriptor) throws(Errno) -> Result
  ) throws(Errno) -> Result {
    let descriptor = Descriptor(pipeEnd: end)
    do throws(Errno) {
      let result = try body(descriptor)
      _ = descriptor.release()
      return result
    } catch {
      _ = descriptor.release()
      throw error
    }
  }
}
