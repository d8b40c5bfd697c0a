// A disk is not non-blocking: it has no EAGAIN. So an event thread asks first whether the pages are in memory.
//
// One question covers a stretch of the file, so that a cached file costs a call every 128 MiB and not one every fill. The answer
// may be out of date when the bytes are read, if memory is short; then the thread waits for the disk once.

import SystemPackage

/// Knows how far a file can be read without waiting for the disk.
struct DiskProbe: Sendable, Hashable {
  private var position: Int64?
  private var residentUntil: Int64 = 0
  private static let stretch: Int64 = 128 << 20
  private static let page: Int64 = 4096

  /// Bytes have been read.
  mutating func advance(by count: Int) {
    if let here = position { position = here + Int64(count) }
  }

  /// Whether a fill from here might wait.
  mutating func mayWait(for file: borrowing Descriptor, at offset: Int64?) -> Bool {
    let here: Int64
    if let known = offset ?? position {
      here = known
    } else {
      // Shared with whoever has the file open too, so this is a good guess, which is all that is needed.
      guard let current = try? Syscall.lseek(file.raw, to: 0, from: .current) else { return true }
      here = current
    }
    position = here
    guard here >= residentUntil else { return false }
    guard let resident = Self.isResident(file, from: here) else { return true }
    if resident { residentUntil = here + Self.stretch }
    return !resident
  }

  /// Nil when it cannot be known.
  private static func isResident(_ file: borrowing Descriptor, from offset: Int64) -> Bool? {
    guard file.kind == .regularFile, let size = try? Syscall.fstat(file.raw).size else { return nil }
    // At the end there is nothing to wait for.
    guard offset < size else { return true }
    let end = min(offset + stretch, size)
    let pages = (end + page - 1) / page - offset / page
    do throws(Errno) {
      return try Syscall.cachestat(file.raw, offset: offset, count: end - offset) >= Int(pages)
    } catch {
      // Before Linux 6.5: the last byte of the stretch speaks for the rest, since files are read ahead in order.
      return ((try? Syscall.readNow(file.raw, at: end - 1)) ?? 0) > 0
    }
  }
}
