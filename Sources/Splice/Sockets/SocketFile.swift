// The file of a unix socket: what nobody listens on may be replaced, and what was made is removed, nothing
// else.
//
// A path may name another file at any moment, so a file is known by its device and inode, which are not used
// again before the socket is closed. To look and then to unlink are two calls, between which another process
// may bind the path anew; so may it find a socket that is bound and does not listen yet. Processes of this
// library therefore do both under a lock on the directory. A program that does not take the lock can still
// come in between.

import CSplice
import SystemPackage

/// The file of a unix socket that listens.
package struct SocketFile: Sendable, Hashable {
  private let made: MadeFile

  fileprivate init?(at path: FilePath) {
    guard let status = try? Syscall.lstat(path), status.type == S_IFSOCK else { return nil }
    made = MadeFile(path, status)
  }

  /// The file of an address; nil when it has none, or a file that is no socket.  C: `lstat`
  package init?(of address: SocketAddress) {
    guard let path = address.file else { return nil }
    self.init(at: path)
  }

  /// Whether connecting to an address leads to this file, however its path is spelled.
  package func isReached(by address: SocketAddress) -> Bool {
    guard let path = address.file, let status = try? Syscall.status(of: path) else { return false }
    return made.isSame(as: status)
  }

  /// Removes the file, unless the path names another one by now. A socket that still listens is not replaced
  /// by others meanwhile.  C: `unlink`
  package func remove() { Self.withDirectoryLocked(of: made.path) { made.remove() } }
}

// MARK: - Making one

extension SocketAddress {
  /// Has a socket listen here, and gives the file that was made for it. Where a file stands in the way, which
  /// is a socket that refuses connections, that one is replaced if `replacing`; any other file is left as it
  /// is, with EADDRINUSE.  C: `bind`, `listen`
  func listen(
    on socket: borrowing Descriptor, backlog: Int, replacing: Bool
  ) throws(Errno) -> SocketFile? {
    guard let file else {
      try Syscall.bind(socket.raw, to: bytes)
      try Syscall.listen(socket.raw, backlog: backlog)
      return nil
    }
    return try SocketFile.withDirectoryLocked(of: file) { () -> Result<SocketFile?, Errno> in
      Result { () throws(Errno) in
        do throws(Errno) { try Syscall.bind(socket.raw, to: bytes) } catch {
          guard error == .addressInUse, replacing, SocketFile.removeAbandoned(at: file, self) else {
            throw error
          }
          try Syscall.bind(socket.raw, to: bytes)
        }
        // Noted before anybody can connect, and see that there is a file to take away.
        let made = SocketFile(at: file)
        try Syscall.listen(socket.raw, backlog: backlog)
        return made
      }
    }.get()
  }
}

extension SocketFile {
  /// Removes a socket that refuses connections, since its owner was killed, and says whether there was one.
  fileprivate static func removeAbandoned(at path: FilePath, _ address: SocketAddress) -> Bool {
    guard let file = Self(at: path),
      let number = try? Syscall.socket(domain: address.domain, type: CInt(SOCK_STREAM.rawValue))
    else { return false }
    let probe = Descriptor(stream: number, isUnix: true)
    do throws(Errno) { try Syscall.connect(probe.raw, to: address.bytes) } catch {
      guard error == .connectionRefused else { return false }
      file.made.remove()
      return true
    }
    return false
  }

  /// How long another process is waited for that has the lock.
  private static let patience = Duration.seconds(1)

  /// Runs `body` while no other process that does as this one does looks at files of the same directory,
  /// makes or removes them. Without the lock when it is not to be had: the directory cannot be read, or
  /// another program keeps it.  C: `flock`
  fileprivate static func withDirectoryLocked<Result>(of file: FilePath, _ body: () -> Result) -> Result {
    // A path without a directory is in this one.
    let parent = file.removingLastComponent()
    guard let number = try? Syscall.open(parent.isEmpty ? "." : parent, flags: O_RDONLY | O_DIRECTORY) else {
      return body()
    }
    // Closed at the end, and with that unlocked.
    let directory = Descriptor(owning: number)
    let end = ContinuousClock.now + patience
    while (try? Syscall.lockNow(directory.raw)) == nil, .now < end {
      BlockingWait().pause(for: .milliseconds(2))
    }
    return body()
  }
}
