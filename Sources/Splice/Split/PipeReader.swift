// The reading end of a pipe that was split.

import SystemPackage

/// The end of a pipe that bytes come out of, for one task or thread.
///
/// Letting it go tells the writer: EPIPE. Verbs answer at once, with `.wouldBlock` where they would have to
/// wait; the flow `drain(to:)` goes on to the end, in a task or on a thread.
public struct PipeReader: ~Copyable, Sendable {
  let end: PipeEnd

  /// What this end can do now.  C: `poll` with POLLIN
  public var state: EndState { end.pipe.look(as: .reader) }

  /// Bytes held. When the writer was released to another process, what the kernel says.  C: FIONREAD
  public var count: Int { end.pipe.ask { $0.count } }

  /// Bytes the pipe holds at most.
  public var capacity: Int { end.pipe.ask { $0.capacity } }

  /// Bytes handed out since the beginning; with ``PipeWriter/received`` and ``count`` the accounts of one
  /// pipe.
  public var delivered: UInt64 { end.pipe.ask { $0.delivered } }

  /// Those bytes, by the way they travelled.
  public var deliveredBy: PathCounts { end.pipe.ask { $0.deliveredBy } }

  /// Declares the pipe bad: from now on every verb of either end throws EBADMSG, and who waits is woken. For
  /// a source that turns out to have given less, or something else, than it said.
  public func invalidate() { end.pipe.invalidate() }

  /// Makes what the waits of both ends need, so that none fails later for want of a descriptor.  C: `eventfd`
  package func reserve() throws(Errno) { try end.pipe.reserve() }

  /// Gives this end's descriptor away, for example to a child process: it waits, as programs expect. Bytes
  /// are counted by the kernel alone from then on. Throws ENOTSUP for a pipe in memory, EBUSY while bytes are
  /// held in user memory in front of it.
  public consuming func release() throws(Errno) -> FileDescriptor { try end.pipe.release(.reader) }
}

// MARK: - At once

extension PipeReader {
  /// Copies bytes out, behind those that are in `buffer` already.  C: `read`
  public mutating func read(into buffer: inout OutputRawSpan) throws(Errno) -> Transfer {
    if buffer.freeCapacity == 0 { return .bytes(0) }
    return try end.pipe.asReader { pipe throws(Errno) in try pipe.read(into: &buffer) }
  }

  /// Reads what is left in a pipe that was declared bad, to be looked at.
  public mutating func inspect(into buffer: inout OutputRawSpan) throws(Errno) -> Transfer {
    try end.pipe.inspect(into: &buffer)
  }

  /// Hands bytes to a sink. `.wouldBlock` means that the sink takes nothing now or, when ``state`` says
  /// `waiting`, that the pipe is empty.  C: `splice`
  public mutating func splice(to sink: borrowing Descriptor, upTo limit: Int = .max) throws(Errno) -> Transfer
  {
    limit == 0 ? .bytes(0) : try end.pipe.drain(to: sink, upTo: limit)
  }

  /// Moves bytes to the end of another pipe, by reference.  C: `splice`
  public mutating func splice(to other: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer {
    try end.pipe.asReader { pipe throws(Errno) in try pipe.splice(to: &other, upTo: limit) }
  }

  /// Duplicates the front into another pipe without consuming it.  C: `tee`
  public mutating func tee(to other: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer {
    try end.pipe.asReader { pipe throws(Errno) in try pipe.tee(to: &other, upTo: limit) }
  }
}

// MARK: - From end to end

extension PipeReader {
  /// Moves bytes into another pipe that was split, by reference. EINVAL when these are the ends of one pipe.
  /// C: `splice`
  public mutating func splice(to writer: inout PipeWriter, upTo limit: Int = .max) throws(Errno) -> Transfer {
    if limit == 0 { return .bytes(0) }
    return try SharedPipe.between(end.pipe, writer.end.pipe) { from, to throws(Errno) in
      try from.splice(to: &to, upTo: limit)
    }
  }

  /// Duplicates the front into another pipe that was split. EINVAL when these are the ends of one pipe.
  /// C: `tee`
  public mutating func tee(to writer: inout PipeWriter, upTo limit: Int = .max) throws(Errno) -> Transfer {
    if limit == 0 { return .bytes(0) }
    return try SharedPipe.between(end.pipe, writer.end.pipe) { from, to throws(Errno) in
      try from.tee(to: &to, upTo: limit)
    }
  }
}
