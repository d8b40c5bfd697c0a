// How a sink ends. What has no end of its own, such as a file, ends by being closed.
//
// Closing a socket with unread input makes the kernel reset the connection and throw away what it had accepted from us. So a
// socket is half-closed, and what the peer still says is read and dropped until its own end.

import SystemPackage

extension Descriptor {
  /// Tells the peer of a socket that nothing follows; nothing else has a half to close.  C: `shutdown` with SHUT_WR
  package borrowing func passEndOn() throws(SpliceError) {
    guard kind.isStream else { return }
    do throws(Errno) {
      try Syscall.shutdown(raw, .writing)
    } catch {
      // ENOTCONN: the peer is gone already, and has heard everything it will hear.
      if error != .socketNotConnected { throw .sink(error) }
    }
  }

  /// Ends a sink so that what it has accepted is not thrown away, and closes it, while the calling thread waits: at most
  /// until the deadline of `poll`, for a peer that does not end. A peer that resets the connection meanwhile has thrown
  /// away what it had not read: ECONNRESET as ``SpliceError/sink(_:)``.  C: `shutdown`, `recv`, `close`
  public consuming func finish(waitingIn poll: Poll) throws(SpliceError) {
    endOnClosing()
    try passEndOn()
    if kind.isStream {
      do throws(SpliceError) { try dropInput(waitingIn: poll) } catch {
        // A peer that has not ended by then was listened to for long enough.
        if error != .timedOut, error != .cancelled { throw error }
      }
    }
    do throws(Errno) { try close() } catch { throw .sink(error) }
  }

  /// From now on a TCP peer is reset, and does not see an end, when this is closed before ``finish(waitingIn:)``, even because the
  /// process was killed: a truncated stream never looks like a finished one.  C: SO_LINGER
  package borrowing func resetUnlessFinished() {
    if kind == .tcpSocket { try? Syscall.setReset(onClosing: raw, true) }
  }

  /// Takes ``resetUnlessFinished()`` back: what was accepted is delivered after the close, and then the end.  C: SO_LINGER
  package borrowing func endOnClosing() {
    if kind == .tcpSocket { try? Syscall.setReset(onClosing: raw, false) }
  }

  /// Closes a sink that has not got everything. What a TCP peer was sent is confirmed first, while the deadline of `poll`
  /// allows: a reset would throw it away.  C: SIOCOUTQ, `close`
  package consuming func abort(waitingIn poll: Poll) {
    guard kind == .tcpSocket else { return }
    // The queue empties as the peer's kernel confirms, and nothing tells of that.
    while (try? poll.check()) != nil, let left = try? Syscall.bytesUnconfirmed(in: raw), left > 0 {
      poll.pause(for: .milliseconds(5))
    }
  }

  /// Reads and drops until the peer's end. Opens nothing, so it works without a free descriptor.  C: `recv`
  private borrowing func dropInput(waitingIn poll: Poll) throws(SpliceError) {
    while true {
      let count: Int
      do throws(Errno) {
        // The scratch memory is the thread's own, and nothing is kept of it.
        count = try unsafe Syscall.withScratch { scratch throws(Errno) in
          try unsafe Syscall.recv(raw, into: scratch)
        }
      } catch {
        guard error == .wouldBlock else { throw .sink(error) }
        try poll.waitOnce(for: raw, as: .source)
        continue
      }
      if count == 0 { return }
      try poll.check()
    }
  }
}
