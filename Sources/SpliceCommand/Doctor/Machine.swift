// The facts about this machine and this user: of the kernel, and what it grants in pipes and descriptors.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// What there is to know without an experiment.
struct Machine {
  private let release: String
  private let architecture: String
  private let status = ProcText("/proc/self/status")
  private let isProcThere = (try? Syscall.status(of: "/proc/self/fd")) != nil

  init() {
    (release, architecture) = (try? Syscall.uname()) ?? ("unknown", "unknown")
  }

  /// Below this the library is not made for the kernel.
  static let oldest = "5.10"

  var isKernelTooOld: Bool {
    let number = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
    return number.count == 2 && number.lexicographicallyPrecedes([5, 10])
  }

  var rows: [Row] {
    [
      .fact(
        "kernel", "Linux \(release), \(architecture)",
        isKernelTooOld ? "older than \(Self.oldest), which splice needs" : "new enough"),
      .fact(
        "page", Amount.text(Syscall.pageSize), number: Syscall.pageSize,
        "a slot of a pipe has one; a splice costs the same for a slot of one byte"),
      .fact("user", "\(getuid())", number: Int(getuid()), privileges),
      .fact("sandbox", sandbox.words, sandbox.advice),
      .fact(
        "/proc", isProcThere ? "there" : "not there",
        isProcThere
          ? "pipes and terminals that are inherited are opened a second time"
          : "inherited pipes are polled before each call, and no limits are known here"),
      descriptors,
    ]
  }

  private var sandbox: (words: String, advice: String) {
    switch status?.value(of: "Seccomp") {
    case "0": ("no seccomp filter", "every system call reaches the kernel")
    case "2": ("a seccomp filter", "see which calls it refuses, below")
    case let mode?: ("seccomp, mode \(mode)", "see which calls it refuses, below")
    case nil: ("unknown", "see which calls are refused, below")
    }
  }

  /// PROC_USER_INIT_INO of the kernel.
  private static let firstUserNamespace: UInt64 = 0xefff_fffd

  /// Whether limits of pipe memory bind this user; nil when that is not known.
  var isPrivileged: Bool? {
    guard let text = status?.value(of: "CapEff"), let capabilities = UInt64(text, radix: 16) else {
      return nil
    }
    // The kernel asks for those of the first user namespace.
    guard (try? Syscall.status(of: "/proc/self/ns/user"))?.inode == Self.firstUserNamespace else {
      return false
    }
    // CAP_SYS_ADMIN and CAP_SYS_RESOURCE, as capabilities(7) numbers them.
    return capabilities & (1 << 21 | 1 << 24) != 0
  }

  private var privileges: String {
    switch isPrivileged {
    case true?: "CAP_SYS_RESOURCE or CAP_SYS_ADMIN: no limit of a user's pipe pages binds it"
    case false?: "the limits of a user's pipe pages bind it"
    case nil: "whether the limits of a user's pipe pages bind it is not known"
    }
  }

  private var descriptors: Row {
    guard let limit = try? Syscall.descriptorLimit() else {
      return .fact("descriptors", "unknown", "the limit of open descriptors is not known")
    }
    return .fact(
      "descriptors", "\(limit)", number: limit,
      limit < 4096
        ? "a relay's connection has two, and up to four for its pipes: raise it (ulimit -n) for a server"
        : "a relay's connection has two, and up to four for its pipes")
  }
}

/// A file of the kernel with a value a line.
struct ProcText {
  private let lines: [Substring]

  /// Nil where it is not to be had.
  init?(_ path: String) {
    guard let file = try? Held(Syscall.open(FilePath(path), flags: O_RDONLY)) else { return nil }
    let text = try? file.lend { file throws(Errno) in
      try unsafe Syscall.withScratch { scratch throws(Errno) in
        let count = try unsafe Syscall.read(file, into: scratch)
        return unsafe String(decoding: scratch.prefix(count), as: UTF8.self)
      }
    }
    guard let text else { return nil }
    lines = text.split(separator: "\n")
  }

  /// What stands behind `key:`, without what is blank on either side of the colon.
  func value(of key: String) -> String? {
    let isBlank = { (character: Character) in character == " " || character == "\t" }
    for line in lines where line.hasPrefix(key) {
      let rest = line.dropFirst(key.count).drop(while: isBlank)
      if rest.first == ":" { return String(rest.dropFirst().drop(while: isBlank)) }
    }
    return nil
  }

  /// The only value of a file that has one; the largest there is for one that is larger.
  var number: Int? { lines.first.flatMap { UInt64($0) }.map { Int(clamping: $0) } }
}

/// Bytes, for people.
enum Amount {
  static func text(pages: Int) -> String { text(pages.multipliedReportingOverflow(by: Syscall.pageSize)) }

  private static func text(_ bytes: (partialValue: Int, overflow: Bool)) -> String {
    bytes.overflow ? "more than there is" : text(bytes.partialValue)
  }

  static func text(_ bytes: Int) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    var (value, unit) = (bytes, 0)
    while value >= 1024, value.isMultiple(of: 1024), unit < units.count - 1 {
      (value, unit) = (value / 1024, unit + 1)
    }
    return "\(value) \(units[unit])"
  }
}

extension Row {
  static func fact(_ name: String, _ words: String, number: Int? = nil, _ advice: String) -> Row {
    Row(name: name, finding: .fact(words, number: number), advice: advice)
  }
}
