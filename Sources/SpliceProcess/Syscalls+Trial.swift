// System calls of experiments: what this kernel and this sandbox allow, found out without doing anything.

import CSplice
import Splice
import SystemPackage

extension Syscall {
  /// A system call that a sandbox may forbid.
  package enum Trial: UInt32, Sendable, CaseIterable {
    // In the order of `enum csplice_trial_call`.
    case splice, tee, vmsplice, sendfile, copyFileRange, pipe2, epollCreate1, eventfd2, memfdCreate, openat2,
      preadv2, cachestat, landlockCreateRuleset, pidfdOpen, pidfdGetfd, socket
  }

  /// What became of a call in a child, with arguments that every kernel refuses.
  package enum Verdict: Sendable, Hashable {
    /// What it answered; nil when it said that all was well, which it cannot have been.
    case answered(Errno?)
    /// The signal by which the child was ended.
    case ended(CInt)
  }

  /// Makes a call in a child of its own, for sandboxes that end who calls.  C: `fork`, `waitpid`
  package static func attempt(_ trial: Trial) throws(Errno) -> Verdict {
    var status: CInt = 0
    _ = try call { unsafe csplice_trial(trial.rawValue, &status) }
    // As <sys/wait.h> has it.
    if status & 0x7f != 0 { return .ended(status & 0x7f) }
    let errno = status >> 8 & 0xff
    return .answered(errno == 0 ? nil : Errno(rawValue: errno))
  }

  /// A duplicate of another process's descriptor.  C: `pidfd_getfd`
  package static func descriptor(_ number: CInt, of process: FileDescriptor) throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_pidfd_getfd(process.rawValue, number) }))
  }

  /// The kernel's release and the machine, such as `6.12.1` and `x86_64`.  C: `uname`
  package static func uname() throws(Errno) -> (release: String, machine: String) {
    var release = [CChar](repeating: 0, count: 65)
    var machine = release
    _ = try call { unsafe csplice_uname(&release, &machine) }
    return (text(release), text(machine))
  }

  /// Up to the zero at the end.
  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Both ends of a new pseudoterminal, non-blocking.  C: `open` of /dev/ptmx, `ioctl` with TIOCGPTPEER
  package static func pseudoterminal() throws(Errno) -> (control: FileDescriptor, terminal: FileDescriptor) {
    var terminal: CInt = -1
    let control = CInt(try call { unsafe csplice_openpt(&terminal) })
    return (FileDescriptor(rawValue: control), FileDescriptor(rawValue: terminal))
  }

  /// Two unix sockets that are connected, non-blocking.  C: `socketpair`
  package static func socketpair(type: CInt) throws(Errno) -> (FileDescriptor, FileDescriptor) {
    var ends: [CInt] = [-1, -1]
    _ = try call { unsafe csplice_socketpair(type, &ends) }
    return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
  }
}
