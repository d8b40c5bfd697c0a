// The children that run, where a signal handler finds them: a second signal ends this process at once, and no
// program of ours outlives it.
//
// A slot is taken before a child is started, and freed before it is waited for: until then its number belongs
// to no other. Whoever takes the number out of the slot decides: the handler, which signals it, or the one
// that waits for it.

import CSplice
import Splice
import SpliceProcess
import Synchronization
import SystemPackage

/// Where the children of this process are.
enum ChildTable {
  /// More children than that are not found by the handler.
  private static let slots = InlineArray<256, Atomic<CInt>> { _ in Atomic(free) }
  private static let free: CInt = 0
  /// A child is being started, by a thread whose signals are blocked.
  private static let starting: CInt = -1
  /// The handler has taken what was there.
  private static let taken: CInt = -2

  /// Exists from here on, so that a handler makes nothing.
  static func begin() { _ = slots[0].load(ordering: .relaxed) }

  /// Starts a child: its number, and its slot, if there was one. EINTR when this process ends.
  static func start(_ spawn: () throws(Errno) -> CInt) throws(Errno) -> (process: CInt, slot: Int?) {
    try Syscall.withoutSignals { () throws(Errno) in
      let slot = slots.indices.first { index in
        slots[index].compareExchange(expected: free, desired: starting, ordering: .relaxed).exchanged
      }
      if slot == nil, slots[0].load(ordering: .relaxed) == taken { throw .interrupted }
      var process = free
      defer { if let slot { slots[slot].store(process, ordering: .relaxed) } }
      process = try spawn()
      return (process, slot)
    }
  }

  /// Frees the slot of a child that has ended, which may be waited for then. False when the handler has taken
  /// it: this process ends.
  static func remove(_ process: CInt, at slot: Int?) -> Bool {
    guard let slot else { return true }
    return slots[slot].compareExchange(expected: process, desired: free, ordering: .relaxed).exchanged
  }

  /// Tells all of them to end. For a signal handler: it only loads, stores and kills, and waits a little for
  /// a thread that starts one.
  static func end() {
    var (index, patience) = (0, 100_000)
    while index < slots.count {
      while patience > 0, slots[index].load(ordering: .relaxed) == starting {
        sched_yield()
        patience -= 1
      }
      let process = slots[index].exchange(taken, ordering: .relaxed)
      if process > 0 { try? Syscall.kill(process, SIGTERM) }
      index += 1
    }
  }
}
