// The service manager that has started this process: systemd, or whoever speaks as it does.
//
// C: sd_notify(3), sd_listen_fds(3). Both are a few lines of protocol, and systemd asks programs to write
// them rather than to link its library.

import CSplice
import Splice
import SystemPackage

/// The service manager that has started this process, if one did.
public enum ServiceManager {
  /// Tells it how this process is: `READY=1`, `STOPPING=1`, `STATUS=…`. Nothing happens when no manager wants
  /// to know, or listens.
  public static func notify(_ states: String...) {
    guard let path = Syscall.environment("NOTIFY_SOCKET"), let address = try? SocketAddress.unix(path),
      let raw = try? Syscall.socket(domain: address.domain, type: CInt(SOCK_DGRAM.rawValue))
    else { return }
    let socket = Descriptor(owning: raw)
    socket.withFileDescriptor { socket in
      guard (try? Syscall.connect(socket, to: address.bytes)) != nil else { return }
      _ = try? Syscall.write(socket, Array(states.joined(separator: "\n").utf8))
    }
  }

  /// The sockets it has opened for this process to listen on, which are the caller's from now on: asked
  /// again, there are none. They do not block, and are not passed on to programs that are started.
  ///
  /// - Throws: EINVAL when one of them is not a stream socket that listens.
  package static func takeListeners() throws(Errno) -> [FileDescriptor] {
    defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsafe unsetenv(name) } }
    guard Syscall.environment("LISTEN_PID").flatMap({ pid_t($0) }) == getpid(),
      let count = Syscall.environment("LISTEN_FDS").flatMap({ CInt($0) })
    else { return [] }
    var listeners: [FileDescriptor] = []
    for index in 0..<max(0, count) {
      let passed = FileDescriptor(rawValue: firstPassed &+ index)
      guard try Syscall.getsockopt(passed, level: SOL_SOCKET, option: SO_ACCEPTCONN) == 1,
        try Syscall.getsockopt(passed, level: SOL_SOCKET, option: SO_TYPE) == SOCK_STREAM.rawValue
      else { throw .invalidArgument }
      // The duplicate is closed on exec.
      let own = try Syscall.duplicate(passed)
      try Syscall.close(passed)
      listeners.append(own)
      try Syscall.setStatusFlags(of: own, to: try Syscall.statusFlags(of: own) | O_NONBLOCK)
    }
    return listeners
  }

  /// SD_LISTEN_FDS_START.
  private static let firstPassed: CInt = 3
}
