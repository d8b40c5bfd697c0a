// The body a pipe has: one of the two, chosen when it is made. Nothing is decided here but which one is asked.

import Glibc
import SystemPackage

/// A pipe's body, of either kind.
struct EitherBody: ~Copyable, Sendable {
  // Exactly one of them is there.
  private var kernel: KernelPipe?
  private var memory: MemoryPipe?

  init(_ body: consuming KernelPipe) {
    kernel = consume body
    memory = nil
  }

  init(_ body: consuming MemoryPipe) {
    kernel = nil
    memory = consume body
  }

  private static var none: Never { preconditionFailure("a pipe has a body") }

  var kind: SplicePipe.Body {
    switch kernel {
    case .some: .kernel
    case nil: .memory
    }
  }

  @inline(__always) var count: Int {
    switch kernel {
    case let body?: return body.count
    case nil: break
    }
    switch memory {
    case let body?: return body.count
    case nil: Self.none
    }
  }

  var capacity: Int {
    switch kernel {
    case let body?: return body.capacity
    case nil: break
    }
    switch memory {
    case let body?: return body.capacity
    case nil: Self.none
    }
  }

  /// Whether a slot is free.
  var hasRoom: Bool {
    switch kernel {
    case let body?: return body.hasRoom
    case nil: break
    }
    switch memory {
    case let body?: return !body.ring.isFull
    case nil: Self.none
    }
  }

  /// The bytes one tee duplicates, and the slots they take at most.
  var front: (count: Int, slots: Int) {
    switch kernel {
    case let body?: return body.front
    case nil: break
    }
    switch memory {
    case let body?: return (body.count, body.ring.used)
    case nil: Self.none
    }
  }

  /// Nothing is in flight: what was lent for it goes back.
  mutating func rest() { kernel?.rest() }

  mutating func resize(to capacity: Int) {
    kernel?.resize(to: capacity)
    memory?.resize(to: capacity)
  }

  consuming func release() throws(Errno) -> (reader: FileDescriptor, writer: FileDescriptor) {
    guard let kernel = kernel.take() else { throw .notSupported }
    return try kernel.release()
  }
}

// MARK: - Apart from the descriptors: so that a shared pipe in memory is not locked while they are read and written

extension EitherBody {
  /// What the next read goes to, and how many slots are free for it; nil for a pipe of the kernel.
  mutating func beginFill() -> (inlet: Inlet, slots: Int)? {
    guard let slots = memory?.freeSlots, let inlet = memory?.takeInlet() else { return nil }
    return (inlet, slots)
  }

  mutating func endFill(_ inlet: Inlet, _ filling: Inlet.Filling) {
    memory?.inlet = inlet
    memory?.receive(filling)
  }

  /// The oldest bytes, as pieces of memory that are good until they are consumed; nil for a pipe of the kernel.
  func pieces(upTo limit: Int) -> [iovec]? {
    switch memory {
    case let body?: unsafe body.pieces(upTo: limit)
    case nil: nil
    }
  }

  mutating func consume(_ count: Int) { memory?.consume(count) }
}

// MARK: - One end elsewhere: what only a pipe of the kernel can have

extension EitherBody {
  mutating func release(_ side: Side) throws(Errno) -> FileDescriptor {
    guard let released = try kernel?.release(side) else { throw .notSupported }
    return released
  }

  var loneEnd: FileDescriptor? {
    switch kernel {
    case let body?: body.loneEnd
    case nil: nil
    }
  }

  var hasHungUp: Bool {
    switch kernel {
    case let body?: body.hasHungUp
    case nil: false
    }
  }

  mutating func recount() { kernel?.recount() }
}

// MARK: - The five primitives

extension EitherBody {
  @inline(__always)
  mutating func fill(
    from source: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, via: Via
  ) throws(Errno) -> Move {
    if let move = try kernel?.fill(from: source, at: &offset, upTo: limit, via: via) { return move }
    if let move = try memory?.fill(from: source, at: &offset, upTo: limit, via: via) { return move }
    Self.none
  }

  @inline(__always)
  mutating func drain(
    to sink: borrowing Descriptor, at offset: inout Int64?, upTo limit: Int, moreFollows: Bool, via: Via
  ) throws(Errno) -> Move {
    if let move = try kernel?.drain(to: sink, at: &offset, upTo: limit, moreFollows: moreFollows, via: via) {
      return move
    }
    if let move = try memory?.drain(to: sink, at: &offset, upTo: limit, moreFollows: moreFollows, via: via) {
      return move
    }
    Self.none
  }

  mutating func give(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Transfer {
    if let transfer = try unsafe kernel?.give(bytes) { return transfer }
    if let transfer = try unsafe memory?.give(bytes) { return transfer }
    Self.none
  }

  mutating func giveAll(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Bool {
    if let isIn = try unsafe kernel?.giveAll(bytes) { return isIn }
    if let isIn = unsafe memory?.giveAll(bytes) { return isIn }
    Self.none
  }

  var mayKeep: Bool {
    switch kernel {
    case let body?: return body.mayKeep
    case nil: break
    }
    switch memory {
    case let body?: return body.mayKeep
    case nil: Self.none
    }
  }

  mutating func keep(_ bytes: UnsafeRawBufferPointer) {
    unsafe kernel?.keep(bytes)
    unsafe memory?.keep(bytes)
  }

  /// Takes pages in, by reference where that can be.
  mutating func give(_ pages: inout Pages) throws(Errno) -> Move {
    if let move = try kernel?.give(&pages) { return move }
    if let move = memory?.give(&pages) { return move }
    Self.none
  }

  /// Takes bytes in by reference to memory that stays where it is, where that can be; EINVAL when the pipe is larger than `size`.
  mutating func lend(_ bytes: UnsafeRawBufferPointer, notBeyond size: Int) throws(Errno) -> Move {
    if let move = try unsafe kernel?.lend(bytes, notBeyond: size) { return move }
    if capacity > size { throw .invalidArgument }
    return Move(transfer: try unsafe give(bytes), path: .copy)
  }

  /// Takes bytes of a segment in, by reference where that can be.
  mutating func give(_ slot: Slot) throws(Errno) -> Move {
    if let move = memory?.give(slot) { return move }
    let transfer = try unsafe slot.withBytes { bytes throws(Errno) in try unsafe give(bytes) }
    return Move(transfer: transfer, path: .copy)
  }

  /// Takes the oldest bytes out by reference; nil from a pipe of the kernel, or an empty one.
  mutating func takeSlot(upTo limit: Int) -> Slot? { memory?.takeSlot(upTo: limit) ?? nil }

  mutating func take(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Transfer {
    if let transfer = try unsafe kernel?.take(into: buffer) { return transfer }
    if let transfer = try unsafe memory?.take(into: buffer) { return transfer }
    Self.none
  }

  /// Whether a tee to a body of the same kind is refused by nobody, as a sandbox may.
  func mayTee(to other: borrowing EitherBody) -> Bool {
    switch kernel {
    case let body?:
      switch other.kernel {
      case let other?: body.mayTee(to: other)
      case nil: true
      }
    case nil: true
    }
  }

  /// Duplicates the front into another body, by reference where both are of one kind.
  func tee(to other: inout EitherBody, upTo limit: Int) throws(Errno) -> Move {
    switch kernel {
    case let body?:
      if let move = try other.kernel?.receiveTee(of: body, upTo: limit) { return move }
      if let move = try other.memory?.receiveTee(of: body, upTo: limit) { return move }
    case nil: break
    }
    switch memory {
    case let body?:
      if let move = try other.memory?.receiveTee(of: body, upTo: limit) { return move }
      if let move = try other.kernel?.receiveTee(of: body, upTo: limit) { return move }
    case nil: break
    }
    Self.none
  }

  /// Moves the front to the end of another body, by reference where both are of one kind.
  mutating func move(to other: inout EitherBody, upTo limit: Int) throws(Errno) -> Move {
    if let move = try kernel?.move(to: &other.kernel, upTo: limit) { return move }
    if let move = try kernel?.move(to: &other.memory, upTo: limit) { return move }
    if let move = try memory?.move(to: &other.memory, upTo: limit) { return move }
    if let move = try memory?.move(to: &other.kernel, upTo: limit) { return move }
    Self.none
  }
}

// MARK: - Between the two kinds

extension PipeBody where Self: ~Copyable {
  /// A pipe of the kernel is a sink like any other, seen through the descriptor of its writing end. Nil when there is none.
  mutating func move(to other: inout KernelPipe?, upTo limit: Int) throws(Errno) -> Move? {
    var none: Int64?
    let move: Move
    try other?.obtain()
    switch other {
    case let sink?:
      move = try drain(to: sink.writer, at: &none, upTo: limit, moreFollows: false, via: .automatic)
    case nil: return nil
    }
    other?.arrived(move.count)
    return move
  }
}

extension KernelPipe {
  mutating func receiveTee(of other: borrowing KernelPipe, upTo limit: Int) throws(Errno) -> Move {
    try other.tee(to: &self, upTo: limit)
  }

  /// By copying: what is only to be looked at stays in the other.
  mutating func receiveTee(of other: borrowing MemoryPipe, upTo limit: Int) throws(Errno) -> Move {
    try obtain()
    let transfer = try other.show(to: writer, upTo: limit)
    let move = Move(transfer: transfer, path: .copy)
    arrived(move.count)
    return move
  }

  /// A pipe in memory reads what it takes. Nil when there is none.
  mutating func move(to other: inout MemoryPipe?, upTo limit: Int) throws(Errno) -> Move? {
    if let given = try moveHead(to: &other, upTo: limit) { return given }
    var none: Int64?
    guard let move = try other?.fill(from: reader, at: &none, upTo: min(limit, count), via: .automatic) else {
      return nil
    }
    departed(move.count)
    return move
  }
}

extension MemoryPipe {
  mutating func receiveTee(of other: borrowing MemoryPipe, upTo limit: Int) throws(Errno) -> Move {
    try other.tee(to: &self, upTo: limit)
  }

  /// Through a pipe of the kernel that only lasts for this: a pipe can be looked into only by another.
  mutating func receiveTee(of other: borrowing KernelPipe, upTo limit: Int) throws(Errno) -> Move {
    var seen = try KernelPipe(capacity: other.capacity)
    let whole = try other.tee(to: &seen, upTo: min(limit, ring.free * Slot.pageSize))
    guard whole.count > 0 else { return whole }
    var none: Int64?
    return try fill(from: seen.reader, at: &none, upTo: whole.count, via: .automatic)
  }

  /// Moves slots. Nil when there is no such pipe.
  mutating func move(to other: inout MemoryPipe?, upTo limit: Int) throws(Errno) -> Move? {
    other?.receive(from: &self, upTo: limit)
  }
}
