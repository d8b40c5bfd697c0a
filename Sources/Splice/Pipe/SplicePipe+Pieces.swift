// Pieces of a pipe, for a fan-out: what is at the front, shown, gathered, thrown away.

import SystemPackage

extension SplicePipe {
  /// The bytes one tee duplicates.
  var front: Int { rings.front }

  /// Whether the oldest bytes are in the kernel.
  var beginsInKernel: Bool { rings.beginsInKernel }

  /// Moves what is in the kernel into user memory, in front of a ring of the kernel that has room again. A
  /// pipe in memory grows.
  mutating func retreat() throws(Errno) { try rings.retreat() }

  /// Whether the next piece goes into a ring of the kernel. Where a pool has none, it goes into memory, which
  /// has as many slots.
  mutating func obtainRing() -> Bool {
    guard rings.pool != nil else { return storage == .kernel }
    if rings.borrow() != nil { return true }
    rings.memory.resize(to: capacity)
    return false
  }

  /// A ring that is empty goes back to its pool.
  mutating func giveRingBack() { rings.giveBack() }

  /// Throws the first bytes away.
  mutating func discard(_ count: Int = .max) throws(Errno) {
    var left = min(count, self.count)
    while left > 0 {
      guard let segment = try takeSegment(upTo: left) else { return }
      left -= segment.count
    }
  }

  /// A copy of the first bytes, which stay here. They are seen through another pipe of this kind, which is
  /// empty.
  func look(_ count: Int, through glass: inout SplicePipe) throws(Errno) -> PipeSegment {
    guard try tee(to: &glass, upTo: count) == .bytes(count) else { throw .noBufferSpace }
    return try PipeSegment(upTo: count) { output throws(Errno) in
      while output.freeCapacity > 0, case .bytes = try glass.read(into: &output) {}
    }
  }

  /// Puts what is in small slots into as few as can be: a copy, on the way in.
  mutating func gather() throws(Errno) {
    let before = receivedBy
    let spliced = min(UInt64(count), receivedBy.splice)
    defer {
      receivedBy = before
      receivedBy.splice -= spliced
      receivedBy.copy += spliced
    }
    let segment = try PipeSegment(upTo: count) { output throws(Errno) in
      while output.freeCapacity > 0, case .bytes = try read(into: &output) {}
    }
    try segment.withBytes { bytes throws(Errno) in try writeAll(bytes) }
  }
}
