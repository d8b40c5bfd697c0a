// The seam: what differs between a pipe in the kernel and one in user memory.
//
// Five primitives, none of which waits. Accounting, limits, flows and errors are written once above them.

import SystemPackage

/// A pipe, without the accounts.
protocol PipeBody: ~Copyable, Sendable {
  /// Bytes held.
  var count: Int { get }
  /// Bytes granted; slots may run out sooner.
  var capacity: Int { get }

  /// Takes bytes from a source, and says how they travelled.
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, via: Via
  ) throws(Errno) -> Move

  /// Hands bytes to a sink, oldest first, and says how they travelled.
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool, via: Via
  ) throws(Errno) -> Move

  /// Duplicates the front into another pipe of this kind.
  func tee(to other: inout Self, upTo limit: Int) throws(Errno) -> Move

  /// Copies bytes in, at the end.
  mutating func give(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Transfer

  /// Whether bytes may go past this pipe, which is empty, and what a sink did not take of them be kept.
  var mayKeep: Bool { get }

  /// Copies in bytes that came past an empty pipe: at most a small message, for which there is room.
  mutating func keep(_ bytes: UnsafeRawBufferPointer)

  /// Copies all of the bytes in, at the end, or none of them: false when they may not fit.
  mutating func giveAll(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Bool

  /// Copies bytes out, from the front.
  mutating func take(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Transfer
}

/// What a hop did, and by which path.
struct Move: Sendable, Hashable {
  let transfer: Transfer
  let path: Path
  /// More than so many bytes could not have been taken: fewer tell that the source had no more.
  var most = Int.max

  /// Bytes moved, which is none for an end or a would-block.
  var count: Int {
    if case .bytes(let count) = transfer { count } else { 0 }
  }
}
