// write and read: bytes between a pipe and user memory, by copying.

import SystemPackage

extension SplicePipe {
  /// Copies bytes into this pipe, behind what is there; fewer than all of them when its slots run out.
  /// C: `write`
  public mutating func write(_ bytes: borrowing RawSpan) throws(Errno) -> Transfer {
    if bytes.isEmpty { return .bytes(0) }
    let transfer = try unsafe bytes.withUnsafeBytes { buffer throws(Errno) in try unsafe rings.give(buffer) }
    account(Move(transfer: transfer, path: .copy))
    return transfer
  }

  /// Copies all of the bytes into this pipe, behind what is there, such as a header in front of a file.
  /// Throws ENOBUFS, and takes none, when they may not fit: an empty pipe takes ``capacity`` bytes, or what a
  /// pool can lend and 256 KiB at least, and one of the kernel that holds some is sure of a page only.
  /// C: `write`
  public mutating func writeAll(_ bytes: borrowing RawSpan) throws(Errno) {
    if bytes.isEmpty { return }
    let isIn = try unsafe bytes.withUnsafeBytes { buffer throws(Errno) in try unsafe rings.giveAll(buffer) }
    guard isIn else { throw .noBufferSpace }
    account(Move(transfer: .bytes(bytes.byteCount), path: .copy))
  }

  /// Copies bytes out of the front of this pipe, behind those that are in `buffer` already, as many as fit.
  ///
  /// `.wouldBlock` means that the pipe is empty.  C: `read`
  public mutating func read(into buffer: inout OutputRawSpan) throws(Errno) -> Transfer {
    if buffer.freeCapacity == 0 { return .bytes(0) }
    guard count > 0 else { return .wouldBlock }
    return try unsafe buffer.withUnsafeMutableBytes { bytes, initialized throws(Errno) in
      // The span owns this memory, and its part behind `initialized` is free.
      let free = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[initialized...])
      let transfer = try unsafe rings.take(into: free)
      if case .bytes(let count) = transfer { initialized += count }
      return transfer
    }
  }
}

// MARK: - Segments: by reference in memory, by copying in the kernel

extension SplicePipe {
  /// Takes the front of a segment in, behind what is there; what did not fit stays in `segment`.
  ///
  /// A pipe in memory takes all of it as one slot, by reference; a pipe of the kernel copies.
  public mutating func splice(
    from segment: inout PipeSegment, upTo limit: Int = .max
  ) throws(Errno) -> Transfer {
    let most = min(limit, segment.count)
    if most == 0 { return .bytes(0) }
    let move = try rings.give(segment.slot.prefix(most))
    account(move)
    _ = segment.removePrefix(move.count)
    return move.transfer
  }

  /// Takes the oldest bytes out: of a pipe in memory those that follow each other in one piece of memory, by
  /// reference; of a pipe of the kernel a copy, 64 KiB at most. Nil when the pipe is empty.
  public mutating func takeSegment(upTo limit: Int = .max) throws(Errno) -> PipeSegment? {
    guard count > 0, limit > 0 else { return nil }
    if let slot = rings.takeSlot(upTo: limit) {
      accountOut(Move(transfer: .bytes(slot.length), path: .splice))
      return PipeSegment(slot)
    }
    let segment = try PipeSegment(upTo: min(limit, count, 64 << 10)) { output throws(Errno) in
      _ = try read(into: &output)
    }
    return segment
  }
}
