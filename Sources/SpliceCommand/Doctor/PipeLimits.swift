// What pipes are granted here, and how much of a user's budget of pipe pages is taken.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// The limits of pipes, and what is in use.
struct PipeLimits {
  let isPrivileged: Bool?
  private let largest = ProcText("/proc/sys/fs/pipe-max-size")?.number
  private let soft = ProcText("/proc/sys/fs/pipe-user-pages-soft")?.number
  private let hard = ProcText("/proc/sys/fs/pipe-user-pages-hard")?.number

  init(isPrivileged: Bool?) { self.isPrivileged = isPrivileged }

  /// The size that copies ask for.
  private static let wish = 1 << 20

  var section: Diagnosis.Section {
    Diagnosis.Section(
      title: "Pipes",
      rows: Row.apart("a new pipe") { [fresh] } + Row.apart("grown") { [grown] }
        + [limit("largest, unprivileged", largest), budget] + Row.apart("pages in use") { [use] }
        + [flows("large", Self.wish), flows("new", PipeUse.usual * Syscall.pageSize)])
  }

  private var fresh: Row {
    do throws(Errno) {
      let size = try TrialPipe().writer.lend { pipe throws(Errno) in try Syscall.pipeSize(of: pipe) }
      let slots = size / Syscall.pageSize
      return .fact(
        "a new pipe", "\(Amount.text(size)), \(slots) slots", number: size,
        slots < 16 ? "small: this user's soft limit of pipe pages is met" : "what every program gets")
    } catch {
      return .fact("a new pipe", "none: \(error)", "splice cannot move bytes without a pipe, and copies")
    }
  }

  private var grown: Row {
    do throws(Errno) {
      let size = try TrialPipe().writer.lend { pipe throws(Errno) in
        try Syscall.setPipeSize(of: pipe, to: Self.wish)
      }
      return .fact("grown", Amount.text(size), number: size, "what a copy uses: fewer, larger moves")
    } catch {
      return .fact(
        "grown", "refused: \(error)", "copies go on with the size of a new pipe, in more and smaller moves")
    }
  }

  private func limit(_ name: String, _ value: Int?) -> Row {
    guard let value else { return .fact(name, "unknown", "/proc/sys/fs/pipe-max-size is not to be read") }
    return .fact(
      name, Amount.text(value), number: value,
      value < Self.wish
        ? "copies ask for \(Amount.text(Self.wish)), and go on with new pipes as they are"
        : "enough for copies")
  }

  private var budget: Row {
    guard let soft else {
      return .fact("pages of a user", "unknown", "/proc/sys/fs/pipe-user-pages-soft is not to be read")
    }
    let most = hard.map { $0 == 0 ? "no hard limit" : "\($0) hard" } ?? "hard limit unknown"
    let words = soft == 0 ? "no soft limit" : "\(soft) soft (\(Amount.text(pages: soft)))"
    return .fact(
      "pages of a user", "\(words), \(most)", number: soft,
      soft == 0 ? "new pipes never shrink" : "beyond the soft limit a new pipe has two slots, and none grows")
  }

  private var use: Row {
    guard let use = PipeUse() else {
      return .fact("pages in use", "unknown", "/proc is needed to count them")
    }
    let isMet =
      (try? TrialPipe().writer.lend { pipe throws(Errno) in try Syscall.pipeSize(of: pipe) })
      .map { $0 < PipeUse.usual * Syscall.pageSize } ?? false
    let share =
      isMet
      ? "; the soft limit is met"
      : soft.map { $0 > 0 ? ", \(use.pages.percent(of: $0)) % of the soft limit" : "" } ?? ""
    return .fact(
      "pages in use", "\(use.doubt.word)\(use.pages) in \(use.pipes) pipes\(share)", number: use.pages,
      use.doubt.advice)
  }

  /// So many flows at once meet the soft limit.
  private func flows(_ kind: String, _ size: Int) -> Row {
    let name = "flows at once, \(kind) pipes"
    guard let soft else {
      return .fact(name, "unknown", "/proc/sys/fs/pipe-user-pages-soft is not to be read")
    }
    guard soft > 0 else { return .fact(name, "no limit", "pipes of \(Amount.text(size)) each") }
    let count = soft / (size / Syscall.pageSize)
    return .fact(
      name, "\(count)", number: count,
      isPrivileged == true
        ? "of \(Amount.text(size)) each, for users without privileges; this one has no such limit"
        : "of \(Amount.text(size)) each; then pipes have two slots. Servers lend theirs while bytes are in them"
    )
  }
}

extension Int {
  fileprivate func percent(of whole: Int) -> Int { Int((Double(self) / Double(whole) * 100).rounded()) }
}

/// The pipes of this user that are open, as far as they can be seen. Fifos are not among them: whose budget
/// they are charged to does not show.
struct PipeUse {
  private(set) var pipes = 0
  private(set) var pages = 0
  private(set) var doubt = Doubt.none
  private var seen: Set<String> = []

  /// Pages of a pipe that nobody has resized.
  static let usual = 16

  /// Why the number may be wrong: the gravest reason.
  enum Doubt: Int {
    case none, sizes, processes, time

    var word: String {
      switch self {
      case .none: ""
      case .sizes: "about "
      case .processes, .time: "at least "
      }
    }

    var advice: String {
      switch self {
      case .none: "of pipes without a name that this user has made"
      case .sizes: "some pipes' sizes may not be asked for: they are taken for \(usual) pages each"
      case .processes: "some of this user's programs do not show what they have open"
      case .time: "there is more open than could be looked at"
      }
    }
  }

  /// Nil without `/proc`. Looks at what processes have open, for a moment; their pipes are neither read nor
  /// opened, and nothing is asked that a file system could be slow to answer.
  init?() {
    guard (try? Syscall.status(of: "/proc/self/fd")) != nil, let processes = try? Self.names(in: "/proc")
    else {
      return nil
    }
    look(at: processes, until: .now + .milliseconds(700))
  }

  private mutating func look(at processes: [String], until deadline: ContinuousClock.Instant) {
    for process in processes.compactMap(CInt.init) {
      do throws(Errno) {
        for descriptor in try Self.names(in: FilePath("/proc/\(process)/fd")).compactMap(CInt.init) {
          if ContinuousClock.now > deadline { return doubt(.time) }
          look(at: descriptor, of: process)
        }
      } catch {
        // One that has ended meanwhile has nothing open, and those of others are not ours.
        if error == .permissionDenied, isOurs(process) { doubt(.processes) }
      }
    }
  }

  private mutating func doubt(_ reason: Doubt) { if reason.rawValue > doubt.rawValue { doubt = reason } }

  private static func names(in directory: FilePath) throws(Errno) -> [String] {
    try Syscall.names(in: Syscall.open(directory, flags: O_RDONLY | O_DIRECTORY)).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  /// Whether a process is this user's, whoever its files in `/proc` belong to.
  private func isOurs(_ process: CInt) -> Bool {
    let users = ProcText("/proc/\(process)/status")?.value(of: "Uid")
    return users?.split(separator: "\t").contains(Substring("\(geteuid())")) ?? false
  }

  private mutating func look(at descriptor: CInt, of process: CInt) {
    let path = FilePath("/proc/\(process)/fd/\(descriptor)")
    // A pipe without a name is charged to the user who made it, whose its inode is.
    guard let name = try? Syscall.readlink(path).string, name.hasPrefix("pipe:["),
      let status = try? Syscall.status(of: path), status.type == S_IFIFO, status.user == geteuid(),
      seen.insert(name).inserted
    else { return }
    pipes += 1
    if let size = Self.size(of: descriptor, of: process) {
      pages += size / Syscall.pageSize
    } else {
      pages += Self.usual
      doubt(.sizes)
    }
  }

  /// C: `pidfd_getfd`, `fcntl` with F_GETPIPE_SZ
  private static func size(of descriptor: CInt, of process: CInt) -> Int? {
    try? Held(Syscall.pidfdOpen(process)).lend { process throws(Errno) in
      try Held(Syscall.descriptor(descriptor, of: process)).lend { pipe throws(Errno) in
        try Syscall.pipeSize(of: pipe)
      }
    }
  }
}
