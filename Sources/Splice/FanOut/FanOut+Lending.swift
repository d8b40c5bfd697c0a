// A file can be read by every sink itself, from an offset of its own: that is faster than teeing it, and nobody waits for anybody.

import SystemPackage

extension FanOut {
  /// Files smaller than this are not worth it.
  private static let worthLending: UInt64 = 1 << 20

  /// Has each sink read a file by itself, if all may: whether there was anything to lend. May wait for the disk, with no lock held.
  func lend(
    _ source: borrowing Descriptor, upTo limit: UInt64, _ via: Via, _ pace: Pace?
  ) throws(SpliceError) -> Bool {
    let held = inlet.withLock { $0.count }
    guard source.kind == .regularFile, via == .automatic, pace == nil, alignment == 1, held == 0 else {
      return false
    }
    let origin, left: Int64
    do throws(Errno) {
      origin = try Syscall.lseek(source.raw, to: 0, from: .current)
      left = max(0, try Syscall.fstat(source.raw).size - origin)
    } catch { throw .source(error) }
    let count = min(UInt64(left), limit)
    // Where no descriptor is left, it is teed.
    guard count >= Self.worthLending, let copy = try? Descriptor(duplicating: source.raw) else {
      return false
    }
    var own: Descriptor? = consume copy
    return state.withLock { state in
      guard !state.branches.isEmpty, state.branches.allSatisfy({ $0.mustBeWaitedFor && !$0.seesTheSame }),
        let copy = own.take()
      else { return false }
      let file = Recording(lending: copy, origin: origin - Int64(state.position))
      for branch in state.branches {
        branch.monitor.withState { $0.lend(Int(count), of: file, at: state.position) }
      }
      state.position += count
      state.lentUntil = origin + Int64(count)
      return true
    }
  }

  /// Waits while somebody still reads what was lent, and leaves the source's offset behind it. A source that was cut meanwhile
  /// is truncated: the bytes that no sink got were not handed out, and no sink has seen an end.
  func haltForTheLent(of source: borrowing Descriptor) throws(SpliceError) -> Halt {
    let (branches, end) = state.withLock { ($0.branches, $0.lentUntil) }
    guard let end else { return .finished }
    if let busy = branches.first(where: { $0.monitor.look(as: .writer) == .waiting }) {
      return .waitEnd(busy.monitor, .writer)
    }
    let (least, most) = settle(branches)
    state.withLock { state in
      state.lentUntil = nil
      state.position -= least
    }
    do throws(Errno) { _ = try Syscall.lseek(source.raw, to: end - Int64(least), from: .start) } catch {
      throw .source(error)
    }
    forgetTheGone()
    try mustHaveSinks()
    if most > 0 { throw .truncated(missing: most) }
    return .finished
  }

  /// What the sinks did not get of what was lent: the one that got most, and the one that got least. Those that have gone wanted none.
  private func settle(_ branches: [Branch]) -> (least: UInt64, most: UInt64) {
    let left = branches.filter { !$0.isGone }
    let shortfalls = left.map { $0.monitor.withState { $0.shortfall } }
    let (least, most) = (shortfalls.min() ?? 0, shortfalls.max() ?? 0)
    for branch in left { branch.monitor.withState { $0.settle(missedByAll: least) } }
    return (least, most)
  }
}
