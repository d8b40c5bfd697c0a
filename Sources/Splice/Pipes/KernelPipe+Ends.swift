// The two descriptors of a pipe of the kernel, when they are not always here: lent by a pool while bytes are in flight, or one of them
// released to another process.

import Glibc
import SystemPackage

// MARK: - A ring that is lent

extension KernelPipe {
  /// Sees to it that there is a ring; false when none is to be had.
  @inline(__always)
  mutating func borrow() -> Bool { pool == nil || loan != nil || borrowNow() }

  private mutating func borrowNow() -> Bool {
    guard let loan = pool?.lend(capacity) else { return false }
    reader = Descriptor(pipeEnd: loan.pipe.reader)
    writer = Descriptor(pipeEnd: loan.pipe.writer)
    self.loan = loan
    return true
  }

  /// The same for what cannot do without.
  mutating func obtain() throws(Errno) { if !borrow() { throw .tooManyOpenFilesInSystem } }

  /// Gives an empty ring back: nothing is in flight.
  mutating func rest() {
    guard ring == 0, let pool, let loan else { return }
    _ = (reader.replace(), writer.replace())
    self.loan = nil
    pool.takeBack(loan)
  }
}

// MARK: - One end elsewhere

extension KernelPipe {
  /// Gives one end away, if nothing is held in front of the reading end.
  mutating func release(_ side: Side) throws(Errno) -> FileDescriptor {
    if side == .reader, head.count > 0 { throw .resourceBusy }
    try obtain()
    switch side {
    case .reader:
      try Self.makeWaiting(reader)
      released = side
      return reader.replace()
    case .writer:
      try Self.makeWaiting(writer)
      released = side
      return writer.replace()
    }
  }

  /// As other programs expect their descriptors. The flag is this end's alone.
  private static func makeWaiting(_ end: borrowing Descriptor) throws(Errno) {
    try Syscall.setStatusFlags(of: end.raw, to: Syscall.statusFlags(of: end.raw) & ~O_NONBLOCK)
  }

  /// The end that is left here when the other is elsewhere.
  var loneEnd: FileDescriptor? {
    switch released {
    case .reader: writer.raw
    case .writer: reader.raw
    case nil: nil
    }
  }

  /// Asks the kernel how many bytes there are.  C: FIONREAD
  mutating func recount() {
    guard let end = loneEnd, let count = try? Syscall.bytesWaiting(in: end) else { return }
    ring = count
  }

  /// Whether nobody has the other end open any more.  C: `poll` with POLLHUP, POLLERR
  var hasHungUp: Bool {
    guard let end = loneEnd else { return false }
    return (try? Syscall.isReady(end, 0)) ?? false
  }
}
