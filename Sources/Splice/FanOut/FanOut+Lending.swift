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

  /// Waits while somebody still reads what was lent, and leaves the source's offset behind it.
  func haltForTheLent(of source: borrowing Descriptor) throws(SpliceError) -> Halt {
    let (branches, end) = state.withLock { ($0.branches, $0.lentUntil) }
    guard let end else { return .finished }
    if let busy = branches.first(where: { $0.monitor.look(as: .writer) == .waiting }) {
      return .waitEnd(busy.monitor, .writer)
    }
    do throws(Errno) { _ = try Syscall.lseek(source.raw, to: end, from: .start) } catch {
      throw .source(error)
    }
    state.withLock { $0.lentUntil = nil }
    forgetTheGone()
    try mustHaveSinks()
    return .finished
  }
}
