// How a sink ends. What has no end of its own, such as a file, ends by being closed.
//
// Closing a socket with unread input makes the kernel reset the connection and throw away what it had
// accepted from us. So a socket is half-closed, and what the peer still says is read and dropped until its
// own end.

import CSplice
import SystemPackage

extension Descriptor {
  /// Tells the peer of a socket that nothing follows, and goes on reading what it says; nothing else has a
  /// half to close. Throws the failure of a socket that has met one, such as a reset, and has not told it
  /// yet.  C: `shutdown` with SHUT_WR
  public borrowing func halfClose() throws(SpliceError) {
    guard kind.isStream else { return }
    do throws(Errno) {
      try Syscall.shutdown(raw, .writing)
    } catch {
      // ENOTCONN: both have ended already, or the connection was reset, and that was told to nobody if the
      // socket still knows.
      if error != .socketNotConnected { throw .sink(error) }
      if let errno = takeSocketError() { throw .sink(errno) }
    }
  }

  /// Ends a sink so that what it has accepted is not thrown away, and closes it: waits for the peer's end, at
  /// most until the deadline. A peer that resets the connection meanwhile has thrown away what it had not
  /// read: ECONNRESET as ``SpliceError/sink(_:)``.  C: `shutdown`, `recv`, `close`
  public consuming func finish(
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) {
    try endOnClosing()
    try halfClose()
    if kind.isStream {
      do throws(SpliceError) {
        while try dropSome() {
          try await readiness.waitOnce(for: raw, as: .source, until: deadline)
          if let deadline, deadline <= .now { throw .timedOut }
        }
      } catch { try mayClose(after: error) }
    }
    do throws(Errno) { try close() } catch { throw .sink(error) }
  }

  /// Ends a sink so that what it has accepted is not thrown away, and closes it, while the calling thread
  /// waits, at most until the deadline of `poll`.  C: `shutdown`, `recv`, `close`
  public consuming func finish(waitingIn poll: BlockingWait) throws(SpliceError) {
    try endOnClosing()
    try halfClose()
    if kind.isStream {
      do throws(SpliceError) { while try dropSome() { try poll.waitOnce(for: raw, as: .source) } } catch {
        try mayClose(after: error)
      }
    }
    do throws(Errno) { try close() } catch { throw .sink(error) }
  }

  /// A peer that has not ended by then was listened to for long enough.
  private borrowing func mayClose(after error: SpliceError) throws(SpliceError) {
    if error != .timedOut, error != .cancelled { throw error }
  }

  /// Reads and drops what is there, and says whether more may come; false at the peer's end. Opens nothing,
  /// so it works without a free descriptor.  C: `recv`
  private borrowing func dropSome() throws(SpliceError) -> Bool {
    do throws(Errno) {
      for _ in 0..<64 {
        // The scratch memory is the thread's own, and nothing is kept of it.
        let count = try unsafe Syscall.withScratch { scratch throws(Errno) in
          try unsafe Syscall.recv(raw, into: scratch)
        }
        if count == 0 { return false }
      }
    } catch {
      if error != .wouldBlock { throw .sink(error) }
    }
    return true
  }
}

// MARK: - Cut off

extension Descriptor {
  /// From now on a TCP peer is reset, and does not see an end, when this is closed before
  /// ``finish(waitingIn:)``, even because the process was killed: a truncated stream never looks like a
  /// finished one. A flow that fails or is cancelled does this to its sink by itself, until a later one goes
  /// to its end.  C: SO_LINGER
  public borrowing func resetUnlessFinished() {
    guard kind == .tcpSocket else { return }
    closing.store(.resets, ordering: .relaxed)
    try? Syscall.setReset(onClosing: raw, true)
  }

  /// Takes ``resetUnlessFinished()`` back: what was accepted is delivered after the close, and then the end.
  /// C: SO_LINGER
  public borrowing func endOnClosing() throws(SpliceError) {
    guard kind == .tcpSocket else { return }
    closing.store(.ends, ordering: .relaxed)
    do throws(Errno) { try Syscall.setReset(onClosing: raw, false) } catch { throw .sink(error) }
  }

  /// A flow to this sink went to its end, or did not.
  borrowing func flowEnded(_ isWhole: Bool) {
    guard kind == .tcpSocket else { return }
    switch closing.load(ordering: .relaxed) {
    case .ends where !isWhole:
      closing.store(.resetsForFlow, ordering: .relaxed)
      try? Syscall.setReset(onClosing: raw, true)
    case .resetsForFlow where isWhole:
      try? endOnClosing()
    default: break
    }
  }

  /// Closes a sink that has not got everything: a TCP peer is reset, once it has confirmed what it was sent,
  /// or the deadline has come; a reset would throw that away.  C: SO_LINGER, SIOCOUTQ, `close`
  public consuming func abort(
    until deadline: ContinuousClock.Instant, waitingOn readiness: some Readiness = .epoll
  ) async {
    resetUnlessFinished()
    await confirm(idle: nil, until: deadline, waitingOn: readiness)
  }

  /// Closes a sink that has not got everything, once its peer has confirmed what it was sent, while the
  /// calling thread waits.  C: SO_LINGER, SIOCOUTQ, `close`
  public consuming func abort(waitingIn poll: BlockingWait) {
    resetUnlessFinished()
    var looks = Looks(idle: nil)
    while let time = looks.next(unconfirmedByPeer), (try? poll.check()) != nil { poll.pause(for: time) }
  }

  /// Waits until a TCP peer has confirmed what it was sent, at most until the deadline, and no longer than
  /// `idle` for the next byte of it.
  package borrowing func confirm(
    idle: Duration?, until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness
  ) async {
    var looks = Looks(idle: idle)
    while let time = looks.next(unconfirmedByPeer), deadline.map({ $0 > .now }) ?? true, !Task.isCancelled {
      let next = ContinuousClock.now + time
      _ = try? await readiness.wait(for: nil, or: nil, until: deadline.map { min($0, next) } ?? next)
    }
  }

  /// When to ask what has been confirmed: a queue empties as the peer's kernel takes it, and nothing tells of
  /// that. Soon at first, and then more and more seldom.
  private struct Looks {
    private var interval = Duration.milliseconds(1)
    private var seen = 0
    private var seenAt = ContinuousClock.now
    private let idle: Duration?

    init(idle: Duration?) { self.idle = idle }

    /// For how long to wait before the next look; nil when there is nothing to wait for.
    mutating func next(_ left: Int) -> Duration? {
      if left == 0 { return nil }
      if left != seen { (seen, seenAt) = (left, .now) }
      if let idle, .now - seenAt >= idle { return nil }
      defer { interval = min(interval * 2, .milliseconds(50)) }
      return interval
    }
  }

  /// What a TCP peer may yet confirm, in bytes. One that was reset never does.
  private var unconfirmedByPeer: Int {
    guard kind == .tcpSocket else { return 0 }
    let left = unconfirmed
    return left > 0 && isOver() ? 0 : left
  }

  /// What a stream socket has accepted and its peer not yet taken: bytes, or the memory of those in a unix
  /// socket.  C: `ioctl` with SIOCOUTQ
  package var unconfirmed: Int {
    kind.isStream ? (try? Syscall.bytesUnconfirmed(in: raw)) ?? 0 : 0
  }

  /// Whether the kernel has given a TCP connection up: it was reset, or timed out.  C: `getsockopt` with
  /// TCP_INFO
  private borrowing func isOver() -> Bool {
    // The state is the first byte of what is told, and the kernel tells as much as there is room for.
    let told = try? Syscall.getsockopt(raw, level: CInt(IPPROTO_TCP), option: TCP_INFO)
    return told.map { $0 & 0xff == CInt(TCP_CLOSE) } ?? true
  }
}
