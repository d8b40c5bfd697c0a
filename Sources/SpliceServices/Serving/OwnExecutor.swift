// An executor with an owner: its thread ends with that, whether anything has run on it or not.

import Splice
import SystemPackage

/// An executor whose thread ends with its owner.
final class OwnExecutor: Sendable {
  let executor: EpollExecutor

  init(name: String) throws(Errno) { executor = try EpollExecutor(name: name) }

  deinit { executor.shutdown() }
}
