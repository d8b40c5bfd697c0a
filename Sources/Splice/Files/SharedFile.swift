// A file that several flows read at the same time.

import CSplice
import SystemPackage

/// A file whose bytes are sent from any of its offsets, by as many flows at once as there are. It is closed
/// with the last reference.
///
/// What a flow has to know before it reads on an event thread, where the file ends and whether its disk is
/// this machine's, is asked once, when this is made: on a thread that may wait for a disk.
public final class SharedFile: Sendable {
  /// The file, whose own offset is never used.
  package let descriptor: Descriptor
  /// Its number, open as long as this is.
  package var number: FileDescriptor { descriptor.raw }
  /// How many bytes it had when this was made.
  public let size: UInt64
  /// What is known of its disk.
  let probe: DiskProbe

  /// Which stretch of it was in memory, and until when that is taken to be so still: who reads a file that
  /// others have just read need not ask again.
  private let memory = Locked(Memory())

  private struct Memory {
    var from: Int64 = 0
    var until: Int64 = 0
    var end = Moment(.now)
  }

  private static let patience = Duration.milliseconds(250)

  /// Whether its bytes from here on were in memory just now.
  func isInMemory(at offset: Int64) -> Bool {
    memory.withLock { $0.from <= offset && offset < $0.until && .now < $0.end }
  }

  /// They are, up to there.
  func isInMemory(from offset: Int64, until end: Int64) {
    memory.withLock { $0 = Memory(from: offset, until: end, end: .now + Self.patience) }
  }

  /// Takes over a regular file that is open for reading. Throws EINVAL for anything else, which may have no
  /// offsets or no end.  C: `fstat`, `fstatfs`
  public init(_ descriptor: consuming Descriptor) throws(Errno) {
    guard descriptor.kind == .regularFile else { throw .invalidArgument }
    size = UInt64(try Syscall.fstat(descriptor.raw).size)
    var probe = DiskProbe()
    probe.look(at: descriptor)
    self.probe = probe
    self.descriptor = descriptor
  }

  /// Opens a file on a thread that may wait for its disk; throws EINVAL for what is no regular file.  C: `open`
  public static func open(_ path: FilePath) async throws(Errno) -> SharedFile {
    try await DiskThreads.shared.run { () throws(Errno) in try SharedFile(path) }
  }

  /// Opens a file. A symbolic link is followed; a fifo or a device is not waited for, and refused.
  /// C: `open` with O_NONBLOCK
  public convenience init(_ path: FilePath) throws(Errno) {
    try self.init(Descriptor(opened: Syscall.open(path, flags: O_RDONLY | O_NONBLOCK)))
  }
}
