// System calls that only a command makes: of programs, signals, terminals and paths.

import CSplice
import Splice
import SystemPackage

// MARK: - Files

extension Syscall {
  /// Where a symbolic link points to, as it is written in it.  C: `readlink`
  package static func readlink(_ path: FilePath) throws(Errno) -> FilePath {
    var target = [CChar](repeating: 0, count: 4096)
    // PATH_MAX, of which one byte is left for the zero at the end.
    let room = target.count - 1
    _ = try call {
      unsafe path.withPlatformString { path in
        unsafe target.withUnsafeMutableBufferPointer { unsafe csplice_readlink(path, $0.baseAddress, room) }
      }
    }
    // One that ends with a slash leads to a directory.
    return FilePath(bytes: target.map(UInt8.init(bitPattern:)))
  }

  /// Whether a path names a fifo, which is found out without opening it.  C: `open` with O_PATH, `fstat`
  package static func isFifo(_ path: FilePath) -> Bool {
    guard let type = try? status(of: path).type else { return false }
    return type == S_IFIFO
  }
}

// MARK: - Programs

extension Syscall {
  /// Starts `/bin/sh -c` with default signals; what is given stands in for its standard input or output. One
  /// that is `alone` inherits no other descriptor, whatever opened it.  C: `posix_spawn`
  package static func spawn(
    shell command: some Collection<UInt8>, input: FileDescriptor?, output: FileDescriptor?,
    alone isAlone: Bool = false
  ) throws(Errno) -> CInt {
    let command = command.map(CChar.init(bitPattern:)) + [0]
    return CInt(
      try call {
        unsafe csplice_posix_spawn_shell(command, input?.rawValue ?? -1, output?.rawValue ?? -1, isAlone)
      })
  }

  /// A descriptor that is readable once a process has ended.  C: `pidfd_open`
  package static func pidfdOpen(_ process: CInt) throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_pidfd_open(process) }))
  }

  /// Waits for the end of a child, and says how it has ended: as `waitpid` tells it.  C: `waitpid`
  package static func waitpid(_ process: CInt) throws(Errno) -> CInt {
    var status: CInt = 0
    _ = try call { unsafe csplice_waitpid(process, &status, true) }
    return status
  }

  /// How a child has ended; nil while it has not.  C: `waitpid` with WNOHANG
  package static func waitpidNow(_ process: CInt) throws(Errno) -> CInt? {
    var status: CInt = 0
    return try call { unsafe csplice_waitpid(process, &status, false) } == 0 ? nil : status
  }

  /// Whether a child has ended, which stays to be waited for.  C: `waitid` with WNOWAIT
  package static func hasEnded(_ process: CInt) throws(Errno) -> Bool {
    try call { csplice_waitid_ended(process) } == 1
  }

  /// Sends a signal to a process.  C: `kill`
  package static func kill(_ process: CInt, _ signal: CInt) throws(Errno) {
    _ = try call { csplice_kill(process, signal) }
  }

  /// Columns of a terminal; 0 when it does not know.  C: `ioctl` with TIOCGWINSZ
  package static func columns(of terminal: FileDescriptor) throws(Errno) -> Int {
    try call { csplice_ioctl_tiocgwinsz(terminal.rawValue) }
  }
}

// MARK: - Signals

extension Syscall {
  /// Runs `body` while no handler runs on this thread.  C: `pthread_sigmask`
  package static func withoutSignals<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    var before = sigset_t()
    unsafe csplice_pthread_sigmask_block_all(&before)
    defer { unsafe csplice_pthread_sigmask_restore(&before) }
    return try body()
  }

  /// Handles a signal; calls that wait end early. False when it is ignored, as it is under `nohup`: then it
  /// stays so.  C: `sigaction`
  @discardableResult
  package static func handle(
    signal: CInt, _ handler: @escaping @convention(c) (CInt) -> Void
  ) throws(Errno) -> Bool {
    try call { csplice_sigaction(signal, handler) } == 0
  }

  /// Ignores a signal.  C: `sigaction` with SIG_IGN
  package static func ignore(signal: CInt) { csplice_ignore(signal) }

  /// Whether a signal is ignored.  C: `sigaction`
  package static func isIgnored(signal: CInt) -> Bool { csplice_sigaction_is_ignored(signal) == 1 }

  /// Ends the process by a signal, as if nothing had been done about it.  C: `raise`
  package static func die(by signal: CInt) { csplice_die_by(signal) }
}
