// Memory that slots refer to: counted, shared, and freed with the last slot.
//
// Bytes once seen by a slot never change. What is behind the last byte seen is free to be written by whoever
// holds the one slot that may still grow.

import Synchronization

/// A piece of memory, in whole pages.
@safe final class Segment: @unchecked Sendable {
  // Sendable: a byte is written before a slot refers to it, and never after.
  let bytes: UnsafeMutableRawBufferPointer

  /// Whether the memory is a mapping of its own.
  private let isMapped: Bool

  /// Segments that are alive: for tests that count.
  static let alive = Atomic<Int>(0)

  /// Room for this many bytes, rounded up to whole pages.
  init(count: Int) {
    let size = (count + Slot.pageSize - 1) / Slot.pageSize * Slot.pageSize
    unsafe bytes = .allocate(byteCount: size, alignment: 16)
    isMapped = false
    Self.alive.add(1, ordering: .relaxed)
  }

  /// Takes over whole pages that were mapped.
  init(mapped pages: UnsafeMutableRawBufferPointer) {
    unsafe bytes = pages
    isMapped = true
    Self.alive.add(1, ordering: .relaxed)
  }

  deinit {
    if isMapped { try? unsafe Syscall.unmap(bytes) } else { unsafe bytes.deallocate() }
    Self.alive.subtract(1, ordering: .relaxed)
  }
}

/// A view of some bytes of a segment: within one of its pages, unless it was handed over whole.
struct Slot: Sendable {
  private(set) var segment: Segment
  private(set) var start: Int
  private(set) var length: Int
  /// Whether a write may be appended within the page: true for at most one of the slots that see it.
  var grows: Bool

  /// Bytes of a page here.  C: `sysconf` with _SC_PAGESIZE
  static var pageSize: Int { Syscall.pageSize }

  init(_ segment: Segment, from start: Int, length: Int, grows: Bool) {
    self.segment = segment
    self.start = start
    self.length = length
    self.grows = grows
  }

  /// The bytes seen, for the time of the call.
  func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe body(UnsafeRawBufferPointer(rebasing: segment.bytes[start..<start + length]))
  }

  /// Copies the first bytes out.
  func copy(_ count: Int, to buffer: UnsafeMutableRawBufferPointer) {
    unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: segment.bytes[start..<start + count]))
  }

  /// The memory, if no other slot sees it: then it may be used for something else.
  mutating func giveUp() -> Segment? { isKnownUniquelyReferenced(&segment) ? segment : nil }

  /// Where more may be written behind the bytes seen: what is left of the page.
  func room(in page: Int) -> Int { grows ? page - (start % page + length) : 0 }

  /// Appends bytes, for which there is room.
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    unsafe UnsafeMutableRawBufferPointer(rebasing: segment.bytes[(start + length)...]).copyMemory(from: bytes)
    length += bytes.count
  }

  /// Forgets the first bytes; what is forgotten is not used again.
  mutating func removeFirst(_ count: Int) {
    start += count
    length -= count
  }

  /// Whether this one's bytes are right behind the other's.
  func follows(_ other: Slot) -> Bool {
    segment === other.segment && start == other.start + other.length
  }

  /// Sees bytes of the slot that follows as well.
  mutating func extend(by count: Int) { length += count }

  /// The first bytes, seen by another slot, which never grows.
  func prefix(_ count: Int) -> Slot { Slot(segment, from: start, length: count, grows: false) }
}
