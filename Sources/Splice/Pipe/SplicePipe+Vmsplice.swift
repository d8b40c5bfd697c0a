// vmsplice: user memory in a pipe, without copying it.

import SystemPackage

extension SplicePipe {
  /// Takes pages in, behind what is there. What was accepted leaves `pages`, and is no longer this process's
  /// to touch; what was not stays. Where the kernel declines, the bytes are copied, and leave `pages` all the
  /// same.
  ///
  /// `.wouldBlock` means that the slots have run out: one is needed for each page.  C: `vmsplice`
  public mutating func vmsplice(_ pages: inout Pages) throws(Errno) -> Transfer {
    if pages.count == 0 { return .bytes(0) }
    let move = try rings.give(&pages)
    account(move)
    return move.transfer
  }

  /// Takes in what was filled into a ring. EINVAL when the pipe is larger than the ring was made for: it was
  /// resized, or borrowed from a pool that had a larger one. A pipe in memory copies it.  C: `vmsplice`,
  /// F_GETPIPE_SZ
  public mutating func vmsplice(_ ring: inout PageRing) throws(Errno) -> Transfer {
    if ring.count == 0 { return .bytes(0) }
    let move = try unsafe rings.refer(to: ring.bytes, notBeyond: ring.half)
    ring.accepted(move.count)
    account(move)
    return move.transfer
  }
}
