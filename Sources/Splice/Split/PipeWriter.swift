// The writing end of a pipe that was split.

import SystemPackage

/// The end of a pipe that bytes go into, for one task or thread.
///
/// Letting it go is the end of stream for the reader, once it has read what is left.
public struct PipeWriter: ~Copyable, Sendable {
  let end: PipeEnd

  /// What this end can do now.  C: `poll` with POLLOUT
  public var state: EndState { end.pipe.look(as: .writer) }

  /// Bytes held. When the reader was released to another process, what the kernel says.  C: FIONREAD
  public var count: Int { end.pipe.ask { $0.count } }

  /// Bytes the pipe holds at most.
  public var capacity: Int { end.pipe.ask { $0.capacity } }

  /// Bytes taken in since the beginning.
  public var received: UInt64 { end.pipe.ask { $0.received } }

  /// Those bytes, by the way they travelled.
  public var receivedBy: PathCounts { end.pipe.ask { $0.receivedBy } }

  /// Wishes for another capacity.  C: F_SETPIPE_SZ
  mutating func resize(to capacity: Int) { end.pipe.resize(to: capacity) }

  /// Declares the pipe bad: from now on every verb of either end throws EBADMSG, and who waits is woken.
  public func invalidate() { end.pipe.invalidate() }

  /// Gives this end's descriptor away, for example to a child process: it waits, as programs expect. Bytes
  /// are counted by the kernel alone from then on. Throws ENOTSUP for a pipe in memory.
  public consuming func release() throws(Errno) -> FileDescriptor { try end.pipe.release(.writer) }
}

// MARK: - At once

extension PipeWriter {
  /// Copies bytes in; fewer than all of them when the slots run out.  C: `write`
  public mutating func write(_ bytes: borrowing RawSpan) throws(Errno) -> Transfer {
    if bytes.isEmpty { return .bytes(0) }
    return try end.pipe.asWriter { pipe throws(Errno) in try pipe.write(bytes) }
  }

  /// Takes bytes from a source. `.wouldBlock` means that the source is dry or, when ``state`` says `waiting`,
  /// that the slots have run out.  C: `splice`
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: Int = .max
  ) throws(Errno) -> Transfer {
    limit == 0 ? .bytes(0) : try end.pipe.fill(from: source, upTo: limit)?.transfer ?? .wouldBlock
  }

  /// Moves the front of another pipe in here, by reference.  C: `splice`
  public mutating func splice(from other: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer
  {
    try end.pipe.asWriter { pipe throws(Errno) in try other.splice(to: &pipe, upTo: limit) }
  }
}
