// Taps: the sinks of a fan-out that watches a flow. The flow shows them what it is about to drain, each byte
// once, and never waits.

import SystemPackage

extension FanOut: FlowWatcher {
  /// Shows the front of a flow's pipe to everybody attached, whatever their policy: who has no room misses
  /// it.
  ///
  /// - Returns: How many bytes have been shown or missed, which may be drained now.
  public func show(_ pipe: borrowing SplicePipe, upTo limit: Int) -> Int {
    state.withLock { state in
      let count = state.branches.isEmpty ? limit : min(limit, pipe.front)
      for branch in state.branches { branch.show(pipe, count) }
      state.forgetTheGone()
      state.position += UInt64(count)
      return count
    }
  }
}

extension Branch {
  /// A tee that is cut short does no harm here: what it left out is missed.
  fileprivate func show(_ pipe: borrowing SplicePipe, _ count: Int) {
    monitor.withState { state in
      guard state.readerIsOpen, state.reason == nil else { return }
      var seen = 0
      if case .bytes(let teed)? = try? pipe.tee(to: &state.pipe, upTo: count) {
        seen = teed
        state.teed += UInt64(teed)
        state.gave(teed)
        state.waiters.reader.wake()
      }
      if seen < count { state.missed(count - seen) }
    }
  }
}
