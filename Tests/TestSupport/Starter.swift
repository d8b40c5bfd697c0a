// One thread that starts all programs.
//
// Foundation gives every thread that starts one a run loop of three descriptors, and copies 256 bytes of each
// name in /proc/self/fd: with more than some 1,300 open it reads past the end of what it has read, and may
// crash (swift-corelibs-foundation, pull request 5472).

import Foundation
import Splice

/// Starts the programs of all tests.
final class Starter: Sendable {
  static let shared = Starter()

  private let jobs = Condition<[@Sendable () -> Void]>([])

  private init() {
    Thread.detachNewThread { [jobs] in
      // A child inherits what is ignored, as SIGINT is in the background of a script, and the mask of the
      // thread that starts it, which may have all signals blocked.
      signal(SIGINT, SIG_DFL)
      var none = sigset_t()
      sigemptyset(&none)
      pthread_sigmask(SIG_SETMASK, &none, nil)
      while true { jobs.wait { $0.isEmpty ? nil : $0.removeFirst() }() }
    }
  }

  /// Runs `body` on that thread, when it has its turn.
  func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
    let done = DispatchSemaphore(value: 0)
    let outcome = Locked<Swift.Result<Result, any Error>?>(nil)
    jobs.withLock {
      $0.append {
        let result = Swift.Result { try body() }
        outcome.withLock { $0 = result }
        done.signal()
      }
    }
    jobs.wakeOne()
    done.wait()
    guard let result = outcome.withLock({ $0 }) else { throw Hung(description: "a program was not started") }
    return try result.get()
  }
}
