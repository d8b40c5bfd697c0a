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
  /// What it was when this was made.
  package let status: Syscall.FileStatus
  /// What its bytes are while others write to it.
  public let consistency: Consistency
  /// How many bytes it had when this was made.
  public var size: UInt64 { UInt64(status.size) }
  /// What is known of its disk.
  private let probe: Locked<DiskProbe>

  /// What is promised of the bytes of a file that others write to.
  public enum Consistency: String, Sendable, Hashable, CaseIterable {
    /// They are what they are when they leave: by reference to their pages, so that one which is written before
    /// the network card has read it leaves as it is then.
    case live
    /// They are what they were when the ``SharedFile`` was made, or there are no more: each piece is copied,
    /// and the file is asked behind it whether it has been written since.
    ///
    /// A name that is taken away, or given to another file, changes nothing. Not noticed is what changes no
    /// time of the file: a write through a memory mapping whose page was written shortly before; a single call
    /// of `write` that had begun before the file was opened; a change within the same tick of the kernel's
    /// clock; one whose time was put back, of a file that got or lost a name; what another machine does to a
    /// file system of the network before that tells.
    case stable
  }

  /// Whether nobody has written to it since this was made, as far as its times tell.  C: `fstat`
  package var isUnwritten: Bool {
    guard let now = try? Syscall.fstat(number) else { return false }
    // That it has lost a name changes a time, and no byte.
    return now.size == status.size && now.modified == status.modified
      && (now.changed == status.changed || now.names != status.names)
  }

  /// A copy of at most this many of its bytes, or none at its end; ESTALE when they may not be what they were.
  func piece(at offset: Int64, upTo count: Int) throws(Errno) -> PipeSegment {
    let piece = try PipeSegment(upTo: min(count, Self.longestPiece)) { output throws(Errno) in
      // What was read, and no more, is initialized.
      try unsafe output.withUnsafeMutableBytes { bytes, length throws(Errno) in
        length += try unsafe Syscall.pread(number, into: bytes, at: offset)
      }
    }
    guard isUnwritten else { throw .staleNFSFileHandle }
    return piece
  }

  private static let longestPiece = 128 << 10

  /// Whether asking it what it is now asks no other machine.
  package let isLocal: Bool

  /// How many of its bytes from here on need not be waited for: who reads what others have just read does not
  /// ask again.
  func inMemory(at offset: Int64) -> Int {
    probe.withLock { $0.inMemory(of: descriptor, at: offset) }
  }

  /// Takes over a regular file that is open for reading. Throws EINVAL for anything else, which may have no
  /// offsets or no end.  C: `fstat`, `fstatfs`
  public init(_ descriptor: consuming Descriptor, consistency: Consistency = .live) throws(Errno) {
    guard descriptor.kind == .regularFile else { throw .invalidArgument }
    status = try Syscall.fstat(descriptor.raw)
    self.consistency = consistency
    var probe = DiskProbe()
    probe.look(at: descriptor)
    isLocal = probe.isLocal
    self.probe = Locked(probe)
    self.descriptor = descriptor
  }

  /// Opens a file on a thread that may wait for its disk; throws EINVAL for what is no regular file.  C: `open`
  public static func open(
    _ path: FilePath, consistency: Consistency = .live
  ) async throws(Errno) -> SharedFile {
    try await DiskThreads.shared.run { () throws(Errno) in try SharedFile(path, consistency: consistency) }
  }

  /// Opens a file. A symbolic link is followed; a fifo or a device is not waited for, and refused.
  /// C: `open` with O_NONBLOCK
  public convenience init(_ path: FilePath, consistency: Consistency = .live) throws(Errno) {
    try self.init(
      Descriptor(opened: Syscall.open(path, flags: O_RDONLY | O_NONBLOCK)), consistency: consistency)
  }
}
