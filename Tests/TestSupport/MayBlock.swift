// Tests that wait for real things, on threads of their own.
//
// The runner's pool has as many threads as the machine has cores. A blocking flow, or a test that waits for a
// program, would keep one of them from everybody else; with two such tests on two cores, nothing that needs
// the pool would go on at all.
//
// Some go on at a time: all at once they would hold more pages of pipes than the kernel grants an ordinary
// user (64 MiB, pipe-user-pages-soft), who then gets smaller pipes than were asked for.
//
// A thread that hangs cannot be ended. So when no such test has ended for long, the whole run does, and says
// which ones were running.

import Foundation
import Splice
import Testing

/// Runs every job of a test on a new thread, under the eyes of ``Watchdog``.
public struct MayBlock: TestTrait, SuiteTrait, TestScoping {
  public var isRecursive: Bool { true }

  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    await Turnstile.shared.enter()
    defer { Turnstile.shared.leave() }
    Watchdog.shared.begin(test)
    defer { Watchdog.shared.end(test) }
    try await withTaskExecutorPreference(Threads.shared) { try await function() }
  }

  /// Lets some in at a time.
  private final class Turnstile: Sendable {
    static let shared = Turnstile(24)

    private let state: Locked<(free: Int, waiting: [CheckedContinuation<Void, Never>])>

    init(_ width: Int) { state = Locked((width, [])) }

    func enter() async {
      await withCheckedContinuation { continuation in
        let isIn = state.withLock { state in
          if state.free > 0 {
            state.free -= 1
            return true
          }
          state.waiting.append(continuation)
          return false
        }
        if isIn { continuation.resume() }
      }
    }

    func leave() {
      state.withLock { state -> CheckedContinuation<Void, Never>? in
        if state.waiting.isEmpty {
          state.free += 1
          return nil
        }
        return state.waiting.removeFirst()
      }?.resume()
    }
  }

  /// For tasks of such a test that it does not wait for in a group: they do not inherit where they run.
  public static var threads: any TaskExecutor { Threads.shared }

  private final class Threads: TaskExecutor {
    static let shared = Threads()

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      Thread.detachNewThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
  }
}

extension Trait where Self == MayBlock {
  /// The tests may block their threads.
  public static var mayBlock: Self { Self() }
}

/// Ends the run when no test has ended for long.
public final class Watchdog: Sendable {
  private struct State {
    var running: [String: Int] = [:]
    /// When the last test has ended, or the first begun.
    var last = ContinuousClock.now
  }

  static let shared = {
    let watchdog = Watchdog(limit: Bound.usual * 3 / 2)
    Thread.detachNewThread { watchdog.watch() }
    return watchdog
  }()

  private let state = Locked(State())
  private let limit: Duration

  /// One that looks when it is asked.
  public init(limit: Duration) { self.limit = limit }

  func begin(_ test: Test) { begin("\(test.id)") }
  func end(_ test: Test) { end("\(test.id)") }

  /// A test begins.
  public func begin(_ name: String) {
    state.withLock { state in
      if state.running.isEmpty { state.last = .now }
      state.running[name, default: 0] += 1
    }
  }

  /// It has ended.
  public func end(_ name: String) {
    state.withLock { state in
      state.last = .now
      let left = (state.running[name] ?? 1) - 1
      state.running[name] = left > 0 ? left : nil
    }
  }

  /// The tests that were running all the time while none has ended for too long; empty while all is well.
  public func stuck(at time: ContinuousClock.Instant? = nil) -> [String] {
    state.withLock { $0.last + limit < time ?? .now ? $0.running.keys.sorted() : [] }
  }

  private func watch() {
    while true {
      Thread.sleep(forTimeInterval: 5)
      let stuck = stuck()
      if !stuck.isEmpty {
        fatalError("no test has ended for \(limit); these hang: \(stuck.joined(separator: ", "))")
      }
    }
  }
}
