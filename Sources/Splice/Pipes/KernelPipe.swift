// The pipe in the kernel: a ring of references to pages, and in front of it a pipe in user memory for what had to be copied. So a flow
// whose ends do not splice goes through user memory, and nobody but `explain` notices.
//
// The invariant: the bytes of the pipe are those of the head, then those of the ring, in this order. Only an empty
// ring lets bytes be appended to the head; everything else goes in at the ring's end and comes out at the head's front.

import Glibc
import Synchronization
import SystemPackage

struct KernelPipe: ~Copyable, PipeBody {
  var reader: Descriptor
  var writer: Descriptor
  private(set) var head = MemoryPipe(capacity: copySize)
  /// Bytes in the kernel's ring. What others put in or take out by the same ends is not seen here.
  var ring: Int
  private(set) var capacity: Int
  /// Which end is elsewhere, when one is: then nothing may be held outside the ring, and the kernel counts what is in it.
  var released: Side?
  /// Who lends the ring, unless it is our own; and the loan, while there is one.
  let pool: PipePool?
  var loan: PipePool.Loan?

  /// How much a copying hop moves at once: from the row `copy-buffer` of the benchmarks.
  static let copySize = 256 << 10

  /// What a pipe that has a byte in it surely takes when poll says it is writable: one slot.
  private static let oneSlot = 4096

  init(capacity wish: Int) throws(Errno) {
    let ends = try Syscall.pipe2()
    let granted = try? Syscall.setPipeSize(of: ends.writer, to: wish)
    reader = Descriptor(pipeEnd: ends.reader)
    writer = Descriptor(pipeEnd: ends.writer)
    ring = 0
    pool = nil
    // Refused past a limit (EPERM): then it is what it is.
    capacity = granted ?? (try? Syscall.pipeSize(of: ends.writer)) ?? Self.oneSlot
  }

  /// One that has a ring only while bytes are in it.
  init(borrowingFrom pool: PipePool, wish: Int) {
    reader = Descriptor(pipeEnd: FileDescriptor(rawValue: -1))
    writer = Descriptor(pipeEnd: FileDescriptor(rawValue: -1))
    ring = 0
    capacity = wish
    self.pool = pool
  }

  init(reader: consuming Descriptor, writer: consuming Descriptor, wish: Int?) throws(Errno) {
    let capacity = try Syscall.pipeSize(of: writer.raw)
    let ring = try Syscall.bytesWaiting(in: reader.raw)
    self.capacity = capacity
    self.ring = ring
    self.reader = reader
    self.writer = writer
    pool = nil
    if let wish { resize(to: wish) }
  }

  var count: Int { head.count + ring }

  /// A wish: it may be refused (EPERM past a limit, EBUSY below the slots in use), and the pipe works all the same.
  mutating func resize(to wish: Int) {
    guard wish != capacity else { return }
    // One that is lent stays as it is; the wish is for the next.
    if pool != nil { return capacity = wish }
    if let granted = try? Syscall.setPipeSize(of: writer.raw, to: wish) { capacity = granted }
  }

  /// Both ends, if nothing is held in front of them.
  consuming func release() throws(Errno) -> (reader: FileDescriptor, writer: FileDescriptor) {
    if head.count > 0 { throw .resourceBusy }
    try obtain()
    return (reader.release(), writer.release())
  }
}

// MARK: - Fill

extension KernelPipe {
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, via: Via
  ) throws(Errno) -> Move {
    if via == .splice { try obtain() }
    if try source.takesSplice(as: .source, via: via), borrow() {
      do throws(Errno) {
        let transfer = try spliceIn(source, at: &offset, upTo: limit)
        // With urgent data ahead, splice takes a half-closed TCP stream for ended while bytes are still queued. So its end
        // counts when recv says so; bytes it finds instead are taken, even where copying is not wanted.
        if transfer != .endOfFile || source.kind != .tcpSocket {
          return Move(transfer: transfer, path: .splice)
        }
      } catch {
        if isEnd(source) { throw error }
        try source.accept(error, as: .source, via: via)
      }
    }
    return try copyIn(source, at: &offset, upTo: limit)
  }

  /// Whether a descriptor is an end of this very pipe: bytes that leave it would come back.
  private func isEnd(_ descriptor: borrowing Descriptor) -> Bool {
    guard descriptor.kind == .pipe, let other = try? Syscall.fstat(descriptor.raw),
      let own = try? Syscall.fstat(reader.raw)
    else { return false }
    return (other.device, other.inode) == (own.device, own.inode)
  }

  private mutating func spliceIn(
    _ source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Transfer {
    // A pipe minds SPLICE_F_NONBLOCK; sockets and devices only their own flag.
    if source.kind != .pipe, try source.wouldWait(for: .source) { return .wouldBlock }
    let transfer = try Transfer.taking { () throws(Errno) in
      guard offset != nil else { return try Syscall.splice(from: source.raw, to: writer.raw, count: limit) }
      var none: Int64?
      return try Syscall.splice(from: source.raw, at: &offset, to: writer.raw, at: &none, count: limit)
    }
    if case .bytes(let count) = transfer { ring += count }
    return transfer
  }

  private mutating func copyIn(
    _ source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Move {
    // What is in the head already goes on in it, as long as nothing is behind it.
    if ring == 0, released == nil {
      return try head.fill(from: source, at: &offset, upTo: limit, via: .copy)
    }
    let most = min(limit, Self.oneSlot)
    return Move(transfer: try copyBehind(source, at: &offset, upTo: most), path: .copy, most: most)
  }

  /// Bytes are in the ring already, and how much more fits cannot be known beyond one slot.
  private mutating func copyBehind(
    _ source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Transfer {
    // A socket minds MSG_DONTWAIT.
    if !source.kind.isSocket, try source.wouldWait(for: .source) { return .wouldBlock }
    guard try Syscall.isReady(writer.raw, POLLOUT) else { return .wouldBlock }
    return try unsafe Syscall.withScratch { scratch throws(Errno) in
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<limit])
      let transfer = try Transfer.taking { () throws(Errno) in
        try unsafe source.copyOut(into: part, at: &offset)
      }
      guard case .bytes(let count) = transfer else { return transfer }
      // At most a page into a pipe with a free slot: all of it or nothing (PIPE_BUF), and there is a slot.
      let stored = try unsafe Syscall.write(
        writer.raw, from: UnsafeRawBufferPointer(rebasing: part[..<count]))
      ring += stored
      return .bytes(stored)
    }
  }
}

// MARK: - Drain

extension KernelPipe {
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool, via: Via
  ) throws(Errno) -> Move {
    if head.count == 0, try sink.takesSplice(as: .sink, via: via) {
      do throws(Errno) {
        let transfer = try spliceOut(sink, at: &offset, upTo: limit, moreFollows: moreFollows)
        return Move(transfer: transfer, path: .splice)
      } catch {
        if isEnd(sink) { throw error }
        try sink.accept(error, as: .sink, via: via)
      }
    }
    let transfer = try copyOut(sink, at: &offset, upTo: limit, moreFollows: moreFollows)
    return Move(transfer: transfer, path: .copy)
  }

  private mutating func spliceOut(
    _ sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool
  ) throws(Errno) -> Transfer {
    if sink.kind != .pipe, try sink.wouldWait(for: .sink) { return .wouldBlock }
    // Exactly what is there: more than that can hold the last segment back for 200 ms.
    let exact = min(limit, ring)
    let transfer = try Transfer.giving { () throws(Errno) in
      guard offset != nil else {
        return try Syscall.splice(from: reader.raw, to: sink.raw, count: exact, moreFollows: moreFollows)
      }
      var none: Int64?
      return try Syscall.splice(
        from: reader.raw, at: &none, to: sink.raw, at: &offset, count: exact, moreFollows: moreFollows)
    }
    if case .bytes(let count) = transfer { ring -= count }
    return transfer
  }

  private mutating func copyOut(
    _ sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool
  ) throws(Errno) -> Transfer {
    if head.count == 0 {
      // The front of the ring, whose order it keeps.
      var none: Int64?
      ring -= try head.fill(from: reader, at: &none, upTo: min(limit, ring), via: .copy).count
    }
    let more = moreFollows || (ring > 0 && head.count < limit)
    return try head.drain(to: sink, at: &offset, upTo: limit, moreFollows: more, via: .copy).transfer
  }
}

// MARK: - Tee, give, take

extension KernelPipe {
  /// Whether tee is refused by nobody. An empty pipe says EAGAIN.
  func mayTee(to other: borrowing KernelPipe) -> Bool {
    do throws(Errno) {
      return try Syscall.tee(from: reader.raw, to: other.writer.raw, count: 1) >= 0
    } catch { return error == .resourceTemporarilyUnavailable }
  }

  /// What is in the head is duplicated first, by copying; a call that found bytes there stops behind them.
  func tee(to other: inout KernelPipe, upTo limit: Int) throws(Errno) -> Move {
    try other.obtain()
    guard head.count == 0 else {
      let transfer = try head.show(to: other.writer, upTo: limit)
      let move = Move(transfer: transfer, path: .copy)
      other.ring += move.count
      return move
    }
    guard ring > 0 else { return Move(transfer: .wouldBlock, path: .splice) }
    let transfer = try Transfer.taking { () throws(Errno) in
      try Syscall.tee(from: reader.raw, to: other.writer.raw, count: min(limit, ring))
    }
    let move = Move(transfer: transfer, path: .splice)
    other.ring += move.count
    return move
  }

  mutating func give(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Transfer {
    guard borrow() else {
      return head.count > 0 ? .wouldBlock : try unsafe head.give(bytes)
    }
    let transfer = try Transfer.giving { () throws(Errno) in try unsafe Syscall.write(writer.raw, from: bytes)
    }
    if case .bytes(let count) = transfer { ring += count }
    return transfer
  }

  /// An empty ring of our own surely takes as many bytes as it was granted, and any ring with a free slot a page (PIPE_BUF).
  mutating func giveAll(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Bool {
    let isWholeInRing = count == 0 && pool == nil && bytes.count <= capacity || bytes.count <= Self.oneSlot
    if ring == 0, released == nil, pool != nil || !isWholeInRing { return unsafe head.giveAll(bytes) }
    guard isWholeInRing else { return false }
    return try unsafe give(bytes) == .bytes(bytes.count)
  }

  var mayKeep: Bool { ring == 0 && released == nil && head.mayKeep }

  mutating func keep(_ bytes: UnsafeRawBufferPointer) { unsafe head.keep(bytes) }

  /// What the kernel accepts, it holds on to, and it leaves this process's memory.
  mutating func give(_ pages: inout Pages) throws(Errno) -> Move {
    let move = try unsafe lend(pages.bytes)
    if move.count > 0 { try unsafe Syscall.unmap(pages.detach(move.count)) }
    return move
  }

  /// Puts in references to memory, or a copy of it where that is refused. EINVAL when the pipe is larger than `size`, which is for the
  /// kernel to say: a pool lends what it has.
  mutating func lend(_ bytes: UnsafeRawBufferPointer, notBeyond size: Int = .max) throws(Errno) -> Move {
    if processVmsplices.load(ordering: .relaxed), borrow() {
      if size < .max, try Syscall.pipeSize(of: writer.raw) > size { throw .invalidArgument }
      do throws(Errno) {
        let transfer = try Transfer.giving { () throws(Errno) in
          try unsafe Syscall.vmsplice(bytes, into: writer.raw)
        }
        let move = Move(transfer: transfer, path: .splice)
        ring += move.count
        return move
      } catch {
        // A kernel or a sandbox without the call: for all pipes alike.
        guard Refusal(error, hop: .sink) != nil else { throw error }
        processVmsplices.store(false, ordering: .relaxed)
      }
    }
    return Move(transfer: try unsafe give(bytes), path: .copy)
  }

  mutating func take(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Transfer {
    if head.count > 0 { return try unsafe head.take(into: buffer) }
    let transfer = try Transfer.taking { () throws(Errno) in try unsafe Syscall.read(reader.raw, into: buffer)
    }
    if case .bytes(let count) = transfer { ring -= count }
    return transfer
  }

  /// Bytes were put into the ring through its descriptor.
  mutating func arrived(_ count: Int) { ring += count }

  /// Bytes were taken out of the ring through its descriptor.
  mutating func departed(_ count: Int) { ring -= count }

  /// Whether a slot is free.  C: `poll`
  var hasRoom: Bool {
    if pool != nil, loan == nil { return true }
    return (try? Syscall.isReady(writer.raw, POLLOUT)) ?? false
  }

  /// The bytes one tee duplicates, and the slots they take at most: what is in the head is written, page by page.
  var front: (count: Int, slots: Int) {
    let pages = capacity / Slot.pageSize
    if head.count == 0 { return (ring, min(ring, pages)) }
    let count = min(head.count, capacity)
    return (count, (count + Slot.pageSize - 1) / Slot.pageSize)
  }

  /// What stands in front of the ring goes first; nil when nothing does.
  mutating func moveHead(to other: inout MemoryPipe?, upTo limit: Int) throws(Errno) -> Move? {
    head.count > 0 ? try head.move(to: &other, upTo: limit) : nil
  }
}
