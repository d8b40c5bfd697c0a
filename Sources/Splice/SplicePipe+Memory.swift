// write and read: bytes between a pipe and user memory, by copying.

import SystemPackage

extension SplicePipe {
  /// Copies bytes into this pipe, behind what is there; fewer than all of them when its slots run out.  C: `write`
  public mutating func write(_ bytes: borrowing RawSpan) throws(Errno) -> Transfer {
    if bytes.isEmpty { return .bytes(0) }
    let transfer = try unsafe bytes.withUnsafeBytes { buffer throws(Errno) in try unsafe body.give(buffer) }
    account(Move(transfer: transfer, path: .copy))
    return transfer
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
      let transfer = try unsafe body.take(into: free)
      if case .bytes(let count) = transfer { initialized += count }
      return transfer
    }
  }
}
