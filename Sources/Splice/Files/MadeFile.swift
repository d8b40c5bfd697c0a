// A file that this process has made, and may remove again: by its device and inode, so that another one that has its name by now is left
// alone.

import Glibc
import SystemPackage

/// A file that this process has made.
package struct MadeFile: Sendable, Hashable {
  /// The name under which it was made.
  package let path: FilePath
  private let device, inode: UInt64

  /// The file that has this name now, such as that of a socket that was just bound; nil when there is none.
  package init?(at path: FilePath) {
    guard let status = Self.status(of: path) else { return nil }
    self.init(path, status)
  }

  /// The file that was made under this name, and that has this status.
  package init(_ path: FilePath, _ status: Syscall.FileStatus) {
    self.path = path
    (device, inode) = (status.device, status.inode)
  }

  /// Removes it, if its name is still its own. No call does both at once: a file that takes the name between the two is lost.
  /// C: `open` with O_PATH and O_NOFOLLOW, `fstat`, `unlink`
  package func remove(onlyIfEmpty: Bool = false) {
    guard let now = Self.status(of: path), (now.device, now.inode) == (device, inode) else { return }
    if !onlyIfEmpty || now.size == 0 { try? Syscall.unlink(path) }
  }

  private static func status(of path: FilePath) -> Syscall.FileStatus? {
    guard let file = try? Syscall.openPath(path) else { return nil }
    defer { try? Syscall.close(file) }
    return try? Syscall.fstat(file)
  }
}
