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
  public mutating func resize(to capacity: Int) { end.pipe.resize(to: capacity) }

  /// Declares the pipe bad: from now on every verb of either end throws EBADMSG, and who waits is woken.
  public func invalidate() { end.pipe.invalidate() }

  /// Gives this end's descriptor away, for example to a child process: it waits, as programs expect. Bytes are counted by the kernel alone from then on. Throws
  /// ENOTSUP for a pipe in memory.
  public consuming func release() throws(Errno) -> FileDescriptor { try end.pipe.release(.writer) }
}

// MARK: - At once

extension PipeWriter {
  /// Copies bytes in; fewer than all of them when the slots run out.  C: `write`
  public mutating func write(_ bytes: borrowing RawSpan) throws(Errno) -> Transfer {
    if bytes.isEmpty { return .bytes(0) }
    return try end.pipe.asWriter { pipe throws(Errno) in try pipe.write(bytes) }
  }

  /// Takes bytes from a source. `.wouldBlock` means that the source is dry or, when ``state`` says `waiting`, that the slots
  /// have run out.  C: `splice`
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: Int = .max
  ) throws(Errno) -> Transfer {
    limit == 0 ? .bytes(0) : try end.pipe.fill(from: source, upTo: limit)
  }

  /// Moves the front of another pipe in here, by reference.  C: `splice`
  public mutating func splice(from other: inout SplicePipe, upTo limit: Int = .max) throws(Errno) -> Transfer
  {
    try end.pipe.asWriter { pipe throws(Errno) in try other.splice(to: &pipe, upTo: limit) }
  }
}

// MARK: - In a task

extension PipeWriter {
  /// Waits until there is a slot to fill, or nobody is left to read. Throws when the task is cancelled.
  public mutating func wait(on readiness: some Readiness = .epoll) async throws(SpliceError) {
    while state == .waiting { try await end.pipe.wait(as: .writer, waitingOn: readiness) }
  }

  /// Takes bytes from a source until it ends.
  ///
  /// - Returns: How many bytes were taken.
  /// - Throws: ``SpliceError``; what was taken is in the pipe. When the reader is gone, EPIPE as ``SpliceError/sink(_:)``.
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, pace: Pace? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var moved: UInt64 = 0
    var pace = pace
    while moved < limit {
      let allowed = pace?.allowance(at: .now) ?? .max
      if allowed == 0, let next = pace?.next {
        try await readiness.waitOnce(until: next)
        continue
      }
      let (transfer, isFull) = try hop(from: source, upTo: min(limit - moved, UInt64(allowed)))
      switch transfer {
      case .bytes(let count):
        moved += UInt64(count)
        pace?.took(count)
        if Task.isCancelled { throw .cancelled }
      case .endOfFile: return moved
      case .wouldBlock where isFull: try await wait(on: readiness)
      case .wouldBlock: try await readiness.waitOnce(for: source.raw, as: .source)
      }
    }
    return moved
  }
}

// MARK: - On a thread

extension PipeWriter {
  /// Waits until there is a slot to fill, or nobody is left to read.
  public mutating func wait(waitingIn poll: Poll) throws(SpliceError) {
    while state == .waiting { try end.pipe.wait(as: .writer, waitingIn: poll) }
  }

  /// Takes bytes from a source until it ends.
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, pace: Pace? = nil, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    var moved: UInt64 = 0
    var pace = pace
    while moved < limit {
      let allowed = pace?.allowance(at: .now) ?? .max
      if allowed == 0, let next = pace?.next {
        try poll.waitOnce(until: next)
        continue
      }
      let (transfer, isFull) = try hop(from: source, upTo: min(limit - moved, UInt64(allowed)))
      switch transfer {
      case .bytes(let count):
        moved += UInt64(count)
        pace?.took(count)
        try poll.check()
      case .endOfFile: return moved
      case .wouldBlock where isFull: try wait(waitingIn: poll)
      case .wouldBlock: try poll.waitOnce(for: source, as: .source)
      }
    }
    return moved
  }

  /// One hop, and whether it was the pipe that had no room.
  private mutating func hop(
    from source: borrowing Descriptor, upTo limit: UInt64
  ) throws(SpliceError) -> (Transfer, isFull: Bool) {
    switch state {
    case .invalid: throw .pipe(.badMessage)
    case .closed: throw .sink(.brokenPipe)
    case .waiting: return (.wouldBlock, isFull: true)
    case .ready: break
    }
    do throws(Errno) {
      return (try splice(from: source, upTo: Int(min(limit, 1 << 30))), isFull: false)
    } catch { throw error == .brokenPipe ? .sink(error) : .source(error) }
  }
}
