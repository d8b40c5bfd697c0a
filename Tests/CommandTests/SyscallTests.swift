// A table of all system calls: what strace sees of each, that EINTR is retried, that an errno comes out as
// itself.

import Foundation
import TestSupport
import Testing

/// One call: its probe, its name in the kernel, and its arguments and result as strace prints them.
struct Call: Sendable, CustomTestStringConvertible {
  let probe: String
  let call: String
  /// Its names in strace's output, where those are others.
  var seenAs: String?
  let arguments: String
  let result: String
  /// What it says where it cannot succeed.
  var refusal: [CInt] = [EBADF]
  var retries = true
  var canBeDisturbed = true
  var testDescription: String { probe }
}

private let calls = [
  Call(
    probe: "splice", call: "splice", arguments: #"\d+, NULL, \d+, NULL, 5, SPLICE_F_NONBLOCK"#, result: "5"),
  Call(
    probe: "splice-more", call: "splice",
    arguments: #"\d+, NULL, \d+, NULL, 5, SPLICE_F_NONBLOCK\|SPLICE_F_MORE"#, result: "5"),
  Call(
    probe: "splice-offset", call: "splice",
    arguments:
      #"\d+, \[2\] => \[5\], \d+, NULL, 9, SPLICE_F_NONBLOCK|\d+, \[2\], \d+, NULL, 9, SPLICE_F_NONBLOCK"#,
    result: "3"),
  Call(probe: "tee", call: "tee", arguments: #"\d+, \d+, 3, SPLICE_F_NONBLOCK"#, result: "3"),
  Call(
    probe: "vmsplice", call: "vmsplice",
    arguments: #"\d+, \[\{iov_base="\\0\\0\\0\\0\\0", iov_len=5\}\], 1, SPLICE_F_NONBLOCK"#, result: "5"),
  Call(
    probe: "mmap", call: "mmap",
    arguments: #"NULL, 8192, PROT_READ\|PROT_WRITE, MAP_PRIVATE\|MAP_ANONYMOUS, -1, 0"#,
    result: "8192", canBeDisturbed: false),
  Call(
    probe: "memfd_create", call: "memfd_create",
    arguments: #""splice", MFD_CLOEXEC\|MFD_ALLOW_SEALING\|(MFD_NOEXEC_SEAL|0x8)"#, result: "true"),
  Call(
    probe: "F_ADD_SEALS", call: "fcntl",
    arguments: #"\d+, F_ADD_SEALS, F_SEAL_SEAL\|F_SEAL_SHRINK\|F_SEAL_GROW\|F_SEAL_WRITE"#, result: #"\(\)"#),
  Call(
    probe: "munmap", call: "munmap", arguments: #"0x[0-9a-f]+, 8192"#, result: #"\(\)"#, canBeDisturbed: false
  ),
  Call(probe: "read", call: "read", arguments: #"\d+, .*, 5"#, result: "5"),
  Call(probe: "pread", call: "pread64", arguments: #"\d+, .*, 5, 1"#, result: "4"),
  Call(probe: "recv", call: "recvfrom", arguments: #"\d+, .*, 5, MSG_DONTWAIT, NULL, NULL"#, result: "5"),
  Call(probe: "write", call: "write", arguments: #"\d+, "\\0\\0\\0\\0\\0", 5"#, result: "5"),
  Call(probe: "pwrite", call: "pwrite64", arguments: #"\d+, "\\0\\0\\0\\0\\0", 5, 7"#, result: "5"),
  Call(
    probe: "send", call: "sendto",
    arguments: #"\d+, "\\0\\0\\0\\0\\0", 5, MSG_DONTWAIT\|MSG_NOSIGNAL\|MSG_MORE, NULL, 0"#,
    result: "5"),
  Call(probe: "pipe2", call: "pipe2", arguments: #".*, O_NONBLOCK\|O_CLOEXEC"#, result: "true"),
  Call(probe: "getpipe", call: "fcntl", arguments: #"\d+, F_GETPIPE_SZ"#, result: "65536"),
  Call(probe: "setpipe", call: "fcntl", arguments: #"\d+, F_SETPIPE_SZ, 5000"#, result: "8192"),
  Call(probe: "getfl", call: "fcntl", arguments: #"\d+, F_GETFL"#, result: "2048"),
  Call(probe: "setfl", call: "fcntl", arguments: #"\d+, F_SETFL, O_RDONLY\|O_NONBLOCK"#, result: #"\(\)"#),
  Call(probe: "dup", call: "fcntl", arguments: #"\d+, F_DUPFD_CLOEXEC, 0"#, result: "true"),
  Call(probe: "dup3", call: "dup3", arguments: #"\d+, \d+, O_CLOEXEC"#, result: #"\(\)"#),
  Call(probe: "fionread", call: "ioctl", arguments: #"\d+, FIONREAD, .*"#, result: "5"),
  Call(
    probe: "open", call: "openat", arguments: #"AT_FDCWD, "/dev/null", O_WRONLY\|O_CLOEXEC"#, result: "true"),
  Call(probe: "close", call: "close", arguments: #"\d+"#, result: #"\(\)"#, retries: false),
  Call(probe: "ftruncate", call: "ftruncate", arguments: #"\d+, 3"#, result: #"\(\)"#),
  Call(probe: "unlink", call: "unlink", arguments: #"".*splice-probe-\d+""#, result: #"\(\)"#),
  Call(
    probe: "rename", call: "renameat2",
    arguments: #"AT_FDCWD, ".*splice-probe-\d+", AT_FDCWD, ".*-renamed", RENAME_NOREPLACE"#,
    result: #"\(\)"#),
  Call(probe: "fchmod", call: "fchmod", arguments: #"\d+, 0640"#, result: #"\(\)"#),
  Call(probe: "fchown", call: "fchown", arguments: #"\d+, \d+, \d+"#, result: #"\(\)"#),
  Call(probe: "getcwd", call: "getcwd", arguments: #"".*", 4096"#, result: "true", retries: false),
  Call(
    probe: "fsetxattr", call: "fsetxattr", arguments: #"\d+, "user.splice.probe", "yes", 3, 0"#,
    result: #"\(\)"#),
  Call(
    probe: "lgetxattr", call: "lgetxattr",
    arguments: #"".*splice-probe-\d+", "user.splice.probe", "yes", 512"#, result: "yes"),
  Call(probe: "lseek", call: "lseek", arguments: #"\d+, -2, SEEK_END"#, result: "3"),
  Call(probe: "fstat", call: "newfstatat,fstat", arguments: #"\d+, .*"#, result: "5"),
  Call(
    probe: "lstat", call: "lstat,newfstatat", arguments: #"(AT_FDCWD, )?"/proc/self/exe", .*"#, result: "true"
  ),
  Call(probe: "readlink", call: "readlink", arguments: #""/proc/self/exe", .*, 4095"#, result: "true"),
  Call(probe: "flock", call: "flock", arguments: #"\d+, LOCK_EX\|LOCK_NB"#, result: #"\(\)"#),
  Call(probe: "getrlimit", call: "prlimit64", arguments: #"0, RLIMIT_NOFILE, NULL, .*"#, result: "true"),
  Call(
    probe: "socket", call: "socket",
    arguments: #"AF_INET, SOCK_STREAM\|SOCK_CLOEXEC\|SOCK_NONBLOCK, IPPROTO_IP"#,
    result: "true"),
  Call(
    probe: "connect", call: "connect",
    arguments: #"\d+, \{sa_family=AF_UNIX, sun_path=@"splice-probe-\d+"\}, \d+"#,
    result: #"\(\)"#, retries: false),
  Call(
    probe: "bind", call: "bind",
    arguments: #"\d+, \{sa_family=AF_UNIX, sun_path=@"splice-probe-2-\d+"\}, \d+"#,
    result: #"\(\)"#),
  Call(probe: "listen", call: "listen", arguments: #"\d+, 7"#, result: #"\(\)"#),
  Call(
    probe: "accept4", call: "accept4",
    arguments: #"\d+, \{sa_family=AF_UNIX\}, \[128 => 2\], SOCK_CLOEXEC\|SOCK_NONBLOCK"#,
    result: "true"),
  Call(
    probe: "getsockname", call: "getsockname",
    arguments: #"\d+, \{sa_family=AF_UNIX, sun_path=@"splice-probe-\d+"\}, \[128 => \d+\]"#, result: "true"),
  Call(
    probe: "getpeername", call: "getpeername",
    arguments: #"\d+, \{sa_family=AF_UNIX, sun_path=@"splice-probe-\d+"\}, \[128 => \d+\]"#, result: "true"),
  Call(probe: "getsockopt", call: "getsockopt", arguments: #"\d+, SOL_SOCKET, SO_TYPE, .*"#, result: "1"),
  Call(
    probe: "setsockopt", call: "setsockopt", arguments: #"\d+, SOL_SOCKET, SO_KEEPALIVE, \[1\], 4"#,
    result: #"\(\)"#),
  Call(probe: "shutdown", call: "shutdown", arguments: #"\d+, SHUT_WR"#, result: #"\(\)"#),
  Call(
    probe: "socketpair", call: "socketpair",
    arguments: #"AF_UNIX, SOCK_STREAM\|SOCK_CLOEXEC\|SOCK_NONBLOCK, 0, \[\d+, \d+\]"#, result: "true"),
  Call(
    probe: "pseudoterminal", call: "openat",
    arguments: #"AT_FDCWD, "/dev/ptmx", O_RDWR\|O_NOCTTY\|O_NONBLOCK\|O_CLOEXEC"#, result: "true"),
  Call(probe: "uname", call: "uname", arguments: #"\{sysname="Linux", .*"#, result: "true"),
  Call(probe: "pidfd_getfd", call: "pidfd_getfd", arguments: #"\d+, 0, 0"#, result: "true"),
  // These two end early at a signal, so that whoever waits looks at the world again.
  Call(
    probe: "ppoll", call: "ppoll", arguments: #"\[\{fd=\d+, events=POLLIN\}\], 1, .*"#, result: "true",
    retries: false),
  Call(probe: "epoll_wait", call: "epoll_wait", arguments: #"\d+, .*, 4, 0"#, result: "0", retries: false),
  Call(probe: "epoll_create1", call: "epoll_create1", arguments: "EPOLL_CLOEXEC", result: "true"),
  Call(
    probe: "epoll_ctl", call: "epoll_ctl",
    arguments: #"\d+, EPOLL_CTL_ADD, \d+, \{events=EPOLLIN, data=.*7.*\}"#,
    result: #"\(\)"#),
  Call(probe: "eventfd", call: "eventfd2", arguments: #"0, EFD_CLOEXEC\|EFD_NONBLOCK"#, result: "true"),
  Call(
    probe: "signal", call: "write", arguments: #"\d+, "\\1\\0\\0\\0\\0\\0\\0\\0", 8"#, result: "done",
    retries: false),
  // Younger than the strace of some distributions, which can show it and not disturb it.
  Call(
    probe: "fstatfs", call: "fstatfs", arguments: #"\d+, \{f_type=.*"#, result: "(true|false)",
    canBeDisturbed: true),
  Call(
    probe: "cachestat", call: "all", seenAs: "syscall_0x1c3,cachestat", arguments: ".*", result: "1",
    canBeDisturbed: false),
  Call(
    probe: "cachestat-closed", call: "all", seenAs: "syscall_0x1c3,cachestat", arguments: ".*",
    result: "", canBeDisturbed: false),
  Call(
    probe: "preadv2", call: "preadv2", arguments: #"\d+, \[\{iov_base=.*, iov_len=1\}\], 1, 1, RWF_NOWAIT"#,
    result: "1"),
  Call(
    probe: "writev", call: "writev", arguments: #"\d+, \[.*, iov_len=2\}, .*, iov_len=3\}\], 2"#, result: "5"),
  Call(
    probe: "pwritev", call: "pwritev", arguments: #"\d+, \[.*, iov_len=2\}, .*, iov_len=3\}\], 2, 7"#,
    result: "5"),
  Call(
    probe: "sendmsg", call: "sendmsg",
    arguments:
      #"\d+, \{msg_name=NULL, .*iov_len=2\}, .*iov_len=3\}\], msg_iovlen=2, .*\}, MSG_DONTWAIT\|MSG_NOSIGNAL\|MSG_MORE"#,
    result: "5"),
  Call(
    probe: "copy-file-range", call: "copy_file_range",
    arguments: #"\d+, \[1\] => \[4\], \d+, \[20\] => \[23\], 3, 0|\d+, \[1\], \d+, \[20\], 3, 0"#, result: "3"
  ),
  // A file that is cloned onto itself within a block is an error everywhere.
  Call(
    probe: "ficlonerange", call: "ioctl",
    arguments:
      #"\d+, (BTRFS_IOC_CLONE_RANGE or )?FICLONERANGE, \{src_fd=\d+, src_offset=0, src_length=5, dest_offset=4096\}"#,
    result: "", refusal: [EINVAL, EOPNOTSUPP, ENOTTY, EXDEV]),
  Call(
    probe: "fallocate", call: "fallocate",
    arguments: #"\d+, FALLOC_FL_KEEP_SIZE\|FALLOC_FL_PUNCH_HOLE, 1, 2"#, result: #"\(\)"#),
  Call(probe: "seek-data", call: "lseek", arguments: #"\d+, 2, SEEK_DATA"#, result: "2"),
  Call(probe: "seek-hole", call: "lseek", arguments: #"\d+, 2, SEEK_HOLE"#, result: "5"),
  Call(probe: "fsync", call: "fsync", arguments: #"\d+"#, result: #"\(\)"#),
  Call(probe: "pidfd", call: "pidfd_open", arguments: #"\d+, 0"#, result: "true"),
  Call(probe: "waitpid", call: "wait4", arguments: #"\d+, .*, 0, NULL"#, result: "3"),
  Call(probe: "waitpid-now", call: "wait4", arguments: #"\d+, .*, WNOHANG, NULL"#, result: "true"),
  Call(
    probe: "has-ended", call: "waitid", arguments: #"P_PID, \d+, .*, WNOHANG\|WEXITED\|WNOWAIT, NULL"#,
    result: "false"),
  Call(probe: "kill", call: "kill", arguments: #"\d+, 0"#, result: #"\(\)"#),
  Call(probe: "tiocgwinsz", call: "ioctl", arguments: #"\d+, TIOCGWINSZ, .*"#, result: "0"),
  Call(probe: "siocoutq", call: "ioctl", arguments: #"\d+, (SIOCOUTQ|TIOCOUTQ), .*"#, result: "0"),
  Call(
    probe: "linger", call: "setsockopt",
    arguments: #"\d+, SOL_SOCKET, SO_LINGER, \{l_onoff=1, l_linger=0\}, 8"#,
    result: #"\(\)"#),
  Call(
    probe: "is-fifo", call: "openat", arguments: #"AT_FDCWD, "/dev/null", O_RDONLY\|O_CLOEXEC\|O_PATH"#,
    result: "false", canBeDisturbed: false),
  Call(
    probe: "spawn", call: "clone3,clone,vfork", arguments: #".*CLONE_VM.*"#, result: "true",
    canBeDisturbed: false),
  Call(probe: "drain", call: "read", arguments: #"\d+, .*, 8"#, result: "done", canBeDisturbed: false),
]

/// What strace saw after the mark, and what the probe said.
private struct Sight {
  let lines: [String]
  let said: String

  init(_ call: Call, injecting errno: String? = nil) throws {
    let trace = try TemporaryFile()
    // Strace counts calls from the start; the mark's place tells which one is meant.
    func watch(_ inject: [String]) throws -> Run {
      try run(
        try tool("strace"),
        ["-qq", "-o", trace.path.string, "-e", "trace=write,\(call.call)", "-e", "signal=none"] + inject
          + [try product("SyscallProbe"), call.probe])
    }
    var outcome = try watch([])
    func after(_ text: [UInt8]) throws -> (before: Int, lines: [String]) {
      let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
      let mark = try #require(
        lines.firstIndex { $0.hasPrefix(#"write(2, "probe"#) }, "\(outcome.errors)\(lines.last ?? "no trace")"
      )
      let names = (call.seenAs ?? call.call).split(separator: ",").map { $0 + "(" }
      let calls = { (line: String) in names.contains { line.hasPrefix($0) } }
      return (lines[..<(mark + 1)].filter(calls).count, lines[(mark + 1)...].filter(calls))
    }
    var (before, lines) = try after(try trace.contents)
    if let errno {
      outcome = try watch(["-e", "inject=\(call.call):error=\(errno):when=\(before + 1)"])
      (before, lines) = try after(try trace.contents)
    }
    self.lines = lines
    said = outcome.text
  }
}

@Suite(.mayBlock) struct SyscallTests {
  @Test(arguments: calls) func `a call has its arguments, and its result comes back`(_ call: Call) throws {
    let sight = try Sight(call)
    let line = try #require(sight.lines.first, "\(call.call) was never called")
    let pattern = try Regex("^\\w+\\((\(call.arguments))\\) += ")
    #expect(line.contains(pattern), "\(line)")
    let refusal = "errno (\(call.refusal.map(String.init).joined(separator: "|")))\n"
    let said = call.result.isEmpty ? refusal : "result \(call.result)\n"
    #expect(sight.said.contains(try Regex("^\(said)")), "\(sight.said)")
  }

  /// A kernel or a sandbox without vmsplice: the pages leave their owner all the same.
  @Test(arguments: ["EPERM", "ENOSYS", "EINVAL"]) func `refused pages are copied`(_ errno: String) throws {
    let pages = Call(probe: "pages", call: "vmsplice", arguments: "", result: "")
    let sight = try Sight(pages, injecting: errno)
    #expect(sight.lines.count == 1)
    #expect(sight.said == "result bytes(100000)\nleft 0, by splice 0, by copy 100000\n")
  }

  @Test(arguments: calls.filter(\.canBeDisturbed)) func `interrupted calls are made again`(
    _ call: Call
  ) throws {
    let sight = try Sight(call, injecting: "EINTR")
    #expect(sight.lines.first?.contains("EINTR") == true)
    if call.retries {
      #expect(sight.lines.count >= 2, "not made again")
      if !call.result.isEmpty {
        #expect(sight.said.contains(try Regex("^result \(call.result)\n")), "\(sight.said)")
      }
    } else {
      #expect(sight.lines.filter { $0.contains("EINTR") }.count == 1)
      switch call.probe {
      case "connect": #expect(sight.said == "errno \(EINPROGRESS)\n")
      case "ppoll": #expect(sight.said == "result false\n")
      default: #expect(sight.said.hasPrefix("result"))
      }
    }
  }

  @Test(arguments: calls.filter(\.canBeDisturbed)) func `an errno comes out as itself`(_ call: Call) throws {
    let sight = try Sight(call, injecting: "ENOMEM")
    #expect(sight.lines.first?.contains("ENOMEM") == true)
    #expect(sight.said == (call.probe == "signal" ? "result done\n" : "errno \(ENOMEM)\n"))
  }
}
