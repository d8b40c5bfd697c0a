// Whether the threads of a relay still turn.
//
// Each has a task that wakes once a second and notes the time: it goes through the thread's queue, its
// deadlines and epoll, as every connection there does. A thread whose note is old is blocked, or busy with
// something that does not let others have their turn.

import Splice
import Synchronization
import SystemPackage

/// The last time a thread was seen to turn.
final class Heartbeat: Sendable {
  /// What the thread is called.
  let name: String
  /// In nanoseconds since the start of all heartbeats, without those the machine was asleep; none while the
  /// thread does not run.
  private let last = Atomic<Int64>(none)
  private static let start = SuspendingClock.now
  private static let none = Int64.min

  private static let interval = Duration.seconds(1)

  init(of name: String) { self.name = name }

  private static var now: Int64 { (SuspendingClock.now - start).nanoseconds }

  /// How long ago the thread turned; nil while it does not run.
  var silence: Duration? {
    let last = last.load(ordering: .relaxed)
    return last == Self.none ? nil : .nanoseconds(max(0, Self.now - last))
  }

  /// What is wrong with the thread, when it has not turned for so long.
  func complaint(after longest: Duration) -> String? {
    guard let silence, silence > longest else { return nil }
    return "thread \(name) has not turned for \(silence.components.seconds) s"
  }

  /// The same of the first thread of a server of which something is wrong.
  static func complaint(of threads: [Heartbeat], after longest: Duration = .seconds(5)) -> String? {
    threads.lazy.compactMap { $0.complaint(after: longest) }.first
  }

  /// Beats on a thread until `end` is signalled.
  func run(on executor: EpollExecutor, until end: Event) async {
    let key = executor.attach(end.descriptor)
    defer {
      executor.detach(key)
      last.store(Self.none, ordering: .relaxed)
    }
    while !end.isSignalled {
      last.store(Self.now, ordering: .relaxed)
      do throws(Errno) {
        _ = try await executor.wait(for: Interest(key, as: .source), or: nil, until: .now + Self.interval)
      } catch {
        // An error of epoll itself, as for want of memory: the thread turns still.
        try? await Task.sleep(for: Self.interval)
      }
      // Cancelled, a wait returns at once: the end is near, and is not spun for.
      if Task.isCancelled { return }
    }
  }
}
