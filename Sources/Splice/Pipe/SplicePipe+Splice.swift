// splice: one system call each, never waiting.
//
// Where a descriptor cannot splice, the same call copies: nothing is lost, and `receivedBy` and `deliveredBy`
// tell. What cannot be done without waiting is `.wouldBlock`. Filling a pipe that holds bytes already may
// mean either side; an empty pipe has room, so there it is the source that is dry.

import SystemPackage

extension SplicePipe {
  /// Takes up to `limit` bytes from a source into this pipe.
  ///
  /// `.wouldBlock` means that the source is dry or, when bytes are in the pipe, that its slots may have run
  /// out.  C: `splice`
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: Int = .max
  ) throws(Errno) -> Transfer {
    var none: Int64?
    return try fill(from: source, at: &none, upTo: limit, via: .automatic).transfer
  }

  /// Takes up to `limit` bytes from an offset of a file. The offset advances by what was taken; the
  /// descriptor's own stays.  C: `splice` with an offset
  public mutating func splice(
    from source: borrowing Descriptor, at offset: inout Int64, upTo limit: Int = .max
  ) throws(Errno) -> Transfer {
    var position: Int64? = offset
    defer { offset = position ?? offset }
    return try fill(from: source, at: &position, upTo: limit, via: .automatic).transfer
  }

  /// Hands up to `limit` bytes of this pipe to a sink, oldest first.
  ///
  /// `.wouldBlock` means that the sink takes nothing now, or that the pipe is empty. Pass `moreFollows` only
  /// when more is certain to follow at once: a socket may hold the last part of a segment back for it, up to
  /// 200 ms.  C: `splice`
  public mutating func splice(
    to sink: borrowing Descriptor, upTo limit: Int = .max, moreFollows: Bool = false
  ) throws(Errno) -> Transfer {
    var none: Int64?
    return try Syscall.withoutSIGPIPE { () throws(Errno) in
      try drain(to: sink, at: &none, upTo: limit, moreFollows: moreFollows, via: .automatic)
    }
  }

  /// Hands up to `limit` bytes of this pipe to an offset of a file. The offset advances by what was taken;
  /// the descriptor's own stays.  C: `splice` with an offset
  public mutating func splice(
    to sink: borrowing Descriptor, at offset: inout Int64, upTo limit: Int = .max
  ) throws(Errno) -> Transfer {
    var position: Int64? = offset
    defer { offset = position ?? offset }
    return try Syscall.withoutSIGPIPE { () throws(Errno) in
      try drain(to: sink, at: &position, upTo: limit, moreFollows: false, via: .automatic)
    }
  }

  /// Moves up to `limit` bytes from the front of this pipe to the end of another, by reference.
  ///
  /// `.wouldBlock` means that the other has no slot free, or that this one is empty.  C: `splice`
  public mutating func splice(to other: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer {
    if try Self.isNothing(limit) { return .bytes(0) }
    guard count > 0 else { return .wouldBlock }
    let move = try rings.move(to: &other.rings, upTo: min(limit, count))
    accountOut(move)
    other.account(move)
    return move.transfer
  }
}
