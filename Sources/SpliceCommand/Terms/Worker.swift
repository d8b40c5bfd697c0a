// A thread that does one thing, can be told to stop, and is waited for: what serves a sink, a tap or a
// buffer.

import Splice
import SystemPackage

/// A thread for one thing at a time.
final class Worker: Sendable {
  private let name: String
  /// Tells it to stop.
  let stop: StopFlag
  /// Given while it has nothing to do.
  let done: StopFlag

  /// Makes all that it takes but the thread, and begins nothing.
  init(_ name: String) throws(Errno) {
    self.name = name
    (stop, done) = (try StopFlag(), try StopFlag())
    done.stop()
  }

  /// How it waits, in what it does.
  var poll: BlockingWait { BlockingWait(orStoppedBy: stop) }

  var isDone: Bool { done.isStopped }

  /// Begins. Without a thread to be had nothing has begun.
  func begin(_ work: @escaping @Sendable () -> Void) throws(Errno) {
    done.reset()
    do throws(Errno) {
      try Syscall.startThread(name: name) { [done] in
        work()
        done.stop()
      }
    } catch {
      done.stop()
      throw error
    }
  }

  /// Waits until it has nothing to do, as long as `poll` allows.
  func wait(waitingIn poll: BlockingWait = .poll) throws(SpliceError) {
    while !isDone {
      try poll.check()
      do throws(Errno) { try poll.wait(forAnyOf: [done.interest], atMost: nil) } catch { throw .pipe(error) }
    }
  }

  /// Tells it to stop, and waits until it has.
  func end() {
    stop.stop()
    while !isDone { try? wait() }
  }
}
