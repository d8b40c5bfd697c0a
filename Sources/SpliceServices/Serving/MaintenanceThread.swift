// The thread of what a server does beside its clients.

import Splice
import SystemPackage

/// The thread of all that goes on beside the connections, and the times it waits for: these need no
/// descriptors of the runtime, which ends the process where it cannot have them.
final class MaintenanceThread: Sendable {
  private let owner: OwnExecutor
  /// Never signalled: what waits for it can be interrupted.
  private let never: Event
  private let interest: Interest

  var executor: EpollExecutor { owner.executor }

  init() throws(Errno) {
    never = try Event()
    owner = try OwnExecutor(name: "splice-care")
    interest = Interest(owner.executor.attach(never.descriptor), as: .source)
  }

  deinit { executor.detach(interest.key) }

  /// Until then, or a little while when the kernel has no memory for it; less when the task is cancelled.
  func sleep(until time: ContinuousClock.Instant) async {
    do throws(Errno) { _ = try await executor.wait(for: interest, or: nil, until: time) } catch {
      BlockingWait.poll.pause(for: .milliseconds(100))
    }
  }

  func wakeAll() { executor.interrupt(interest.key) }
}
