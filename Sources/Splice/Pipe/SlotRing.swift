// The ring of a pipe: slots in order, as many as the kernel's pipe would have. Pure: it does no I/O.
//
// It fills up by slots and not by bytes, and it follows the kernel in each of its habits: what a write merges
// into, what travels with a slot that is moved, what a partial move splits. Every comment that names a rule
// is one the kernel was seen to keep.

import SystemPackage

/// Slots, oldest first.
struct SlotRing: Sendable {
  /// As many as were ever in use at once, rounded up to a power of two: a pipe that never holds any costs
  /// nothing, however large it may be.
  private var slots: [Slot?] = []
  /// Slots there are.
  private(set) var size: Int
  /// Bytes of a page, of which a slot sees one: a power of two.
  private let page: Int
  private var first = 0
  /// A larger spare would be kept from others for long.
  private static let largestSpare = 64 << 10
  /// Slots in use.
  private(set) var used = 0
  /// Bytes held.
  private(set) var count = 0
  /// The segment let go last, if it is not shared: the next write goes there. (The kernel keeps a page in
  /// the same way.)
  private var spare: Segment?

  /// A ring for this many bytes, rounded up to a power of two of pages.
  init(capacity: Int, page: Int = Slot.pageSize) {
    self.page = page
    size = Self.slots(for: capacity, page)
  }

  private static func slots(for capacity: Int, _ page: Int) -> Int {
    // A wish beyond any memory is one for very much.
    let pages = max(1, (min(capacity, 1 << 40) + page - 1) / page)
    return pages == 1 ? 1 : 1 << (Int.bitWidth - (pages - 1).leadingZeroBitCount)
  }

  var capacity: Int { size * page }

  /// What a wish for this many bytes comes to.
  static func rounded(_ capacity: Int) -> Int { slots(for: capacity, Slot.pageSize) * Slot.pageSize }
  var free: Int { size - used }
  var isFull: Bool { free == 0 }
  /// Bytes that are surely taken, in whole pages.
  var room: Int { free * page }

  /// More or fewer slots; EBUSY when more are in use than would be left.
  mutating func resize(to capacity: Int) throws(Errno) {
    let size = Self.slots(for: capacity, page)
    guard size >= used else { throw .resourceBusy }
    self.size = size
    if slots.count > size { lay(out: size) }
  }

  /// Lays the slots in use out anew, the oldest first, with room for this many.
  private mutating func lay(out room: Int) {
    let kept = (0..<used).map { slots[place($0)] }
    slots = kept + Array(repeating: nil, count: room - used)
    first = 0
  }

  /// Bytes of the oldest slot; nil when there is none.
  private var frontLength: Int? { used > 0 ? slots[first]?.length : nil }

  private func place(_ index: Int) -> Int { (first + index) & (slots.count - 1) }

  /// The slot at a place counted from the oldest.
  subscript(index: Int) -> Slot {
    guard index < used, let slot = slots[place(index)] else { preconditionFailure("no slot \(index)") }
    return slot
  }

  /// Puts a slot at the end; there is room for it.
  mutating func append(_ slot: Slot) {
    precondition(!isFull, "a full ring takes nothing")
    if used == slots.count { lay(out: max(1, 2 * used)) }
    slots[place(used)] = slot
    used += 1
    count += slot.length
  }

  /// Takes the oldest slot out.
  @discardableResult
  private mutating func removeFirst() -> Slot {
    guard let slot = slots[first].take() else { preconditionFailure("an empty ring has no oldest slot") }
    count -= slot.length
    first = place(1)
    used -= 1
    return slot
  }

  /// Takes the oldest slot out, whose bytes are no longer needed.
  private mutating func dropFirst() {
    var slot = removeFirst()
    if let segment = slot.giveUp(), unsafe segment.bytes.count <= Self.largestSpare { spare = segment }
  }

  /// Memory for a write: the spare, if it is large enough.
  private mutating func makeSegment(for count: Int) -> Segment {
    let whole = (count + page - 1) / page * page
    guard let segment = spare.take(), unsafe segment.bytes.count >= whole else {
      return Segment(count: whole)
    }
    return segment
  }
}

// MARK: - Bytes in and out

extension SlotRing {
  /// Copies bytes in, at the end, and says how many: what does not make whole pages goes into the last slot
  /// first, if that has room for all of it, even when the ring is full.
  mutating func write(_ bytes: UnsafeRawBufferPointer) -> Int {
    var written = 0
    let odd = bytes.count % page
    if odd != 0, used > 0, self[used - 1].room(in: page) >= odd {
      unsafe slots[place(used - 1)]?.append(UnsafeRawBufferPointer(rebasing: bytes[..<odd]))
      count += odd
      written = odd
    }
    let left = min(bytes.count - written, room)
    guard left > 0 else { return written }
    let segment = makeSegment(for: left)
    let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[written..<written + left])
    unsafe segment.bytes.copyMemory(from: part)
    append(segment, from: 0, length: left, grows: true)
    return written + left
  }

  /// Puts a stretch of a segment at the end, a slot for each page of it that it touches.
  mutating func append(_ segment: Segment, from start: Int, length: Int, grows: Bool) {
    var (start, left) = (start, length)
    while left > 0 {
      let part = min(left, page - start % page)
      append(Slot(segment, from: start, length: part, grows: grows))
      start += part
      left -= part
    }
  }

  /// Copies bytes out, from the front, and says how many.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    var taken = 0
    while taken < buffer.count, let length = frontLength {
      let part = min(length, buffer.count - taken)
      unsafe slots[first]?.copy(part, to: UnsafeMutableRawBufferPointer(rebasing: buffer[taken...]))
      consume(part)
      taken += part
    }
    return taken
  }

  /// Takes the oldest slot out, and those that go on where it ends; nil when there is none.
  mutating func takeFront(upTo limit: Int) -> Slot? {
    guard used > 0 else { return nil }
    if self[0].length > limit {
      let front = self[0].prefix(limit)
      consume(limit)
      return front
    }
    var front = removeFirst()
    front.grows = false
    while let next = frontLength, front.length + next <= limit, slots[first]?.follows(front) == true {
      front.extend(by: removeFirst().length)
    }
    return front
  }

  /// Forgets the first bytes. A slot is free only when all of it is forgotten.
  mutating func consume(_ count: Int) {
    var left = count
    while left > 0, let length = frontLength {
      if length > left {
        slots[first]?.removeFirst(left)
        self.count -= left
        return
      }
      dropFirst()
      left -= length
    }
  }
}

// MARK: - Ring to ring

extension SlotRing {
  /// Moves slots to the end of another ring while there is room, and says how many bytes: a slot that is
  /// moved whole may grow on there, and one that is split grows on here.
  mutating func move(to other: inout SlotRing, upTo limit: Int) -> Int {
    var left = limit
    while left > 0, !other.isFull, let length = frontLength {
      if length > left {
        other.append(self[0].prefix(left))
        consume(left)
        return limit
      }
      other.append(removeFirst())
      left -= length
    }
    return limit - left
  }

  /// Has another ring see the first bytes as well, and says how many.
  func tee(to other: inout SlotRing, upTo limit: Int) -> Int {
    var (left, index) = (limit, 0)
    while left > 0, index < used, !other.isFull {
      let slot = self[index].prefix(min(self[index].length, left))
      other.append(slot)
      left -= slot.length
      index += 1
    }
    return limit - left
  }
}
