// The ring in user memory: the slots of a pipe, for what cannot splice and for bytes made or eaten by Swift
// code.
//
// Descriptors are read straight into segments and written straight from them. Between two of these only
// references move.

import CSplice
import SystemPackage

struct MemoryRing: ~Copyable, Sendable {
  private(set) var ring: SlotRing
  /// Where bytes of descriptors are read into.
  var inlet = Inlet()

  /// What a descriptor we share surely takes when poll says that it is writable: PIPE_BUF, whatever a page
  /// is.
  private static let sharedWrite = 4096
  /// Pieces one write is made of, at most.
  private static let mostPieces = 64

  /// What is no bulk, and goes from socket to socket past a pipe that can keep it.
  static let smallMessage = 16 << 10

  init(capacity: Int) { ring = SlotRing(capacity: capacity) }

  var count: Int { ring.count }
  var capacity: Int { ring.capacity }

  /// A wish: it is declined while more slots are in use than would be left.
  mutating func resize(to capacity: Int) { try? ring.resize(to: capacity) }
}

// MARK: - Fill

extension MemoryRing {
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Move {
    let filling = try inlet.read(from: source, at: &offset, upTo: limit, slots: ring.free)
    receive(filling)
    return Move(transfer: filling.transfer, path: .copy, most: filling.most)
  }

  /// Takes the front of a ring of the kernel.
  mutating func fill(fromRing ends: KernelRing.Ends, upTo limit: Int) throws(Errno) -> Move {
    var none: Int64?
    return try Descriptor.ofRing(ends.reader) { source throws(Errno) in
      try fill(from: source, at: &none, upTo: limit)
    }
  }

  /// Lends the inlet to a read.
  mutating func takeInlet() -> Inlet {
    defer { inlet = Inlet() }
    return inlet
  }

  /// Puts in what was read.
  mutating func receive(_ filling: Inlet.Filling) {
    guard case .bytes(let count) = filling.transfer, let segment = filling.segment else { return }
    ring.append(segment, from: filling.start, length: count, grows: false)
  }
}

// MARK: - Drain

extension MemoryRing {
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool
  ) throws(Errno) -> Move {
    let pieces = unsafe pieces(upTo: Self.most(limit, for: sink))
    let transfer = try unsafe Self.write(pieces, to: sink, at: &offset, moreFollows: moreFollows)
    let move = Move(transfer: transfer, path: .copy)
    ring.consume(move.count)
    return move
  }

  /// How much one write to this sink may be.
  static func most(_ limit: Int, for sink: borrowing Descriptor) -> Int {
    sink.patience == .shared && !sink.kind.isSocket ? min(limit, sharedWrite) : limit
  }

  /// Writes pieces of memory, if that does not wait.
  static func write(
    _ pieces: [iovec], to sink: borrowing Descriptor, at offset: inout Int64?, moreFollows: Bool
  ) throws(Errno) -> Transfer {
    if !sink.kind.isSocket, try sink.wouldWait(for: .sink) { return .wouldBlock }
    return try Transfer.giving { () throws(Errno) in
      try unsafe sink.copyIn(pieces, at: &offset, moreFollows: moreFollows)
    }
  }

  /// Forgets the oldest bytes, which were written.
  mutating func consume(_ count: Int) { ring.consume(count) }

  /// Writes the oldest bytes, which stay.
  func show(to sink: borrowing Descriptor, upTo limit: Int) throws(Errno) -> Transfer {
    var none: Int64?
    return try unsafe Self.write(pieces(upTo: limit), to: sink, at: &none, moreFollows: false)
  }

  /// The oldest bytes, as pieces of memory: slots that follow each other in a segment are one. Good until
  /// they are consumed: what is added meanwhile changes nothing here.
  func pieces(upTo limit: Int) -> [iovec] {
    var pieces: [iovec] = unsafe []
    var (left, index) = (limit, 0)
    while left > 0, index < ring.used {
      let part = min(ring[index].length, left)
      unsafe ring[index].withBytes { bytes in
        let start = unsafe UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        if let last = unsafe pieces.last, let base = unsafe last.iov_base, unsafe base + last.iov_len == start
        {
          unsafe pieces[pieces.count - 1].iov_len += part
        } else {
          unsafe pieces.append(iovec(iov_base: start, iov_len: part))
        }
      }
      if unsafe pieces.count == Self.mostPieces { break }
      left -= part
      index += 1
    }
    return unsafe pieces
  }
}

// MARK: - Tee, give, take

extension MemoryRing {
  func tee(to other: inout MemoryRing, upTo limit: Int) -> Move {
    let count = ring.tee(to: &other.ring, upTo: limit)
    return Move(transfer: count == 0 ? .wouldBlock : .bytes(count), path: .splice)
  }

  /// Takes over slots of another one, at the end.
  mutating func receive(from other: inout MemoryRing, upTo limit: Int) -> Move {
    let count = other.ring.move(to: &ring, upTo: limit)
    return Move(transfer: count == 0 ? .wouldBlock : .bytes(count), path: .splice)
  }

  mutating func give(_ bytes: UnsafeRawBufferPointer) -> Transfer {
    let written = unsafe ring.write(bytes)
    return written == 0 ? .wouldBlock : .bytes(written)
  }

  mutating func giveAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count <= ring.room else { return false }
    return unsafe ring.write(bytes) == bytes.count
  }

  var mayKeep: Bool { ring.used == 0 && ring.capacity >= Self.smallMessage }

  mutating func keep(_ bytes: UnsafeRawBufferPointer) {
    let kept = unsafe giveAll(bytes)
    precondition(kept, "there is room for a small message")
  }

  /// Takes over as many whole pages as there are slots.
  mutating func give(_ pages: inout Pages) -> Move {
    let count = min(pages.count, ring.room)
    if count == 0 { return Move(transfer: .wouldBlock, path: .splice) }
    ring.append(unsafe Segment(mapped: pages.detach(count)), from: 0, length: count, grows: false)
    return Move(transfer: .bytes(count), path: .splice)
  }

  /// All of it as one slot.
  mutating func give(_ slot: Slot) -> Move {
    if ring.isFull { return Move(transfer: .wouldBlock, path: .splice) }
    ring.append(slot)
    return Move(transfer: .bytes(slot.length), path: .splice)
  }

  mutating func takeSlot(upTo limit: Int) -> Slot? { ring.takeFront(upTo: limit) }

  mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
    let taken = unsafe ring.read(into: buffer)
    return taken == 0 ? .wouldBlock : .bytes(taken)
  }
}
