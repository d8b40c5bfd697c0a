// Bytes counted while they pass, for whoever looks.

import Synchronization

/// Counts the bytes that many flows hand to their sinks, while they do, by the way they travel. Any thread may look at any time.
public final class ByteMeter: Sendable {
  private let spliced = Atomic<UInt64>(0)
  private let copied = Atomic<UInt64>(0)

  /// One that has counted nothing yet.
  public init() {}

  /// What was counted so far.
  public var passed: PathCounts {
    PathCounts(splice: spliced.load(ordering: .relaxed), copy: copied.load(ordering: .relaxed))
  }

  /// An addition for each way that was used: no lock, no memory.
  @inline(__always)
  func add(_ passed: PathCounts) {
    if passed.splice > 0 { spliced.wrappingAdd(passed.splice, ordering: .relaxed) }
    if passed.copy > 0 { copied.wrappingAdd(passed.copy, ordering: .relaxed) }
  }
}
