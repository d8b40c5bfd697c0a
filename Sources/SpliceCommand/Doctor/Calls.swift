// Which system calls a sandbox refuses, and what is done in their place.

import Splice
import SpliceProcess
import SystemPackage

/// The system calls that bytes are moved and waited for with.
struct Calls {
  private let answers: [Syscall.Trial: CallAnswer]

  init() {
    answers = Dictionary(uniqueKeysWithValues: Syscall.Trial.allCases.map { ($0, Self.answer(to: $0)) })
  }

  private static func answer(to trial: Syscall.Trial) -> CallAnswer {
    let verdict: Syscall.Verdict
    do throws(Errno) { verdict = try Syscall.attempt(trial) } catch { return .untried(error) }
    switch verdict {
    case .ended(let signal): return .ends(signal)
    // The kernel's own word for arguments that cannot be right: so it was asked.
    case .answered(trial.refusal): return .allowed
    case .answered(let errno): return .refused(errno ?? Errno(rawValue: 0))
    }
  }

  private func answer(_ trial: Syscall.Trial) -> CallAnswer { answers[trial] ?? .allowed }

  /// Those without which nothing goes on, and those that end whoever makes them, as the command would.
  var missing: [String] {
    Syscall.Trial.allCases.filter { trial in
      switch answer(trial) {
      case .ends: true
      case .refused: [.epollCreate1, .eventfd2, .pipe2].contains(trial)
      case .allowed, .untried: false
      }
    }.map(\.name)
  }

  /// Whether a call is known to do what it is for.
  func isAllowed(_ trial: Syscall.Trial) -> Bool { answer(trial) == .allowed }

  var section: Diagnosis.Section {
    Diagnosis.Section(
      title: "System calls",
      rows: Syscall.Trial.allCases.map { trial in
        let answer = answer(trial)
        let advice =
          switch answer {
          case .allowed: trial.use
          case .refused: trial.substitute
          case .ends: "so it ends splice too, where it is made: let the sandbox answer EPERM"
          case .untried: "no child could be made to try it in"
          }
        return Row(name: trial.name, finding: .call(answer), advice: advice)
      })
  }
}

extension Syscall.Trial {
  /// What every kernel that has the call says to arguments that cannot be right.
  fileprivate var refusal: Errno? {
    switch self {
    case .splice, .tee, .vmsplice, .sendfile, .copyFileRange, .preadv2, .cachestat:
      .badFileDescriptor
    case .pipe2, .epollCreate1, .eventfd2, .memfdCreate, .openat2, .landlockCreateRuleset, .pidfdOpen,
      .socket:
      .invalidArgument
    }
  }

  /// Its name in the kernel.
  var name: String {
    switch self {
    case .splice: "splice"
    case .tee: "tee"
    case .vmsplice: "vmsplice"
    case .sendfile: "sendfile"
    case .copyFileRange: "copy_file_range"
    case .pipe2: "pipe2"
    case .epollCreate1: "epoll_create1"
    case .eventfd2: "eventfd2"
    case .memfdCreate: "memfd_create"
    case .openat2: "openat2"
    case .preadv2: "preadv2"
    case .cachestat: "cachestat"
    case .landlockCreateRuleset: "landlock_create_ruleset"
    case .pidfdOpen: "pidfd_open"
    case .socket: "socket"
    }
  }

  /// What it is for.
  fileprivate var use: String {
    switch self {
    case .splice: "moves bytes by reference"
    case .tee: "one source for many sinks"
    case .vmsplice: "memory of a program that is given to a pipe"
    case .sendfile: "files that go to sockets"
    case .copyFileRange: "file to file, sharing blocks where the file system can"
    case .pipe2: "the buffer itself"
    case .epollCreate1: "waits for many descriptors at once"
    case .eventfd2: "wakes who waits"
    case .memfdCreate: "sealed pages for many sinks"
    case .openat2: "splice serve: no path leads out of its directory"
    case .preadv2: "asks whether a read would wait for a disk"
    case .cachestat: "asks for many pages at once what is in memory"
    case .landlockCreateRuleset: "splice serve: its threads can open nothing else"
    case .pidfdOpen: "exec: waits for a program"
    case .socket: "connections"
    }
  }

  /// What is done in its place.
  fileprivate var substitute: String {
    switch self {
    case .splice: "everything is copied: allow it in the seccomp profile of the container"
    case .tee: "what goes to many is copied once: allow it in the seccomp profile"
    case .vmsplice: "memory is copied into pipes"
    case .sendfile: "files go through a pipe"
    case .copyFileRange: "file to file goes through a pipe, and shares no blocks"
    case .pipe2: "without pipes there is no splice: this sandbox is too tight"
    case .epollCreate1: "servers and tasks cannot wait: this sandbox is too tight"
    case .eventfd2: "nobody can be woken: this sandbox is too tight"
    case .memfdCreate: "sealed pages are not to be had: use plain memory"
    case .openat2: "splice serve does not start"
    case .preadv2: "reads of files go to threads that may wait"
    case .cachestat: "pages are asked for one by one (Linux 6.5 has it)"
    case .landlockCreateRuleset: "splice serve works without this second fence"
    case .pidfdOpen: "programs are asked again and again whether they have ended"
    case .socket: "no connections"
    }
  }
}
