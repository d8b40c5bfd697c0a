// What goes into the rings of a pipe, and what comes out: from and to descriptors, and user memory.

import CSplice
import Synchronization
import SystemPackage

/// What a hop did, and by which path.
struct Move: Sendable, Hashable {
  let transfer: Transfer
  let path: TransferPath
  /// More than this many bytes could not have been taken: fewer tell that the source had no more.
  var most = Int.max

  /// Bytes moved, which is none for an end or a would-block.
  var count: Int { transfer.count }
}

/// What a ring of the kernel that has bytes surely takes when poll says that it is writable: one slot.
private var oneSlot: Int { Slot.pageSize }

// MARK: - Fill

extension Rings {
  /// Takes bytes from a source, and says how they travelled.
  @inline(__always)
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, via: PathChoice
  ) throws(Errno) -> Move {
    guard storage == .kernel else {
      if via == .splice { throw .notSupported }
      return try memory.fill(from: source, at: &offset, upTo: limit)
    }
    if via == .splice { _ = try obtain() }
    if try source.takesSplice(as: .source, via: via), let writer = borrow()?.writer {
      do throws(Errno) {
        let transfer = try spliceIn(source, to: writer, at: &offset, upTo: limit)
        // With urgent data ahead, splice takes a half-closed TCP stream for ended while bytes are still
        // queued. So its end counts when recv says so; bytes it finds instead are taken, even where copying
        // is not wanted.
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
    guard descriptor.kind == .pipe, let reader = kernel?.ends.reader,
      let other = try? Syscall.fstat(descriptor.raw),
      let own = try? Syscall.fstat(reader)
    else { return false }
    return (other.device, other.inode) == (own.device, own.inode)
  }

  private mutating func spliceIn(
    _ source: borrowing Descriptor, to writer: FileDescriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Transfer {
    // A pipe minds SPLICE_F_NONBLOCK; sockets and devices only their own flag.
    if source.kind != .pipe, try source.wouldWait(for: .source) { return .wouldBlock }
    let transfer = try Transfer.taking { () throws(Errno) in
      guard offset != nil else { return try Syscall.splice(from: source.raw, to: writer, count: limit) }
      var none: Int64?
      return try Syscall.splice(from: source.raw, at: &offset, to: writer, at: &none, count: limit)
    }
    if case .bytes(let count) = transfer { inKernel += count }
    return transfer
  }

  private mutating func copyIn(
    _ source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Move {
    // What is in memory already goes on there, as long as nothing is behind it and there is room.
    guard inKernel > 0 || released != nil || memory.ring.isFull, let writer = borrow()?.writer else {
      return try memory.fill(from: source, at: &offset, upTo: limit)
    }
    let most = min(limit, oneSlot)
    return Move(
      transfer: try copyBehind(source, to: writer, at: &offset, upTo: most), path: .copy, most: most)
  }

  /// Bytes are in the kernel already, and how much more fits cannot be known beyond one slot.
  private mutating func copyBehind(
    _ source: borrowing Descriptor, to writer: FileDescriptor, at offset: inout Int64?, upTo limit: Int
  ) throws(Errno) -> Transfer {
    // A socket minds MSG_DONTWAIT.
    if !source.kind.isSocket, try source.wouldWait(for: .source) { return .wouldBlock }
    guard try Syscall.isReady(writer, POLLOUT) else { return .wouldBlock }
    return try unsafe Syscall.withScratch { scratch throws(Errno) in
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<limit])
      let transfer = try Transfer.taking { () throws(Errno) in
        try unsafe source.copyOut(into: part, at: &offset)
      }
      guard case .bytes(let count) = transfer else { return transfer }
      // At most a page into a pipe with a free slot: all of it or nothing (PIPE_BUF), and there is a slot.
      let stored = try unsafe Syscall.write(writer, from: UnsafeRawBufferPointer(rebasing: part[..<count]))
      inKernel += stored
      return .bytes(stored)
    }
  }
}

// MARK: - Drain

extension Rings {
  /// Hands bytes to a sink, oldest first, and says how they travelled.
  @inline(__always)
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool,
    via: PathChoice
  ) throws(Errno) -> Move {
    if storage == .memory, via == .splice { throw .notSupported }
    if memory.count == 0, let reader = kernel?.ends.reader, try sink.takesSplice(as: .sink, via: via) {
      do throws(Errno) {
        let transfer = try spliceOut(reader, to: sink, at: &offset, upTo: limit, moreFollows: moreFollows)
        return Move(transfer: transfer, path: .splice)
      } catch {
        if isEnd(sink) { throw error }
        try sink.accept(error, as: .sink, via: via)
      }
    }
    return try copyOut(sink, at: &offset, upTo: limit, moreFollows: moreFollows)
  }

  private mutating func spliceOut(
    _ reader: FileDescriptor, to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int,
    moreFollows: Bool
  ) throws(Errno) -> Transfer {
    if sink.kind != .pipe, try sink.wouldWait(for: .sink) { return .wouldBlock }
    // Exactly what is there: more than that can hold the last segment back for 200 ms.
    let exact = min(limit, inKernel)
    let transfer = try Transfer.giving { () throws(Errno) in
      guard offset != nil else {
        return try Syscall.splice(from: reader, to: sink.raw, count: exact, moreFollows: moreFollows)
      }
      var none: Int64?
      return try Syscall.splice(
        from: reader, at: &none, to: sink.raw, at: &offset, count: exact, moreFollows: moreFollows)
    }
    if case .bytes(let count) = transfer { inKernel -= count }
    return transfer
  }

  private mutating func copyOut(
    _ sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool
  ) throws(Errno) -> Move {
    if memory.count == 0, inKernel > 0, let ends = kernel?.ends {
      // The front of the kernel's, whose order it keeps.
      inKernel -= try memory.fill(fromRing: ends, upTo: min(limit, inKernel)).count
    }
    let more = moreFollows || (inKernel > 0 && memory.count < limit)
    return try memory.drain(to: sink, at: &offset, upTo: limit, moreFollows: more)
  }
}

// MARK: - User memory, by copying

extension Rings {
  /// Copies bytes in, at the end.
  mutating func give(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Transfer {
    // Where there is no ring, nothing is in the kernel.
    guard storage == .kernel, let writer = borrow()?.writer else { return unsafe memory.give(bytes) }
    let transfer = try Transfer.giving { () throws(Errno) in try unsafe Syscall.write(writer, from: bytes) }
    if case .bytes(let count) = transfer { inKernel += count }
    return transfer
  }

  /// Copies all of the bytes in, at the end, or none of them: false when they may not fit. An empty ring of
  /// our own surely takes as many bytes as it was granted, and any ring with a free slot a page (PIPE_BUF).
  mutating func giveAll(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Bool {
    if storage == .memory { return unsafe memory.giveAll(bytes) }
    let isWholeInKernel = count == 0 && pool == nil && bytes.count <= granted || bytes.count <= oneSlot
    if inKernel == 0, released == nil, pool != nil || !isWholeInKernel {
      if unsafe memory.giveAll(bytes) { return true }
      // A ring that is lent may be larger.
      guard pool != nil, count == 0, borrow() != nil, let lent = kernel?.capacity else { return false }
      if bytes.count <= lent { return try unsafe give(bytes) == .bytes(bytes.count) }
      giveBack()
      return false
    }
    guard isWholeInKernel else { return false }
    return try unsafe give(bytes) == .bytes(bytes.count)
  }

  /// Whether bytes may go past this pipe, which is empty, and what a sink did not take of them be kept.
  var mayKeep: Bool { inKernel == 0 && released == nil && memory.mayKeep }

  /// Copies in bytes that came past an empty pipe: at most a small message, for which there is room.
  mutating func keep(_ bytes: UnsafeRawBufferPointer) { unsafe memory.keep(bytes) }

  /// Copies bytes out, from the front.
  mutating func take(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Transfer {
    guard beginsInKernel, let reader = kernel?.ends.reader else { return unsafe memory.take(into: buffer) }
    let transfer = try Transfer.taking { () throws(Errno) in try unsafe Syscall.read(reader, into: buffer) }
    if case .bytes(let count) = transfer { inKernel -= count }
    return transfer
  }
}

// MARK: - User memory, by reference

extension Rings {
  /// Takes pages in. What the kernel accepts, it holds on to, and it leaves this process's memory.
  mutating func give(_ pages: inout Pages) throws(Errno) -> Move {
    if storage == .memory { return memory.give(&pages) }
    let move = try unsafe refer(to: pages.bytes, notBeyond: .max)
    if move.count > 0 { try unsafe Syscall.unmap(pages.detach(move.count)) }
    return move
  }

  /// Puts in references to memory that stays where it is, or a copy of it where that is refused. EINVAL when
  /// the pipe is larger than `size`, which is for the kernel to say: a pool lends what it has.
  mutating func refer(to bytes: UnsafeRawBufferPointer, notBeyond size: Int) throws(Errno) -> Move {
    if storage == .memory, capacity > size { throw .invalidArgument }
    if processVmsplices.load(ordering: .relaxed), storage == .kernel, let writer = borrow()?.writer {
      if size < .max, try Syscall.pipeSize(of: writer) > size { throw .invalidArgument }
      do throws(Errno) {
        let transfer = try Transfer.giving { () throws(Errno) in
          try unsafe Syscall.vmsplice(bytes, into: writer)
        }
        inKernel += transfer.count
        return Move(transfer: transfer, path: .splice)
      } catch {
        // A kernel or a sandbox without the call: for all pipes alike.
        guard Refusal(error, hop: .sink) != nil else { throw error }
        processVmsplices.store(false, ordering: .relaxed)
      }
    }
    return Move(transfer: try unsafe give(bytes), path: .copy)
  }

  /// Takes bytes of a segment in: by reference in memory.
  mutating func give(_ slot: Slot) throws(Errno) -> Move {
    guard storage == .kernel, borrow() != nil else { return memory.give(slot) }
    let transfer = try unsafe slot.withBytes { bytes throws(Errno) in try unsafe give(bytes) }
    return Move(transfer: transfer, path: .copy)
  }

  /// Takes the oldest bytes out by reference; nil when they are in the kernel.
  mutating func takeSlot(upTo limit: Int) -> Slot? { memory.takeSlot(upTo: limit) }
}

// MARK: - In memory, apart from the descriptors: so that a shared pipe is not locked while they are read and written

extension Rings {
  /// What the next read goes to, and how many slots are free for it; nil for a pipe of the kernel.
  mutating func beginFill() -> (inlet: Inlet, slots: Int)? {
    storage == .memory ? (memory.takeInlet(), memory.ring.free) : nil
  }

  mutating func endFill(_ inlet: Inlet, _ filling: Inlet.Filling) {
    memory.inlet = inlet
    memory.receive(filling)
  }

  /// The oldest bytes, as pieces of memory that are good until they are consumed; nil for a pipe of the
  /// kernel.
  func pieces(upTo limit: Int) -> [iovec]? { storage == .memory ? unsafe memory.pieces(upTo: limit) : nil }

  mutating func consume(_ count: Int) { memory.consume(count) }
}
