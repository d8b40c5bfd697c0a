// Threads that may wait for a disk, so that event threads need not.
//
// A few threads, and a queue: an idle thread takes the next job. A file system that hangs (NFS, FUSE) keeps
// the thread that asked it, so when a job has waited in the queue for a tenth of a second there is one thread
// more, up to a bound.

import SystemPackage

/// Runs what may wait for a disk.
package final class DiskThreads: TaskExecutor {
  /// Those of this process, started when they are needed.
  package static let shared = DiskThreads()

  private struct State {
    var jobs: [(job: UnownedJob, since: Moment)] = []
    /// Threads there are, and those that wait for a job.
    var threads = 0
    var idle = 0
    /// A thread looks whether the queue stands still.
    var isWatched = false
  }

  /// As many are usual, and no more than so many there are when some hang.
  private static let usual = 4
  private static let most = 64
  /// A job that has waited this long gets a thread of its own.
  private static let patience = Duration.milliseconds(100)

  private let state = Condition(State())

  /// Others than those, which they do not wait for. They are never given up.
  package init() {}

  /// Runs `body` on one of the threads, and comes back.
  package func run<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    try await withTaskExecutorPreference(self) { () throws(Failure) in try body() }
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let (isNeeded, isToBeWatched) = state.withLock { state in
      state.jobs.append((job, .now))
      if state.idle >= state.jobs.count { return (false, false) }
      if state.threads < Self.usual {
        state.threads += 1
        return (true, false)
      }
      defer { state.isWatched = true }
      return (false, !state.isWatched)
    }
    state.wakeOne()
    if isNeeded { start() }
    if isToBeWatched, (try? Syscall.startThread(name: "splice-disks") { self.watch() }) == nil {
      // The threads there are will come to it.
      state.withLock { $0.isWatched = false }
    }
  }

  private func start() {
    do { try Syscall.startThread(name: "splice-disk") { self.work() } } catch {
      let isAlone = state.withLock { state in
        state.threads -= 1
        return state.threads == 0
      }
      if isAlone { fatalError("no thread for disks can be had: \(error)") }
    }
  }

  /// Until there are more threads than usual, and nothing to do.
  private func work() {
    while let job = next() { unsafe job.runSynchronously(on: asUnownedTaskExecutor()) }
  }

  private func next() -> UnownedJob? {
    let isOver = state.withLock { state in
      guard state.jobs.isEmpty, state.threads > Self.usual else {
        state.idle += 1
        return false
      }
      state.threads -= 1
      return true
    }
    if isOver { return nil }
    return state.wait { state in
      guard !state.jobs.isEmpty else { return nil }
      state.idle -= 1
      return state.jobs.removeFirst().job
    }
  }

  /// As long as jobs wait: a thread more for one that has waited too long.
  private func watch() {
    while true {
      BlockingWait.poll.pause(for: Self.patience)
      let (isNeeded, isOver) = state.withLock { state in
        guard let oldest = state.jobs.first else {
          state.isWatched = false
          return (false, true)
        }
        guard state.idle == 0, .now - oldest.since >= Self.patience, state.threads < Self.most else {
          return (false, false)
        }
        state.threads += 1
        return (true, false)
      }
      if isOver { return }
      if isNeeded { start() }
    }
  }
}
