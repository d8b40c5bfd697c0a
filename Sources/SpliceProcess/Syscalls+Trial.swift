// System calls of experiments: what this kernel and this sandbox allow, found out without doing anything.

import CSplice
import Splice
import SystemPackage

extension Syscall {
  /// A system call that a sandbox may forbid.
  package enum Trial: UInt32, Sendable, CaseIterable {
    // In the order of `enum csplice_trial_call`.
    case splice, tee, vmsplice, sendfile, copyFileRange, pipe2, epollCreate1, eventfd2, memfdCreate, openat2,
      preadv2, cachestat, landlockCreateRuleset, pidfdOpen, socket
  }

  /// What became of a call in a child, with arguments that every kernel refuses.
  package enum Verdict: Sendable, Hashable {
    /// What it answered; nil when it said that all was well, which it cannot have been.
    case answered(Errno?)
    /// The signal by which the child was ended.
    case ended(CInt)
  }

  /// Makes a call in a child of its own, for sandboxes that end who calls.
  package static func attempt(_ trial: Trial) throws(Errno) -> Verdict {
    let apart = try apart(until: .now + .seconds(1)) {
      do throws(Errno) { _ = try call { csplice_trial(trial.rawValue) } } catch {
        return Array("\(error.rawValue)".utf8)
      }
      return []
    }
    switch apart {
    case .said(let number): return .answered(CInt(String(decoding: number, as: UTF8.self)).map(Errno.init))
    case .ended(let signal): return .ended(signal)
    case .late: throw .timedOut
    }
  }

  /// How a child has fared.
  package enum Apart: Sendable, Hashable {
    case said([UInt8])
    /// By this signal.
    case ended(CInt)
    /// It has not come to its end in time, and is left to itself.
    case late
  }

  /// Does something in a child of its own, for what may end who does it, or wait for ever, and brings back what
  /// it said, up to 64 KiB. For a process that has no other thread.  C: `fork`, `waitpid`
  package static func apart(
    until deadline: ContinuousClock.Instant, _ body: () -> [UInt8]
  ) throws(Errno) -> Apart {
    let size = 64 << 10
    var base: UnsafeMutableRawPointer?
    _ = try call { unsafe csplice_mmap_shared(size, &base) }
    // Its own until it is unmapped: the length first, then the bytes. The child has ended, or is not listened
    // to any more, when they are read.
    let memory = unsafe UnsafeMutableRawBufferPointer(start: base, count: size)
    defer { try? unsafe unmap(memory) }
    csplice_hear_of_children()
    let child = CInt(try call { csplice_fork() })
    if child == 0 {
      let said = body().prefix(size - 8)
      unsafe memory.storeBytes(of: said.count, as: Int.self)
      unsafe UnsafeMutableRawBufferPointer(rebasing: memory[8...]).copyBytes(from: said)
      csplice_leave()
    }
    while true {
      if let status = try waitpidNow(child) {
        if status & 0x7f != 0 { return .ended(status & 0x7f) }
        let count = unsafe memory.load(as: Int.self)
        return .said(unsafe Array(memory[8..<8 + count]))
      }
      if deadline <= .now {
        try? kill(child, SIGKILL)
        return .late
      }
      BlockingWait.poll.pause(for: .microseconds(200))
    }
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
