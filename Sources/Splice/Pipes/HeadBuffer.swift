// Bytes in user memory that stand in front of a pipe.
//
// Bytes read out of a kernel pipe cannot be put back in front of it. So a hop that copies reads into this buffer and
// writes from it, and what the sink did not take stays here, first in line. Pointers into it live for one call.

import SystemPackage

/// A buffer that is filled at its end and drained at its front, and is never moved while it holds bytes.
struct HeadBuffer: ~Copyable, @unchecked Sendable {
  // Sendable: the memory has this one owner, which cannot be copied.
  private var memory = Memory(count: 0)
  private var start = 0
  private var end = 0

  /// A class, since Swift 6.3 cannot inline the deinit of a noncopyable struct across modules.
  @safe private final class Memory {
    let bytes: UnsafeMutableRawBufferPointer
    init(count: Int) { unsafe bytes = .allocate(byteCount: count, alignment: 4096) }
    deinit { unsafe bytes.deallocate() }
  }

  /// Bytes held.
  var count: Int { end - start }

  /// Gives the free part, as large as is asked for, to a call that reads into it. An empty buffer has room for any size.
  @inline(__always)
  mutating func append(
    upTo limit: Int, _ read: (UnsafeMutableRawBufferPointer) throws(Errno) -> Int
  ) throws(Errno) -> Int {
    if count == 0 { makeRoom(for: limit) }
    let room = unsafe memory.bytes[end..<end + min(memory.bytes.count - end, limit)]
    let free = unsafe UnsafeMutableRawBufferPointer(rebasing: room)
    let appended = try unsafe read(free)
    end += appended
    return appended
  }

  /// Gives the bytes held, up to a limit, to a call that writes them; what it took leaves the front.
  @inline(__always)
  mutating func consume(
    upTo limit: Int, _ write: (UnsafeRawBufferPointer) throws(Errno) -> Int
  ) throws(Errno) -> Int {
    let taken = try unsafe write(front(limit))
    start += taken
    return taken
  }

  /// Gives the bytes held to a call that only looks.
  func peek(upTo limit: Int, _ look: (UnsafeRawBufferPointer) throws(Errno) -> Int) throws(Errno) -> Int {
    try unsafe look(front(limit))
  }

  private func front(_ limit: Int) -> UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: memory.bytes[start..<start + min(count, limit)])
  }

  private mutating func makeRoom(for size: Int) {
    (start, end) = (0, 0)
    if unsafe memory.bytes.count < size { memory = Memory(count: size) }
  }
}
