// A sink that has hung up: noticed while a flow waits for its source, and not only at the next byte.

import CSplice
import SystemPackage

extension Descriptor {
  /// Whether this can hang up as a sink: a file cannot.
  var canHangUp: Bool { kind.isSocket || kind == .pipe }

  /// Why nothing more can be written to a sink: it has failed, or its peer has gone, or, if `closing`, has
  /// ended its own half. Nil while it may be written to.  C: `poll` with POLLRDHUP, `getsockopt` with
  /// SO_ERROR
  borrowing func hangUp(closing: Bool) -> Errno? {
    guard canHangUp, let told = try? Syscall.state(of: raw, closing ? Syscall.readHangUp : 0) else {
      return nil
    }
    if told & POLLERR != 0 {
      if kind == .pipe { return .brokenPipe }
      // A socket may have an error that is none, such as a message about one that it sent.
      if let errno = takeSocketError() { return errno }
    }
    return told & (POLLHUP | (closing ? Syscall.readHangUp : 0)) != 0 ? .brokenPipe : nil
  }
}

extension BlockingWait.Alarms {
  /// For a sink whose hang-up ends a wait for its source.
  init(following sink: borrowing Descriptor, closing: Bool) {
    guard sink.canHangUp else { return }
    first = RegistrationKey(descriptor: sink.raw, generation: 0)
    (includesHangUp, includesClosing) = (true, closing)
  }
}
