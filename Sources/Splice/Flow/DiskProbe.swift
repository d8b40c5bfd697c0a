// A disk is not non-blocking: it has no EAGAIN. So an event thread asks first whether the pages are in
// memory.
//
// What may itself wait, the size of a file and the kind of its file system, is asked on a thread that may;
// what an event thread asks, the kernel answers from memory. One question covers a stretch of the file, the
// longer the faster it is read, so that a cached file costs a call every 128 MiB and not one every fill. The
// answer is good for a quarter of a second: if memory is short, it may be out of date when the bytes are read,
// and then the thread waits for the disk once.

import SystemPackage

/// Knows how far a file can be read without waiting for the disk.
struct DiskProbe: Sendable, Hashable {
  private var position: Int64?
  /// What was in memory when it was asked last, and how long that is taken to be so still.
  private var residentFrom: Int64 = 0
  private var residentUntil: Int64 = 0
  private var isTrusted = Moment(.now)
  /// How much is asked about next.
  private var stretch = Self.shortest
  /// Where the file ends, as far as is known; nil until it was asked.
  private var size: Int64?
  /// Whether a read of what is in memory asks no other machine.
  private(set) var isLocal = false
  /// An event thread has to know.
  private(set) var isAsked = false
  private static let shortest: Int64 = 4 << 20
  private static let longest: Int64 = 128 << 20
  private static let patience = Duration.milliseconds(250)
  private static var page: Int64 { Int64(Syscall.pageSize) }

  /// Bytes have been read.
  mutating func advance(by count: Int) {
    if let here = position { position = here + Int64(count) }
  }

  /// Finds out, on a thread that may wait, what an event thread has asked for (`isAsked`).  C: `fstat`,
  /// `fstatfs`
  mutating func look(at file: borrowing Descriptor) {
    isAsked = false
    guard file.kind == .regularFile else { return }
    if size == nil { isLocal = (try? Syscall.fileSystem(of: file.raw).isLocal) ?? false }
    size = try? Syscall.fstat(file.raw).size
  }

  /// Whether a fill from here might wait: then it is done, after a ``look(at:)``, on a thread that may.
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
    return inMemory(of: file, at: here) == 0
  }

  /// How many bytes from an offset on need not be waited for.
  mutating func inMemory(of file: borrowing Descriptor, at here: Int64) -> Int {
    let isStill = .now < isTrusted
    if isStill, residentFrom <= here, here < residentUntil { return Int(residentUntil - here) }
    // Who has come to the end of what is known before that is old is fast.
    let isFast = isStill && residentUntil <= here && here < residentUntil + stretch
    stretch = isFast ? min(stretch * 2, Self.longest) : Self.shortest
    // At what was the end there may be more by now.
    guard isLocal, let size, here < size else {
      isAsked = true
      return 0
    }
    let end = min(here + stretch, size)
    guard Self.isResident(file, from: here, upTo: end) else {
      isAsked = true
      return 0
    }
    (residentFrom, residentUntil, isTrusted) = (here, end, .now + Self.patience)
    return Int(end - here)
  }

  private static func isResident(_ file: borrowing Descriptor, from offset: Int64, upTo end: Int64) -> Bool {
    let pages = (end + page - 1) / page - offset / page
    // Before Linux 6.5 it is not known how many there are.
    let known = try? Syscall.cachestat(file.raw, offset: offset, count: end - offset)
    if let known, known < Int(pages) { return false }
    // Those that are being read are there as well. The last byte of the stretch speaks for the rest, since files
    // are read ahead in order.
    do throws(Errno) { return try Syscall.readNow(file.raw, at: end - 1) > 0 } catch {
      // A file system without such a read.
      return error == .notSupported && known != nil
    }
  }
}
