// What pipes are granted here, and how much of a user's budget of pipe pages is taken.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// The limits of pipes, and what is in use.
struct PipeLimits {
  let isPrivileged: Bool?
  /// Whether the sizes of other programs' pipes may be asked for.
  let seesSizes: Bool
  private let largest = ProcText("/proc/sys/fs/pipe-max-size")?.number
  private let soft = ProcText("/proc/sys/fs/pipe-user-pages-soft")?.number
  private let hard = ProcText("/proc/sys/fs/pipe-user-pages-hard")?.number

  init(isPrivileged: Bool?, _ calls: Calls) {
    self.isPrivileged = isPrivileged
    seesSizes = calls.isSafe(.pidfdOpen) && calls.isSafe(.pidfdGetfd)
  }

  /// The size that copies ask for.
  private static let wish = 1 << 20

  var section: Diagnosis.Section {
    Diagnosis.Section(
      title: "Pipes", rows: [fresh, grown, limit("largest, unprivileged", largest), budget, use, flows])
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
        ? "copies ask for \(Amount.text(Self.wish)), and take what they get" : "enough for copies")
  }

  private var budget: Row {
    guard let soft else {
      return .fact("pages of a user", "unknown", "/proc/sys/fs/pipe-user-pages-soft is not to be read")
    }
    let most = hard.map { $0 == 0 ? "no hard limit" : "\($0) hard" } ?? "hard limit unknown"
    let words = soft == 0 ? "no soft limit" : "\(soft) soft (\(Amount.text(soft * Syscall.pageSize)))"
    return .fact(
      "pages of a user", "\(words), \(most)", number: soft,
      soft == 0 ? "new pipes never shrink" : "beyond the soft limit a new pipe has two slots, and none grows")
  }

  private var use: Row {
    guard let use = PipeUse(seesSizes) else {
      return .fact("pages in use", "unknown", "/proc is needed to count them")
    }
    let share = soft.map { $0 > 0 ? ", \(use.pages * 100 / $0) % of the soft limit" : "" } ?? ""
    return .fact(
      "pages in use", "\(use.isWhole ? "" : "at least ")\(use.pages) in \(use.pipes) pipes\(share)",
      number: use.pages,
      use.isWhole
        ? "of pipes that this user has made and can see"
        : "some pipes' sizes may not be asked for: they are taken for \(PipeUse.usual) pages each")
  }

  private var flows: Row {
    guard let soft, soft > 0 else {
      return .fact("flows at once", "no limit", "of pipes of any size")
    }
    let (large, small) = (soft * Syscall.pageSize / Self.wish, soft / PipeUse.usual)
    return .fact(
      "flows at once", "\(large) with pipes of \(Amount.text(Self.wish)), \(small) with new ones",
      number: large,
      isPrivileged == true
        ? "for users without privileges; this one has no such limit"
        : "then pipes have two slots; servers lend theirs, so that only flows with bytes in them count")
  }
}

/// The pipes of this user that are open, as far as they can be seen.
struct PipeUse {
  private(set) var pipes = 0
  private(set) var pages = 0
  /// Whether all of them were seen, and said how large they are.
  private(set) var isWhole = true
  private var seen: Set<[UInt64]> = []
  private let seesSizes: Bool

  /// Pages of a pipe that nobody has resized.
  static let usual = 16

  /// Nil without `/proc`. Looks at what processes have open, for a moment; their pipes are neither read nor
  /// opened.
  init?(_ seesSizes: Bool) {
    guard (try? Syscall.status(of: "/proc/self/fd")) != nil, let processes = try? Self.names(in: "/proc")
    else {
      return nil
    }
    self.seesSizes = seesSizes
    let deadline = ContinuousClock.now + .milliseconds(300)
    for process in processes.compactMap(CInt.init) {
      // Processes end meanwhile, and those of others say nothing.
      guard let descriptors = try? Self.names(in: FilePath("/proc/\(process)/fd")) else { continue }
      if ContinuousClock.now > deadline {
        isWhole = false
        break
      }
      for descriptor in descriptors.compactMap(CInt.init) { look(at: descriptor, of: process) }
    }
  }

  private static func names(in directory: FilePath) throws(Errno) -> [String] {
    try Syscall.names(in: Syscall.open(directory, flags: O_RDONLY | O_DIRECTORY)).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  private mutating func look(at descriptor: CInt, of process: CInt) {
    // A pipe is charged to the user who made it, whose its inode is.
    guard let status = try? Syscall.status(of: FilePath("/proc/\(process)/fd/\(descriptor)")),
      status.type == S_IFIFO, status.user == geteuid(), seen.insert([status.device, status.inode]).inserted
    else { return }
    pipes += 1
    if seesSizes, let size = Self.size(of: descriptor, of: process) {
      pages += size / Syscall.pageSize
    } else {
      (pages, isWhole) = (pages + Self.usual, false)
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
