// Where the bytes of a pipe are: in a ring in user memory and, perhaps, in a ring of the kernel behind it.
//
// A pipe in memory has the first alone. In a pipe of the kernel the first holds what had to be copied: so a
// flow whose ends do not splice goes through user memory, and nobody but `explain` notices.
//
// The invariant: the bytes of the pipe are those in memory, then those in the kernel, in this order. Only
// while nothing is in the kernel are bytes added in memory; everything else goes in at the kernel's end and
// comes out at the front of memory.
//
// Nothing here waits. Accounts, limits, flows and errors are written once above it.

import CSplice
import SystemPackage

/// The rings of a pipe, without the accounts.
struct Rings: ~Copyable, Sendable {
  let storage: SplicePipe.Storage
  var memory: MemoryRing
  /// What a pool lends is here only while bytes are in it.
  private(set) var kernel: KernelRing?
  /// Bytes in the kernel. What others put in or take out by the same ends is not seen here.
  var inKernel = 0
  /// What the kernel granted, or a pool is asked for.
  private(set) var granted = 0
  let pool: PipePool?
  /// Which end is elsewhere, when one is: then nothing may be held outside the kernel, which counts what is
  /// in it.
  private(set) var released: Side?

  /// What is copied in front of a ring of the kernel at once: from the row `copy-buffer` of the benchmarks.
  private static let frontSize = 256 << 10

  /// In memory.
  init(inMemory capacity: Int) {
    (storage, pool) = (.memory, nil)
    memory = MemoryRing(capacity: capacity)
  }

  private init(_ kernel: KernelRing?, granted: Int, from pool: PipePool?) {
    (storage, self.kernel, self.granted, self.pool) = (.kernel, kernel, granted, pool)
    memory = MemoryRing(capacity: Self.frontSize)
  }

  /// In the kernel. A size that is refused past a limit (EPERM) is what it is.
  init(inKernel wish: Int) throws(Errno) {
    let ends = try Syscall.pipe2()
    let granted =
      (try? Syscall.setPipeSize(of: ends.writer, to: wish)) ?? (try? Syscall.pipeSize(of: ends.writer))
    let capacity = granted ?? Slot.pageSize
    self.init(
      KernelRing(KernelRing.Ends(reader: ends.reader, writer: ends.writer), capacity: capacity),
      granted: capacity,
      from: nil)
  }

  /// In the kernel, while bytes are there.
  init(borrowingFrom pool: PipePool, wish: Int) {
    self.init(nil, granted: SlotRing.rounded(wish), from: pool)
  }

  /// In the kernel, where bytes may be already.
  init(reader: consuming Descriptor, writer: consuming Descriptor) throws(Errno) {
    let capacity = try Syscall.pipeSize(of: writer.raw)
    let count = try Syscall.bytesWaiting(in: reader.raw)
    try Self.setWaiting(reader.raw, false)
    try Self.setWaiting(writer.raw, false)
    let ends = KernelRing.Ends(reader: reader.release(), writer: writer.release())
    self.init(KernelRing(ends, capacity: capacity), granted: capacity, from: nil)
    inKernel = count
  }

  @inline(__always) var count: Int { memory.count + inKernel }

  var capacity: Int { storage == .memory ? memory.capacity : granted }

  /// A wish: it may be refused (EPERM past a limit, EBUSY below the slots in use), and the pipe works all the
  /// same.
  mutating func resize(to wish: Int) {
    guard storage == .kernel else { return memory.resize(to: wish) }
    guard wish != granted else { return }
    // One that is lent stays as it is; the wish is for the next.
    if pool != nil { return granted = SlotRing.rounded(wish) }
    guard let writer = kernel?.ends.writer, let size = try? Syscall.setPipeSize(of: writer, to: wish) else {
      return
    }
    granted = size
  }

  /// Whether the oldest bytes are in the kernel.
  var beginsInKernel: Bool { storage == .kernel && memory.count == 0 }

  /// The bytes one tee duplicates: those in front of the kernel's are written.
  var front: Int {
    storage == .memory ? memory.count : beginsInKernel ? inKernel : min(memory.count, granted)
  }

  /// Whether a slot is free.  C: `poll`
  var hasRoom: Bool {
    if storage == .memory { return !memory.ring.isFull }
    // Before one is lent, as in memory.
    guard let writer = kernel?.ends.writer else { return !memory.ring.isFull }
    return (try? Syscall.isReady(writer, POLLOUT)) ?? false
  }
}

// MARK: - From the kernel into memory

extension Rings {
  /// Reads what is in the kernel into memory, which grows: a ring of the kernel that is empty again. Without
  /// one, memory alone grows.
  mutating func retreat() throws(Errno) {
    guard let ends = kernel?.ends else { return memory.resize(to: 2 * memory.capacity) }
    while inKernel > 0 {
      if memory.ring.free == 0 { memory.resize(to: 2 * memory.capacity) }
      let count = try memory.fill(fromRing: ends, upTo: inKernel).count
      if count == 0 { throw .noBufferSpace }
      inKernel -= count
    }
  }
}

// MARK: - A ring that is lent

extension Rings {
  /// Sees to it that there is a ring of the kernel; nil when none is to be had.
  @inline(__always)
  mutating func borrow() -> KernelRing.Ends? {
    if let ends = kernel?.ends { return ends }
    return borrowNow()
  }

  private mutating func borrowNow() -> KernelRing.Ends? {
    kernel = pool?.lend(granted)
    return kernel?.ends
  }

  /// A ring of the kernel for what cannot do without one.
  mutating func obtain() throws(Errno) -> KernelRing.Ends {
    guard let ends = borrow() else { throw .tooManyOpenFilesInSystem }
    return ends
  }

  /// Nothing is in flight: what was lent for it goes back.
  mutating func giveBack() {
    guard pool != nil, inKernel == 0, let ring = kernel.take() else { return }
    ring.giveBack()
  }
}

// MARK: - Ends elsewhere

extension Rings {
  /// Both ends, if nothing is held in front of them.
  consuming func release() throws(Errno) -> (reader: FileDescriptor, writer: FileDescriptor) {
    if storage == .memory { throw .notSupported }
    if memory.count > 0 { throw .resourceBusy }
    _ = try obtain()
    guard let ring = kernel else { throw .tooManyOpenFilesInSystem }
    return (ring.giveAway(.reader), ring.giveAway(.writer))
  }

  /// Gives one end away, as other programs expect their descriptors, if nothing is held in front of the
  /// reading end.
  mutating func release(_ side: Side) throws(Errno) -> FileDescriptor {
    if storage == .memory { throw .notSupported }
    if side == .reader, memory.count > 0 { throw .resourceBusy }
    let ends = try obtain()
    try Self.setWaiting(side == .reader ? ends.reader : ends.writer, true)
    released = side
    guard let ring = kernel else { throw .tooManyOpenFilesInSystem }
    return ring.giveAway(side)
  }

  /// Whether calls on an end wait. The flag is this end's alone.
  private static func setWaiting(_ end: FileDescriptor, _ waits: Bool) throws(Errno) {
    let flags = try Syscall.statusFlags(of: end)
    try Syscall.setStatusFlags(of: end, to: waits ? flags & ~O_NONBLOCK : flags | O_NONBLOCK)
  }

  /// The end that is left here when the other is elsewhere.
  var loneEnd: FileDescriptor? {
    switch released {
    case .reader: kernel?.ends.writer
    case .writer: kernel?.ends.reader
    case nil: nil
    }
  }

  /// Asks the kernel how many bytes there are.  C: FIONREAD
  mutating func recount() {
    guard let end = loneEnd, let count = try? Syscall.bytesWaiting(in: end) else { return }
    inKernel = count
  }

  /// Whether the other end is closed.  C: `poll` with POLLHUP, POLLERR
  var hasHungUp: Bool {
    guard let end = loneEnd else { return false }
    return (try? Syscall.isReady(end, 0)) ?? false
  }
}

// MARK: - Between two pipes

extension Rings {
  /// Whether a tee between two pipes of the kernel is not refused, as by a sandbox. An empty pipe says
  /// EAGAIN.
  func mayTee(to other: borrowing Rings) -> Bool {
    guard let reader = kernel?.ends.reader, let writer = other.kernel?.ends.writer else { return true }
    do throws(Errno) { return try Syscall.tee(from: reader, to: writer, count: 1) >= 0 } catch {
      return error == .resourceTemporarilyUnavailable
    }
  }

  /// Duplicates the front into another pipe: by reference where both have it in the same place. What is in
  /// memory is duplicated first, and a call that found bytes there stops behind them.
  func tee(to other: inout Rings, upTo limit: Int) throws(Errno) -> Move {
    // Without a ring of the kernel the other is one in memory.
    let writer = other.storage == .kernel ? other.borrow()?.writer : nil
    if !beginsInKernel {
      guard let writer else { return memory.tee(to: &other.memory, upTo: limit) }
      let transfer = try Descriptor.ofRing(writer) { sink throws(Errno) in
        try memory.show(to: sink, upTo: limit)
      }
      other.inKernel += transfer.count
      return Move(transfer: transfer, path: .copy)
    }
    guard inKernel > 0, let reader = kernel?.ends.reader else {
      return Move(transfer: .wouldBlock, path: .splice)
    }
    guard let writer else { return try copy(to: &other.memory, upTo: limit) }
    let transfer = try Transfer.taking { () throws(Errno) in
      try Syscall.tee(from: reader, to: writer, count: min(limit, inKernel))
    }
    other.inKernel += transfer.count
    return Move(transfer: transfer, path: .splice)
  }

  /// Through a pipe that only lasts for this: one of the kernel can be looked into only by another.
  private func copy(to other: inout MemoryRing, upTo limit: Int) throws(Errno) -> Move {
    if other.ring.isFull { return Move(transfer: .wouldBlock, path: .copy) }
    var seen = try Rings(inKernel: granted)
    let whole = try tee(to: &seen, upTo: min(limit, other.ring.room))
    guard whole.count > 0 else { return whole }
    return try other.fill(fromRing: seen.obtain(), upTo: whole.count)
  }

  /// Moves the front to the end of another pipe: by reference where both have it in the same place.
  mutating func move(to other: inout Rings, upTo limit: Int) throws(Errno) -> Move {
    if other.storage == .kernel, let writer = other.borrow()?.writer {
      // A pipe of the kernel is a sink like any other, seen through its writing end.
      let move = try Descriptor.ofRing(writer) { sink throws(Errno) in
        var none: Int64?
        return try drain(to: sink, at: &none, upTo: limit, moreFollows: false, via: .automatic)
      }
      other.inKernel += move.count
      return move
    }
    if !beginsInKernel { return other.memory.receive(from: &memory, upTo: limit) }
    guard inKernel > 0, let ends = kernel?.ends else { return Move(transfer: .wouldBlock, path: .copy) }
    let move = try other.memory.fill(fromRing: ends, upTo: min(limit, inKernel))
    inKernel -= move.count
    return move
  }
}
