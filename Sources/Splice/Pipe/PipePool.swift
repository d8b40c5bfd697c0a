// Pipes of the kernel that are lent while bytes are in flight: an idle connection holds none.
//
// Pipe memory is a budget, the user's and not only ours (`pipe-user-pages-soft`). Nobody says how much of it
// is left, so it is found out: a pipe is asked to be large, and what it became is what it is. Past the budget
// pipes are smaller, and then there are none, and bytes are copied. That is never an error.

import SystemPackage

/// Lends pipes of the kernel, and takes them back empty.
public final class PipePool: Sendable {
  /// The one that is used unless another is named.
  public static let shared = PipePool()

  /// What has been going on.
  public struct Counters: Sendable, Hashable {
    /// Pipes that were made, because none was idle.
    public internal(set) var made = 0
    /// Times an idle one served.
    public internal(set) var reused = 0
    /// Pipes that became smaller than they were asked to be.
    public internal(set) var smaller = 0
    /// Times no pipe was to be had, and bytes were copied.
    public internal(set) var refused = 0
    /// Pipes that were closed instead of coming back, since they held bytes or too many were idle.
    public internal(set) var closed = 0
    /// Pipes lent now.
    public internal(set) var lent = 0
    /// Pipes idle now.
    public internal(set) var idle = 0
    /// Capacity of both, in bytes.
    public internal(set) var bytes = 0
  }

  /// Both ends of an empty pipe, and what it holds.
  fileprivate struct Pipe: Sendable {
    let ends: KernelRing.Ends
    var capacity: Int
  }

  fileprivate struct State {
    var idle: [Pipe] = []
    var counters = Counters()
    /// So many more loans until the kernel is asked again for a larger pipe, which it has refused.
    var untilAskedAgain = 0
  }

  private let budget: Int
  private let idleLimit, countLimit: Int
  /// Whether a pipe that is smaller than wished for is lent, too.
  private let lendsLess: Bool
  private let state = Locked(State())

  /// A pool that holds no more than `budget` bytes of pipes and no more than `pipes` of them, lent and idle,
  /// and no more than `idle` idle ones.
  public convenience init(budget: Int = 32 << 20, idle: Int = 32, pipes: Int = .max) {
    self.init(budget: budget, idle: idle, pipes: pipes, lendsLess: true)
  }

  init(budget: Int, idle: Int, pipes: Int = .max, lendsLess: Bool) {
    self.budget = budget
    (idleLimit, countLimit) = (idle, pipes)
    self.lendsLess = lendsLess
  }

  deinit { state.withLock { state in for pipe in state.idle { pipe.close() } } }

  /// The counters now.
  public var counters: Counters { state.withLock { $0.counters } }

  /// An empty pipe, as large as wished if that can be; nil when none is to be had.  C: `pipe2`, F_SETPIPE_SZ
  func lend(_ wish: Int) -> KernelRing? {
    state.withLock { state in
      if let index = state.idle.lastIndex(where: { $0.capacity >= wish })
        ?? (lendsLess ? state.idle.indices.last : nil)
      {
        var pipe = state.idle.remove(at: index)
        if pipe.capacity < wish { state.enlarge(&pipe, to: wish, within: budget) }
        state.counters.reused += 1
        state.counters.idle -= 1
        return state.lend(pipe, by: self)
      }
      let affordable = min(wish, Pipe.size(within: budget - state.counters.bytes))
      guard affordable > 0, lendsLess || affordable == wish && !state.isRefusing,
        state.counters.lent + state.counters.idle < countLimit, let pipe = Pipe.make(affordable)
      else {
        state.counters.refused += 1
        return nil
      }
      if pipe.capacity < wish, !lendsLess {
        pipe.close()
        state.untilAskedAgain = State.patience
        state.counters.refused += 1
        return nil
      }
      state.counters.made += 1
      if pipe.capacity < wish { state.counters.smaller += 1 }
      state.counters.bytes += pipe.capacity
      return state.lend(pipe, by: self)
    }
  }

  /// Takes an empty one back.
  func takeBack(_ ends: KernelRing.Ends, _ capacity: Int) {
    let pipe = Pipe(ends: ends, capacity: capacity)
    state.withLock { state in
      state.counters.lent -= 1
      if state.idle.count < idleLimit {
        state.idle.append(pipe)
        state.counters.idle += 1
      } else {
        pipe.close()
        state.counters.closed += 1
        state.counters.bytes -= capacity
      }
    }
  }

  /// One that was lent was closed instead of being given back.
  func lost(_ capacity: Int) {
    state.withLock { state in
      state.counters.lent -= 1
      state.counters.closed += 1
      state.counters.bytes -= capacity
    }
  }
}

extension PipePool.State {
  /// So many loans pass before the kernel is asked again for what it has refused.
  static let patience = 64

  /// Whether the kernel has refused a large pipe lately.
  fileprivate var isRefusing: Bool {
    mutating get {
      if untilAskedAgain == 0 { return false }
      untilAskedAgain -= 1
      return true
    }
  }

  /// A pipe that was made while there was less room is given its size now, if there is more: by the budget,
  /// and for the kernel.
  fileprivate mutating func enlarge(_ pipe: inout PipePool.Pipe, to wish: Int, within budget: Int) {
    let size = min(wish, PipePool.Pipe.size(within: pipe.capacity + budget - counters.bytes))
    guard size > pipe.capacity else { return }
    if isRefusing { return }
    guard let granted = try? Syscall.setPipeSize(of: pipe.ends.writer, to: size) else {
      return untilAskedAgain = Self.patience
    }
    counters.bytes += granted - pipe.capacity
    pipe.capacity = granted
  }

  fileprivate mutating func lend(_ pipe: PipePool.Pipe, by pool: PipePool) -> KernelRing {
    counters.lent += 1
    return KernelRing(pipe.ends, capacity: pipe.capacity, lentBy: pool)
  }
}

extension PipePool.Pipe {
  /// A new one, as large as the kernel grants; nil without descriptors.
  fileprivate static func make(_ wish: Int) -> PipePool.Pipe? {
    guard let ends = try? Syscall.pipe2() else { return nil }
    let granted =
      (try? Syscall.setPipeSize(of: ends.writer, to: wish)) ?? (try? Syscall.pipeSize(of: ends.writer))
    return PipePool.Pipe(
      ends: KernelRing.Ends(reader: ends.reader, writer: ends.writer), capacity: granted ?? wish)
  }

  /// The largest size of a pipe, a power of two of pages, that is at most this many bytes.
  fileprivate static func size(within bytes: Int) -> Int {
    let pages = bytes / Slot.pageSize
    return pages > 0 ? Slot.pageSize << (Int.bitWidth - 1 - pages.leadingZeroBitCount) : 0
  }

  fileprivate func close() {
    try? Syscall.close(ends.reader)
    try? Syscall.close(ends.writer)
  }
}
