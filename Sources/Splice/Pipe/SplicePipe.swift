// THE type: a buffer one can hold, with its accounts.
//
// What is in a pipe when a call fails, is stopped or is cancelled is still in it afterwards, to be drained,
// read, teed or resumed. Here live its making, its size and its accounts; the verbs are in the files beside
// this one.
//
// The invariant: received - delivered == count. It holds by construction, since `delivered` is not stored.

import SystemPackage

/// A pipe: a buffer of references to pages, with one owner.
///
/// Bytes are spliced in from any descriptor and out to any other; between the two they belong to this value
/// and are never lost.
///
/// ```swift
/// var pipe = try SplicePipe()
/// do {
///   try await pipe.forward(from: upload, to: file)
/// } catch .sink(.noSpace) {
///   try await pipe.drain(to: spare)  // same bytes, another home
/// } catch {
///   throw error
/// }
/// ```
public struct SplicePipe: ~Copyable, Sendable {
  var rings: Rings
  /// Bytes that came in, by the way they travelled.
  public internal(set) var receivedBy: PathCounts
  private var splicedOut: UInt64 = 0
  /// How much of what was ever handed out, or will be next, the taps have been shown.
  var shownUpTo: UInt64 = 0
  /// To which observer: another has seen nothing of it.
  var shownTo: (any AnyObject & Sendable)?

  /// Where a pipe's bytes are.
  public enum Storage: String, Sendable, Hashable, CaseIterable {
    /// In the kernel, where descriptors splice.
    case kernel
    /// In this process, for bytes its own code makes or eats, and as large as one likes. Its slots and
    /// answers are the kernel's; to and from descriptors bytes are copied, between two of these only
    /// references move.
    case memory
  }

  /// A new, empty pipe. The capacity is a wish in bytes, which is rounded up to a power of two of whole
  /// pages; the kernel may decline it. ``capacity`` says what was granted.  C: `pipe2`, F_SETPIPE_SZ
  public init(_ storage: Storage = .kernel, capacity: Int = 1 << 20) throws(Errno) {
    switch storage {
    case .kernel: rings = try Rings(inKernel: capacity)
    case .memory: rings = Rings(inMemory: capacity)
    }
    receivedBy = PathCounts()
  }

  /// A new, empty pipe of the kernel that is borrowed from a pool while bytes are in it, and costs nothing
  /// while a flow waits for its source. Where no pipe is to be had, bytes are copied; `release`, which cannot
  /// do without one, throws ENFILE.
  public init(from pool: PipePool, capacity: Int = 1 << 20) {
    rings = Rings(borrowingFrom: pool, wish: capacity)
    receivedBy = PathCounts()
  }

  /// Takes over the two ends of a pipe that is there already; bytes in it count as received. They are counted
  /// once: other holders of an end must leave it alone from now on.
  public init(owningReader reader: consuming Descriptor, writer: consuming Descriptor) throws(Errno) {
    rings = try Rings(reader: reader, writer: writer)
    receivedBy = PathCounts(splice: UInt64(rings.count))
  }

  /// A pipe of the kernel, or one in memory where none is to be had: no descriptor is left (EMFILE, ENFILE),
  /// or no memory of the kernel's. Bytes that must be spliced cannot pass through memory, and there the error
  /// is the caller's.
  package static func make(for via: PathChoice, capacity: Int) throws(Errno) -> SplicePipe {
    do throws(Errno) { return try SplicePipe(capacity: capacity) } catch {
      if via == .splice { throw error }
      return try SplicePipe(.memory, capacity: capacity)
    }
  }

  /// Where its bytes are.
  public var storage: Storage { rings.storage }

  /// Whether one more slot is free, so that at least a byte can be taken in.  C: `poll` with POLLOUT
  public var hasRoom: Bool { rings.hasRoom }

  /// Bytes this pipe holds at most, as granted. Slots may run out sooner, and pages of sockets may hold more.
  /// C: F_GETPIPE_SZ
  public var capacity: Int { rings.capacity }

  /// Wishes for another capacity, in bytes. It may be declined, and is while more slots are in use than would
  /// be left.  C: F_SETPIPE_SZ
  public mutating func resize(to capacity: Int) { rings.resize(to: capacity) }

  /// Bytes held.
  public var count: Int { rings.count }

  /// Bytes taken in since the beginning.
  public var received: UInt64 { receivedBy.splice + receivedBy.copy }

  /// Bytes handed out since the beginning. Handed to a sink means: accepted by the sink's kernel, and says no
  /// more.
  public var delivered: UInt64 { received - UInt64(count) }

  /// Bytes that went out, by the way they travelled.
  public var deliveredBy: PathCounts { PathCounts(splice: splicedOut, copy: delivered - splicedOut) }

  /// Takes a pipe of the kernel apart: its two ends, with the bytes in them, are the caller's to close.
  /// Throws EBUSY while a hop that copies holds bytes in user memory, which the ends could not give; drain or
  /// read those first.
  public consuming func release() throws(Errno) -> (reader: FileDescriptor, writer: FileDescriptor) {
    try rings.release()
  }
}

/// Bytes by the way they travelled.
public struct PathCounts: Sendable, Hashable {
  /// Bytes moved by reference, through splice or tee.
  public internal(set) var splice: UInt64 = 0
  /// Bytes moved by reference that other sinks got too.
  public internal(set) var tee: UInt64 = 0
  /// Bytes that went through user memory.
  public internal(set) var copy: UInt64 = 0
  /// Bytes of files that went to a socket by reference, through no pipe of ours.
  public internal(set) var sendfile: UInt64 = 0
  /// Bytes the kernel copied from file to file.
  public internal(set) var copyFileRange: UInt64 = 0
  /// Bytes whose blocks two files share.
  public internal(set) var reflink: UInt64 = 0
  /// Zeros that are stored nowhere.
  public internal(set) var hole: UInt64 = 0

  /// None yet.
  package init() {}

  init(splice: UInt64, copy: UInt64 = 0) {
    self.splice = splice
    self.copy = copy
  }

  /// Of this many bytes, as many as were copied, then those that were teed; the rest was spliced.
  init(_ total: UInt64, copied: UInt64, teed: UInt64) {
    copy = min(copied, total)
    tee = min(teed, total - copy)
    splice = total - copy - tee
  }

  /// All of them.
  public var total: UInt64 { splice + tee + copy + sendfile + copyFileRange + reflink + hole }

  /// Those of one path.
  package subscript(path: TransferPath) -> UInt64 {
    switch path {
    case .splice: splice
    case .tee: tee
    case .copy: copy
    case .sendfile: sendfile
    case .copyFileRange: copyFileRange
    case .reflink: reflink
    case .hole: hole
    }
  }

  @inline(__always)
  mutating func add(_ move: Move) {
    let count = UInt64(move.count)
    switch move.path {
    case .splice: splice += count
    case .tee: tee += count
    case .copy: copy += count
    case .sendfile: sendfile += count
    case .copyFileRange: copyFileRange += count
    case .reflink: reflink += count
    case .hole: hole += count
    }
  }

  mutating func add(_ others: PathCounts) { self = each(others, &+) }

  /// Those of the first bytes alone, where the others are not to count.
  package func limited(to most: UInt64) -> PathCounts {
    total <= most ? self : PathCounts(most, copied: copy, teed: tee)
  }

  /// What has come on top of an earlier count of the same pipe.
  package func minus(_ earlier: PathCounts) -> PathCounts { each(earlier, &-) }

  @inline(__always)
  private func each(_ other: PathCounts, _ operation: (UInt64, UInt64) -> UInt64) -> PathCounts {
    var counts = PathCounts()
    counts.splice = operation(splice, other.splice)
    counts.tee = operation(tee, other.tee)
    counts.copy = operation(copy, other.copy)
    counts.sendfile = operation(sendfile, other.sendfile)
    counts.copyFileRange = operation(copyFileRange, other.copyFileRange)
    counts.reflink = operation(reflink, other.reflink)
    counts.hole = operation(hole, other.hole)
    return counts
  }
}

// MARK: - The accounts: every byte passes one of these two

extension SplicePipe {
  @inline(__always)
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, via: PathChoice
  ) throws(Errno) -> Move {
    if try Self.isNothing(limit) { return Move(transfer: .bytes(0), path: .copy) }
    if offset != nil { try source.mustHavePlaces() }
    let move = try rings.fill(from: source, at: &offset, upTo: limit, via: via)
    receivedBy.add(move)
    return move
  }

  @inline(__always)
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool,
    via: PathChoice
  ) throws(Errno) -> Transfer {
    if try Self.isNothing(limit) { return .bytes(0) }
    if offset != nil { try sink.mustHavePlaces() }
    guard count > 0 else {
      // A descriptor that will never do is told of at once, and not after a wait.
      try sink.mustBeOpen(as: .sink)
      return .wouldBlock
    }
    let move = try rings.drain(to: sink, at: &offset, upTo: limit, moreFollows: moreFollows, via: via)
    if move.path == .splice { splicedOut += UInt64(move.count) }
    return move.transfer
  }

  /// Takes a small message from one socket and hands it to another past the pipe, which is empty: it is in
  /// no memory before or after. What is not taken of it is in the pipe. Nil where that cannot be.
  /// `limit` is at most `Syscall.scratchSize`.
  @inline(__always)
  mutating func pass(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, upTo limit: Int
  ) throws(SpliceError) -> (filled: Transfer, drained: Transfer?)? {
    // Only a socket can be told at each call not to wait; and a message may be longer than a small one.
    guard source.kind.isStream, sink.kind.isSocket, rings.mayKeep else { return nil }
    return try unsafe Syscall.withScratch { scratch throws(SpliceError) in
      let buffer = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<limit])
      let filled: Transfer
      do throws(Errno) {
        filled = try Transfer.taking { () throws(Errno) in try unsafe Syscall.recv(source.raw, into: buffer) }
      } catch {
        // A peer that has closed, and left something unread: an end, which is told as what it was.
        if source.wasLeft(error) { return (.endOfFile, nil) }
        throw .source(error)
      }
      guard case .bytes(let count) = filled else { return (filled, nil) }
      receivedBy.add(Move(transfer: filled, path: .copy))
      let message = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<count])
      var taken = 0
      defer { if taken < count { unsafe rings.keep(UnsafeRawBufferPointer(rebasing: message[taken...])) } }
      do throws(Errno) {
        let drained = try Transfer.giving { () throws(Errno) in
          try unsafe Syscall.send(sink.raw, from: message, moreFollows: false)
        }
        if case .bytes(let accepted) = drained { taken = accepted }
        return (filled, drained)
      } catch { throw .sink(error) }
    }
  }

  /// Whether nothing is asked for; EINVAL for less than nothing.
  static func isNothing(_ limit: Int) throws(Errno) -> Bool {
    if limit < 0 { throw .invalidArgument }
    return limit == 0
  }

  /// Bytes that came in by another way than `fill`.
  mutating func account(_ move: Move) { receivedBy.add(move) }

  /// Bytes that went out by another way than `drain`.
  mutating func accountOut(_ move: Move) { if move.path == .splice { splicedOut += UInt64(move.count) } }
}
