// Tests that wait for real things, on threads of their own.
//
// The runner's pool has as many threads as the machine has cores. A blocking flow, or a test that waits for a program, would keep
// one of them from everybody else; with two such tests on two cores, nothing that needs the pool would go on at all.

import Foundation
import Testing

/// Runs every job of a test on a new thread.
public struct MayBlock: TestTrait, SuiteTrait, TestScoping {
  public var isRecursive: Bool { true }

  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(Threads.shared) { try await function() }
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
