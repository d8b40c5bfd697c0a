// The pipe in user memory: the same ring of slots, for what cannot splice and for bytes made or eaten by Swift code.
//
// The five primitives of the seam, as in KernelPipe. Descriptors are read straight into segments and written straight from them.
// Between two of these pipes only references move.

import Glibc
import SystemPackage

struct MemoryPipe: ~Copyable, PipeBody {
  private(set) var ring: SlotRing
  /// What is read into, until it is used up: many small reads share one segment.
  private var inlet: Segment?
  /// So much of it has been read into.
  private var inletUsed = 0

  /// One read from a socket or a pipe takes no more: from the row `copy-buffer` of the benchmarks.
  private static let streamRead = 256 << 10
  /// One read from anything else takes no more, as large as the kernel's pipe usually gets.
  private static let fileRead = 1 << 20
  /// An inlet with less room than this is not worth another read.
  private static let leastRoom = 16 << 10
  /// What a descriptor we share surely takes when poll says that it is writable.
  private static let sharedWrite = 4096
  /// Pieces one write is made of, at most.
  private static let mostPieces = 64

  init(capacity: Int) { ring = SlotRing(capacity: capacity) }

  var count: Int { ring.count }
  var capacity: Int { ring.capacity }

  /// A wish, as for the other body: it is declined while more slots are in use than would be left.
  mutating func resize(to capacity: Int) { try? ring.resize(to: capacity) }
}

// MARK: - Fill

extension MemoryPipe {
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, via: Via
  ) throws(Errno) -> Move {
    if via == .splice { throw .notSupported }
    if ring.isFull { return Move(transfer: .wouldBlock, path: .copy) }
    // A socket minds MSG_DONTWAIT.
    if !source.kind.isSocket, try source.wouldWait(for: .source) {
      return Move(transfer: .wouldBlock, path: .copy)
    }
    let room = ring.free * Slot.pageSize
    // A file fills a slot for each of its pages, and the first may be a part of one.
    let skew = source.kind.isDisk ? Int(try source.place(offset) % Int64(Slot.pageSize)) : 0
    let isStream = source.kind.isSocket || source.kind == .pipe
    let wanted = min(limit, room - skew, (isStream ? Self.streamRead : Self.fileRead) - skew)
    // Of a stream it is not known how much will come, so a smaller rest will do.
    let segment = makeInlet(
      for: wanted + skew, atLeast: isStream ? min(wanted, Self.leastRoom) : wanted + skew)
    let start = inletUsed + skew
    let transfer = try Transfer.taking { () throws(Errno) in
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: segment.bytes[start..<segment.bytes.count])
      return try unsafe source.copyOut(
        into: UnsafeMutableRawBufferPointer(rebasing: free[..<min(wanted, free.count)]), at: &offset)
    }
    if case .bytes(let count) = transfer {
      ring.append(segment, from: start, length: count, grows: false)
      inletUsed = (start + count + Slot.pageSize - 1) / Slot.pageSize * Slot.pageSize
    }
    return Move(transfer: transfer, path: .copy)
  }

  /// A segment with room behind `inletUsed`: the last one while it has some, from its beginning when nobody sees it any more.
  private mutating func makeInlet(for wanted: Int, atLeast least: Int) -> Segment {
    if isKnownUniquelyReferenced(&inlet) { inletUsed = 0 }
    // A rest that is large enough is used up first; one that begins anew is as large as what may come.
    if let inlet, unsafe inlet.bytes.count - inletUsed >= (inletUsed == 0 ? wanted : least) { return inlet }
    let segment = Segment(count: wanted)
    (inlet, inletUsed) = (segment, 0)
    return segment
  }
}

// MARK: - Drain

extension MemoryPipe {
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool, via: Via
  ) throws(Errno) -> Move {
    if via == .splice { throw .notSupported }
    if !sink.kind.isSocket, try sink.wouldWait(for: .sink) {
      return Move(transfer: .wouldBlock, path: .copy)
    }
    let most = sink.patience == .shared && !sink.kind.isSocket ? min(limit, Self.sharedWrite) : limit
    let transfer = try show(to: sink, at: &offset, upTo: most, moreFollows: moreFollows)
    let move = Move(transfer: transfer, path: .copy)
    ring.consume(move.count)
    return move
  }

  /// Writes the oldest bytes, which stay.
  func show(to sink: borrowing Descriptor, upTo limit: Int) throws(Errno) -> Transfer {
    var none: Int64?
    return try show(to: sink, at: &none, upTo: limit, moreFollows: false)
  }

  private func show(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool
  ) throws(Errno) -> Transfer {
    let pieces = unsafe pieces(upTo: limit)
    return try Transfer.giving { () throws(Errno) in
      try unsafe sink.copyIn(pieces, at: &offset, moreFollows: moreFollows)
    }
  }

  /// The oldest bytes, as pieces of memory: slots that follow each other in a segment are one. Good while the ring is left alone.
  private func pieces(upTo limit: Int) -> [iovec] {
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

extension MemoryPipe {
  func tee(to other: inout MemoryPipe, upTo limit: Int) throws(Errno) -> Move {
    let count = ring.tee(to: &other.ring, upTo: limit)
    return Move(transfer: count == 0 ? .wouldBlock : .bytes(count), path: .splice)
  }

  /// Takes over slots of another pipe of this kind, at the end.
  mutating func receive(from other: inout MemoryPipe, upTo limit: Int) -> Move {
    let count = other.ring.move(to: &ring, upTo: limit)
    return Move(transfer: count == 0 ? .wouldBlock : .bytes(count), path: .splice)
  }

  mutating func give(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Transfer {
    let written = unsafe ring.write(bytes)
    return written == 0 ? .wouldBlock : .bytes(written)
  }

  /// Takes over as many whole pages as there are slots.
  mutating func give(_ pages: inout Pages) -> Move {
    let count = min(pages.count, ring.free * Slot.pageSize)
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

  mutating func take(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Transfer {
    let taken = unsafe ring.read(into: buffer)
    return taken == 0 ? .wouldBlock : .bytes(taken)
  }
}
