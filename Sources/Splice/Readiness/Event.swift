// A word from one thread to another that waits for descriptors.

import SystemPackage

/// Readable once it was signalled.  C: `eventfd`
final class Event: Sendable {
  private let owner: Descriptor
  init() throws(Errno) { owner = Descriptor(owning: try Syscall.eventfd()) }
  var descriptor: FileDescriptor { owner.raw }
  func signal() { Syscall.signal(eventfd: owner.raw) }
  func drain() { Syscall.drain(eventfd: owner.raw) }
}
