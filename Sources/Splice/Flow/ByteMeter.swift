// Bytes counted while they pass, for other tasks to read.

import Synchronization

/// Counts the bytes that many flows hand to their sinks, while they do, by the way they travel. Any thread
/// may look at any time.
public final class ByteMeter: Sendable {
  private let spliced = Atomic<UInt64>(0)
  private let copied = Atomic<UInt64>(0)
  private let sentFromFiles = Atomic<UInt64>(0)
  /// Of copies from file to file.
  private let copiedByKernel = Atomic<UInt64>(0)
  private let shared = Atomic<UInt64>(0)
  private let holes = Atomic<UInt64>(0)

  /// One that has counted nothing yet.
  public init() {}

  /// What was counted so far.
  public var passed: PathCounts {
    var counts = PathCounts(splice: spliced.load(ordering: .relaxed), copy: copied.load(ordering: .relaxed))
    counts.sendfile = sentFromFiles.load(ordering: .relaxed)
    counts.copyFileRange = copiedByKernel.load(ordering: .relaxed)
    counts.reflink = shared.load(ordering: .relaxed)
    counts.hole = holes.load(ordering: .relaxed)
    return counts
  }

  /// An addition for each way that was used: no lock, no memory.
  @inline(__always)
  func add(_ passed: PathCounts) {
    if passed.splice > 0 { spliced.wrappingAdd(passed.splice, ordering: .relaxed) }
    if passed.copy > 0 { copied.wrappingAdd(passed.copy, ordering: .relaxed) }
    if passed.total > passed.splice + passed.copy { addOthers(passed) }
  }

  private func addOthers(_ passed: PathCounts) {
    sentFromFiles.wrappingAdd(passed.sendfile, ordering: .relaxed)
    copiedByKernel.wrappingAdd(passed.copyFileRange, ordering: .relaxed)
    shared.wrappingAdd(passed.reflink, ordering: .relaxed)
    holes.wrappingAdd(passed.hole, ordering: .relaxed)
  }
}
