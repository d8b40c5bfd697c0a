// A word from one thread to another that waits for descriptors.

import SystemPackage

/// Readable once it was signalled.  C: `eventfd`
package final class Event: Sendable {
  private let owner: Descriptor
  /// One that was not signalled yet.
  package init() throws(Errno) { owner = Descriptor(owning: try Syscall.eventfd()) }
  /// To be waited for.
  package var descriptor: FileDescriptor { owner.raw }
  /// The event as something to wait for with `poll`.
  package var interest: Interest { Interest(owner, as: .source) }
  /// Whether it was signalled, and not drained since.
  package var isSignalled: Bool { (try? owner.isReady(as: .source)) == true }
  /// From any thread, also from a signal handler.
  package func signal() { Syscall.signal(eventfd: owner.raw) }
  /// Takes the word back.
  package func drain() { Syscall.drain(eventfd: owner.raw) }
}
