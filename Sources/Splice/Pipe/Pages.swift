// Memory that is given away, and memory that is used again and again.
//
// There is no signal that says a page put into a pipe is free again, not even an empty socket queue. So what
// was given leaves its owner, who cannot touch it any more; and what is to be used again goes only where it
// is known to be copied out.

import SystemPackage

/// Page-aligned memory with one owner, to be given to a pipe.  C: `mmap`
///
/// What a pipe accepts leaves this variable and this process's reach; what it does not, stays.
public struct Pages: ~Copyable, Sendable {
  private let mapping: Mapping
  /// Bytes left to give.
  public private(set) var count: Int
  /// Where they begin, within the first page.
  private var start = 0

  /// New pages for this many bytes, which `body` initializes from the front; what it leaves out is not given.
  public init<Failure: Error>(
    upTo count: Int, initializing body: (inout OutputRawSpan) throws(Failure) -> Void
  ) throws {
    let mapping = try Mapping(count: count)
    let free = unsafe UnsafeMutableRawBufferPointer(rebasing: mapping.bytes[..<count])
    // The memory is this value's alone until the span is gone.
    var output = unsafe OutputRawSpan(buffer: free, initializedCount: 0)
    try body(&output)
    self.count = unsafe output.finalize(for: free)
    self.mapping = mapping
  }

  /// What is left to give. Good for one call.
  var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: mapping.bytes[start..<start + count])
  }

  /// Lets the first bytes go: the pages that are done with are the caller's.
  mutating func detach(_ accepted: Int) -> UnsafeMutableRawBufferPointer {
    count -= accepted
    start += accepted
    let pages = count == 0 ? unsafe mapping.bytes.count : start / Slot.pageSize * Slot.pageSize
    start = count == 0 ? 0 : start % Slot.pageSize
    return unsafe mapping.removeFirst(pages)
  }
}

/// Page-aligned memory of twice a pipe's size, which goes into the pipe again and again without being copied.
///
/// The pipe holds at most half of it, so what is filled next has left the pipe. That is enough only where
/// bytes that left the pipe were copied: in a file, or by a reader that reads. A socket, a tee or another
/// pipe would still be looking at the memory.
public struct PageRing: ~Copyable, Sendable {
  private let mapping: Mapping
  /// Where the next fill goes.
  private var position = 0
  private var pending = 0..<0

  /// A ring for a pipe that is drained into a file and nowhere else; EINVAL for a descriptor that is none.
  public init(for pipe: borrowing SplicePipe, writtenInto file: borrowing Descriptor) throws(Errno) {
    guard file.kind.isDisk else { throw .invalidArgument }
    self.init(mapping: try Mapping(count: pipe.capacity * 2))
  }

  /// A ring for a pipe whose reader copies what it takes, with `read` and the like, and never splices or tees
  /// it: that is for the caller to know.
  public init(vouchingForTheReaderOf pipe: borrowing SplicePipe) throws(Errno) {
    self.init(mapping: try Mapping(count: pipe.capacity * 2))
  }

  private init(mapping: consuming Mapping) { self.mapping = mapping }

  /// Bytes that were filled in and not accepted yet.
  public var count: Int { pending.count }

  /// The largest pipe this ring is safe for.
  var half: Int { unsafe mapping.bytes.count / 2 }

  /// Fills the next part of the ring, from its front: up to `limit` bytes, and no more than the pipe holds.
  /// Nothing may be left from the fill before.
  public mutating func fill<Failure: Error>(
    upTo limit: Int, initializing body: (inout OutputRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(pending.isEmpty, "what was filled in before is still to be accepted")
    if unsafe position == mapping.bytes.count { position = 0 }
    let room = unsafe min(limit, half, mapping.bytes.count - position)
    let free = unsafe UnsafeMutableRawBufferPointer(rebasing: mapping.bytes[position..<position + room])
    // Memory that has left the pipe and was copied: the type's promise.
    var output = unsafe OutputRawSpan(buffer: free, initializedCount: 0)
    try body(&output)
    let filled = unsafe output.finalize(for: free)
    pending = position..<position + filled
    position = (position + filled + Slot.pageSize - 1) / Slot.pageSize * Slot.pageSize
  }

  /// What is to be accepted. Good for one call.
  var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: mapping.bytes[pending]) }

  mutating func accepted(_ count: Int) { pending.removeFirst(count) }
}

/// Whole pages of memory, mapped. A class, since Swift 6.3 cannot inline the deinit of a noncopyable struct
/// across modules.
@safe final class Mapping: @unchecked Sendable {
  // Sendable: it has one owner, which cannot be copied.
  private(set) var bytes: UnsafeMutableRawBufferPointer

  init(count: Int) throws(Errno) {
    let pages = max(1, (count + Slot.pageSize - 1) / Slot.pageSize)
    unsafe bytes = try Syscall.map(pages * Slot.pageSize)
  }

  deinit { if unsafe !bytes.isEmpty { try? unsafe Syscall.unmap(bytes) } }

  /// Hands over the first bytes, which are whole pages.
  func removeFirst(_ count: Int) -> UnsafeMutableRawBufferPointer {
    let removed = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
    unsafe bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[count...])
    return unsafe removed
  }
}
