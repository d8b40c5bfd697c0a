// Where a pipe in memory reads descriptors into: many small reads share one segment.

import SystemPackage

/// A segment that is used up by reads.
struct Inlet: Sendable {
  private var segment: Segment?
  /// So much of it has been read into.
  private var used = 0

  /// One read from a socket or a pipe takes no more: from the row `copy-buffer` of the benchmarks.
  private static let streamRead = 256 << 10
  /// One read from anything else takes no more, as large as the kernel's pipe usually gets.
  private static let fileRead = 1 << 20
  /// A rest with less room than this is not worth another read.
  private static let leastRoom = 16 << 10

  /// What a read brought.
  struct Filling: Sendable {
    let transfer: Transfer
    /// What was asked for.
    var most = 0
    /// Where its bytes are, if there are any.
    var segment: Segment?
    var start = 0
  }

  /// Reads as much as this many free slots take, if that does not wait.
  mutating func read(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, slots: Int
  ) throws(Errno) -> Filling {
    if let offset, offset < 0 { throw .invalidArgument }
    if slots == 0 { return Filling(transfer: .wouldBlock) }
    // A socket minds MSG_DONTWAIT.
    if !source.kind.isSocket, try source.wouldWait(for: .source) { return Filling(transfer: .wouldBlock) }
    // A file fills a slot for each of its pages, and the first may be a part of one.
    let skew = source.kind.isDisk ? Int(try source.place(offset) % Int64(Slot.pageSize)) : 0
    let isStream = source.kind.isSocket || source.kind == .pipe
    let largest = (isStream ? Self.streamRead : Self.fileRead) - skew
    let wanted = min(limit, slots * Slot.pageSize - skew, largest)
    // Of a stream it is not known how much will come, so a smaller rest will do.
    var least = isStream ? min(wanted, Self.leastRoom) : wanted + skew
    if source.kind == .otherSocket {
      let next = try Transfer.taking { () throws(Errno) in try Syscall.nextMessage(of: source.raw) }
      if next == .wouldBlock { return Filling(transfer: .wouldBlock) }
      // A socket that does not tell may have as much as is read at once.
      least = min(wanted, next.count > 0 ? next.count : Self.streamRead)
    }
    let segment = makeRoom(for: wanted + skew, atLeast: least)
    let start = used + skew
    let most = min(wanted, unsafe segment.bytes.count - start)
    let transfer = try Transfer.taking { () throws(Errno) in
      try unsafe source.copyOut(
        into: UnsafeMutableRawBufferPointer(rebasing: segment.bytes[start..<start + most]), at: &offset)
    }
    if case .bytes(let count) = transfer {
      used = (start + count + Slot.pageSize - 1) / Slot.pageSize * Slot.pageSize
    }
    return Filling(transfer: transfer, most: most, segment: segment, start: start)
  }

  /// A segment with room behind `used`: the last one while it has some, from its beginning when nobody sees
  /// it any more.
  private mutating func makeRoom(for wanted: Int, atLeast least: Int) -> Segment {
    if isKnownUniquelyReferenced(&segment) { used = 0 }
    // A rest that is large enough is used up first; one that begins anew is as large as what may come.
    if let segment, unsafe segment.bytes.count - used >= (used == 0 ? wanted : least) { return segment }
    let new = Segment(count: wanted)
    (segment, used) = (new, 0)
    return new
  }
}
