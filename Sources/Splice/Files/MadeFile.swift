// A file that this process has made, and may remove again: by its device and inode, so that another one that
// has its name by now is left alone.

import CSplice
import SystemPackage

/// A file that this process has made.
package struct MadeFile: Sendable, Hashable {
  /// The name under which it was made.
  package let path: FilePath
  package let device, inode: UInt64
  /// When it was written last, in nanoseconds, if it is written no more.
  package let modified: Int64?

  /// The file that was made under this name, and that has this status.
  package init(_ path: FilePath, _ status: Syscall.FileStatus) {
    self.path = path
    (device, inode, modified) = (status.device, status.inode, nil)
  }

  /// One that was written down.
  package init(_ path: FilePath, device: UInt64, inode: UInt64, modified: Int64?) {
    (self.path, self.device, self.inode, self.modified) = (path, device, inode, modified)
  }

  /// The same under the name that it was given, and written no more: one that is written all the same is not
  /// ours any more.  C: `lstat`
  package func renamed(to path: FilePath) throws(Errno) -> MadeFile {
    MadeFile(path, device: device, inode: inode, modified: try Syscall.lstat(path).modified)
  }

  /// Whether its name is still its own.
  package var isThere: Bool { (try? Syscall.lstat(path)).map(isSame) ?? false }

  /// Whether a status is this file's.
  func isSame(as status: Syscall.FileStatus) -> Bool {
    (status.device, status.inode) == (device, inode) && (modified == nil || modified == status.modified)
  }

  /// Removes it, if its name is still its own. No call does both at once: a file that takes the name between
  /// the two is lost.  C: `lstat`, `unlink`
  package func remove(onlyIfEmpty: Bool = false) {
    guard let now = try? Syscall.lstat(path), isSame(as: now) else { return }
    if !onlyIfEmpty || now.size == 0 { try? Syscall.unlink(path) }
  }
}
