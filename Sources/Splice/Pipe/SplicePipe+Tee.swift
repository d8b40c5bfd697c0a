// tee: the same bytes in two pipes.
//
// A tee begins at the oldest byte and cannot begin anywhere else: calling it again duplicates the same bytes
// again. So what one tee duplicated is settled (spliced on, or read) before the next.

import SystemPackage

extension SplicePipe {
  /// Duplicates the front of this pipe into another without consuming it.
  ///
  /// Afterwards both hold the same bytes, and each drains at its own pace. A partial result cannot be
  /// completed by calling again. From the kernel into memory it goes by a pipe that only lasts for the call,
  /// for which EMFILE and the like are thrown. `.wouldBlock` means that the other has no slot free, or that
  /// this one is empty.  C: `tee`
  public borrowing func tee(to other: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer {
    if try Self.isNothing(limit) { return .bytes(0) }
    guard count > 0 else { return .wouldBlock }
    let move = try rings.tee(to: &other.rings, upTo: limit)
    other.account(move)
    return move.transfer
  }
}
