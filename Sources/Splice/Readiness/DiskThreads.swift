// Threads that may wait for a disk, so that event threads need not.
//
// A few, taken in turn. A disk that stalls holds up the flows that were given the same thread; more threads would help those, and
// cost memory in every process that reads a file.

import Synchronization

/// Runs what may wait for a disk.
enum DiskThreads {
  private static let count = 4
  private static let next = Atomic<Int>(0)
  private static let threads: [EpollExecutor] = (0..<count).map { number in
    do { return try EpollExecutor(name: "splice-disk-\(number)") } catch {
      fatalError("no thread for disks can be had: \(error)")
    }
  }

  /// Runs `body` on one of the threads, and comes back.
  static func run<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) async throws(Failure) -> Result {
    let turn = next.wrappingAdd(1, ordering: .relaxed).newValue
    return try await withTaskExecutorPreference(threads[abs(turn % count)]) { () throws(Failure) in try body()
    }
  }
}
