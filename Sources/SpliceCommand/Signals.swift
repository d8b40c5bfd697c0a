// SIGINT and SIGTERM end a copy in good order; the same signal again ends it at once.

import Glibc
import Splice
import Synchronization
import SystemPackage

/// What the signals of this process have said.
enum Signals {
  // Both exist before a handler is installed, so that a handler only stores and writes.
  private static let stop = try? Stop()
  private static let caught = Atomic<CInt>(0)
  private static let pipeWasIgnored = Syscall.isIgnored(signal: SIGPIPE)

  /// Begins to listen, and gives what flows are to be stopped by.
  static func begin() -> Stop? {
    _ = pipeWasIgnored
    guard let stop else { return nil }
    for signal in [SIGINT, SIGTERM] {
      // A signal that cannot be handled ends the process, as it would have anyway.
      _ = try? Syscall.handleOnce(signal: signal) { number in
        Signals.caught.store(number, ordering: .relaxed)
        Signals.stop?.stop()
      }
    }
    return stop
  }

  /// The status to end with, once a signal was caught.
  static var status: Status? {
    switch caught.load(ordering: .relaxed) {
    case SIGINT: .interrupted
    case SIGTERM: .terminated
    default: nil
    }
  }

  /// Ends the process as `cat` ends when its reader goes away: by SIGPIPE, without a word. Returns when that signal was
  /// ignored when we began.
  static func dieOfLostReader() {
    if !pipeWasIgnored { Syscall.die(by: SIGPIPE) }
  }
}
