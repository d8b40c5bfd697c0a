// A socket that is watched for its whole life: the kernel is told of it once, and by its close.

import SystemPackage

/// A socket of ours that one executor watches until it is closed. Flows that run on that executor find it
/// watched already.
package struct Watched: ~Copyable {
  /// The socket. It is closed after it is given up.
  package let descriptor: Descriptor
  let key: RegistrationKey
  private let watcher: EpollExecutor

  /// `inBothDirections` when it is known that both will be asked for: then the kernel is asked for both at
  /// once.
  package init(
    _ descriptor: consuming Descriptor, by watcher: EpollExecutor, inBothDirections: Bool = false
  ) {
    key = watcher.attach(descriptor.raw, inBothDirections: inBothDirections)
    self.descriptor = descriptor
    self.watcher = watcher
  }

  // Nobody else has it, so the close that follows takes it off the kernel's list. A child that is just being
  // started may hold it a moment longer: what is told of it then is of a use that is over.
  deinit { watcher.forget(key) }
}
