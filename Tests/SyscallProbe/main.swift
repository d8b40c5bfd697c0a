// Makes one system call, named on the command line, in a way that succeeds, and says what came of it. strace
// watches the arguments, and puts EINTR or an errno in the place of the kernel's answer.

import Foundation
import Splice
import SpliceProcess
import SystemPackage

let none: Int64? = nil
var noOffset = none

func describe<Result>(_ call: () throws(Errno) -> Result) {
  do throws(Errno) { print("result \(try call())") } catch { print("errno \(error.rawValue)") }
}

let pipe = try Syscall.pipe2()
let other = try Syscall.pipe2()
let file = try FileDescriptor.open("/proc/self/exe", .readOnly)
let scratch = FilePath(NSTemporaryDirectory()).appending("splice-probe-\(getpid())")
let plain = try FileDescriptor.open(
  scratch, .readWrite, options: [.create, .truncate], permissions: [.ownerRead, .ownerWrite])
_ = try plain.writeAll("hello".utf8)
var pair: [CInt] = [-1, -1]
socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair)
let near = FileDescriptor(rawValue: pair[0])
let far = FileDescriptor(rawValue: pair[1])
let epoll = try Syscall.epollCreate()
let event = try Syscall.eventfd()
let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 5, alignment: 8)
buffer.initializeMemory(as: UInt8.self, repeating: 0)
let content = UnsafeRawBufferPointer(buffer)
let pieces = [
  iovec(iov_base: buffer.baseAddress, iov_len: 2), iovec(iov_base: buffer.baseAddress, iov_len: 3),
]
let address = try SocketAddress.unix("@splice-probe-\(getpid())")
let listener = try Syscall.socket(domain: AF_UNIX, type: CInt(SOCK_STREAM.rawValue))
try Syscall.bind(listener, to: address.bytes)
try Syscall.listen(listener, backlog: 4)
let client = try Syscall.socket(domain: AF_UNIX, type: CInt(SOCK_STREAM.rawValue))
let unbound = try Syscall.socket(domain: AF_UNIX, type: CInt(SOCK_STREAM.rawValue))
try Syscall.connect(client, to: address.bytes)
var events = [Syscall.EpollEvent](repeating: Syscall.EpollEvent(), count: 4)
_ = try pipe.writer.writeAll("hello".utf8)
_ = try near.writeAll("hello".utf8)

let mapped = try Syscall.map(8192)
let memory = try Syscall.memfd(named: "probe")

let child: CInt =
  switch CommandLine.arguments[1] {
  case "waitpid": try Syscall.spawn(shell: "exit 3".utf8, input: nil, output: nil)
  case "waitpid-now", "has-ended":
    try Syscall.spawn(shell: "exec sleep 2".utf8, input: nil, output: other.writer)
  default: 0
  }
let internet = try Syscall.socket(domain: AF_INET, type: CInt(SOCK_STREAM.rawValue))
let terminal = try FileDescriptor.open("/dev/ptmx", .readWrite)

/// What strace sees behind this line is the call in question.
write(2, "probe\n", 6)
switch CommandLine.arguments[1] {
case "splice":
  describe { () throws(Errno) in try Syscall.splice(from: pipe.reader, to: other.writer, count: 5) }
case "splice-more":
  describe { () throws(Errno) in
    try Syscall.splice(from: pipe.reader, to: near, count: 5, moreFollows: true)
  }
case "splice-offset":
  var offset: Int64? = 2
  describe { () throws(Errno) in
    try Syscall.splice(from: plain, at: &offset, to: other.writer, at: &noOffset, count: 9)
  }
case "vmsplice": describe { () throws(Errno) in try Syscall.vmsplice(content, into: other.writer) }
case "pages":
  var body = try SplicePipe()
  var given = try Pages(upTo: 100_000) { output in
    for byte in 0..<100_000 { output.append(UInt8(truncatingIfNeeded: byte), as: UInt8.self) }
  }
  describe { () throws(Errno) in try body.vmsplice(&given) }
  print("left \(given.count), by splice \(body.receivedBy.splice), by copy \(body.receivedBy.copy)")
case "mmap": describe { () throws(Errno) in try Syscall.map(8192).count }
case "memfd_create": describe { () throws(Errno) in try Syscall.memfd(named: "splice").rawValue > 2 }
case "F_ADD_SEALS": describe { () throws(Errno) in try Syscall.seal(memory) }
case "munmap": describe { () throws(Errno) in try Syscall.unmap(mapped) }
case "tee": describe { () throws(Errno) in try Syscall.tee(from: pipe.reader, to: other.writer, count: 3) }
case "read":
  describe { () throws(Errno) in
    try Syscall.read(pipe.reader, into: buffer)
  }
case "pread":
  describe { () throws(Errno) in
    try Syscall.pread(plain, into: buffer, at: 1)
  }
case "recv":
  describe { () throws(Errno) in
    try Syscall.recv(far, into: buffer)
  }
case "write":
  describe { () throws(Errno) in
    try Syscall.write(other.writer, from: content)
  }
case "pwrite":
  describe { () throws(Errno) in
    try Syscall.pwrite(plain, from: content, at: 7)
  }
case "send":
  describe { () throws(Errno) in
    try Syscall.send(near, from: content, moreFollows: true)
  }
case "pipe2": describe { () throws(Errno) in try Syscall.pipe2().reader.rawValue > 2 }
case "getpipe": describe { () throws(Errno) in try Syscall.pipeSize(of: pipe.reader) }
case "setpipe": describe { () throws(Errno) in try Syscall.setPipeSize(of: pipe.reader, to: 5000) }
case "getfl": describe { () throws(Errno) in try Syscall.statusFlags(of: pipe.reader) & O_NONBLOCK }
case "setfl": describe { () throws(Errno) in try Syscall.setStatusFlags(of: far, to: O_NONBLOCK) }
case "dup": describe { () throws(Errno) in try Syscall.duplicate(file).rawValue > 2 }
case "dup3": describe { () throws(Errno) in try Syscall.replace(plain, by: file) }
case "fionread": describe { () throws(Errno) in try Syscall.bytesWaiting(in: pipe.reader) }
case "open":
  describe { () throws(Errno) in try Syscall.open("/dev/null", flags: O_WRONLY, mode: 0o640).rawValue > 2 }
case "close": describe { () throws(Errno) in try Syscall.close(file) }
case "ftruncate": describe { () throws(Errno) in try Syscall.ftruncate(plain, to: 3) }
case "unlink": describe { () throws(Errno) in try Syscall.unlink(scratch) }
case "rename":
  describe { () throws(Errno) in
    let other = scratch.removingLastComponent().appending("splice-probe-\(getpid())-renamed")
    try Syscall.rename(scratch, toNew: other)
    try Syscall.rename(other, toNew: scratch)
  }
case "lseek": describe { () throws(Errno) in try Syscall.lseek(plain, to: -2, from: .end) }
case "fstat": describe { () throws(Errno) in try Syscall.fstat(plain).size }
case "lstat": describe { () throws(Errno) in try Syscall.lstat("/proc/self/exe").type == S_IFLNK }
case "readlink": describe { () throws(Errno) in try Syscall.readlink("/proc/self/exe").isAbsolute }
case "fchmod": describe { () throws(Errno) in try Syscall.fchmod(plain, 0o640) }
case "fchown":
  describe { () throws(Errno) in try Syscall.fchown(plain, user: getuid(), group: getgid()) }
case "getcwd": describe { () throws(Errno) in try Syscall.workingDirectory().isAbsolute }
case "fsetxattr":
  describe { () throws(Errno) in
    try Syscall.setAttribute("user.splice.probe", of: plain, to: Array("yes".utf8))
  }
case "lgetxattr":
  describe { () throws(Errno) in
    try Syscall.setAttribute("user.splice.probe", of: plain, to: Array("yes".utf8))
    return String(decoding: try Syscall.attribute("user.splice.probe", of: scratch), as: UTF8.self)
  }
case "flock": describe { () throws(Errno) in try Syscall.lockNow(plain) }
case "getrlimit": describe { () throws(Errno) in try Syscall.descriptorLimit() > 2 }
case "socket":
  describe { () throws(Errno) in
    try Syscall.socket(domain: AF_INET, type: CInt(SOCK_STREAM.rawValue)).rawValue > 2
  }
case "socketpair":
  describe { () throws(Errno) in
    try Syscall.socketpair(type: CInt(SOCK_STREAM.rawValue)).0.rawValue > 2
  }
case "pseudoterminal": describe { () throws(Errno) in try Syscall.pseudoterminal().terminal.rawValue > 2 }
case "uname": describe { () throws(Errno) in try Syscall.uname().release.contains(".") }
case "pidfd_getfd":
  describe { () throws(Errno) in try Syscall.descriptor(0, of: Syscall.pidfdOpen(getpid())).rawValue > 2 }
case "connect": describe { () throws(Errno) in try Syscall.connect(unbound, to: address.bytes) }
case "bind":
  describe { () throws(Errno) in
    try Syscall.bind(unbound, to: SocketAddress.unix("@splice-probe-2-\(getpid())").bytes)
  }
case "listen": describe { () throws(Errno) in try Syscall.listen(listener, backlog: 7) }
case "accept4": describe { () throws(Errno) in try Syscall.accept4(listener).peer.rawValue > 2 }
case "getsockname": describe { () throws(Errno) in try Syscall.getsockname(listener) == address.bytes }
case "getpeername": describe { () throws(Errno) in try Syscall.getpeername(client) == address.bytes }
case "getsockopt":
  describe { () throws(Errno) in try Syscall.getsockopt(near, level: SOL_SOCKET, option: SO_TYPE) }
case "setsockopt":
  describe { () throws(Errno) in try Syscall.setsockopt(near, level: SOL_SOCKET, option: SO_KEEPALIVE, to: 1)
  }
case "shutdown": describe { () throws(Errno) in try Syscall.shutdown(near, .writing) }
case "ppoll": describe { () throws(Errno) in try Syscall.isReady(pipe.reader, POLLIN) }
case "epoll_create1": describe { () throws(Errno) in try Syscall.epollCreate().rawValue > 2 }
case "epoll_ctl":
  describe { () throws(Errno) in
    try Syscall.epollControl(epoll, .add, pipe.reader, events: Syscall.EpollEvents.input, key: 7)
  }
case "epoll_wait":
  describe { () throws(Errno) in try Syscall.epollWait(epoll, into: &events, milliseconds: 0) }
case "eventfd": describe { () throws(Errno) in try Syscall.eventfd().rawValue > 2 }
case "signal":
  Syscall.signal(eventfd: event)
  print("result done")
case "fstatfs":
  describe { () throws(Errno) in try Syscall.fileSystem(of: plain).isLocal }
case "cachestat":
  describe { () throws(Errno) in try Syscall.cachestat(plain, offset: 0, count: 4096) }
case "cachestat-closed":
  describe { () throws(Errno) in
    try Syscall.cachestat(FileDescriptor(rawValue: 999), offset: 0, count: 4096)
  }
case "preadv2": describe { () throws(Errno) in try Syscall.readNow(plain, at: 1) }
case "writev": describe { () throws(Errno) in try Syscall.writev(other.writer, from: pieces) }
case "pwritev": describe { () throws(Errno) in try Syscall.pwritev(plain, from: pieces, at: 7) }
case "sendmsg": describe { () throws(Errno) in try Syscall.sendmsg(near, from: pieces, moreFollows: true) }
case "copy-file-range":
  var (from, to) = (Int64(1), Int64(20))
  describe { () throws(Errno) in
    try Syscall.copyFileRange(from: plain, at: &from, to: plain, at: &to, count: 3)
  }
case "ficlonerange":
  describe { () throws(Errno) in try Syscall.cloneRange(of: plain, at: 0, to: plain, at: 4096, count: 5) }
case "fallocate": describe { () throws(Errno) in try Syscall.punchHole(in: plain, at: 1, count: 2) }
case "seek-data": describe { () throws(Errno) in try Syscall.seek(plain, to: .data, from: 2) }
case "seek-hole": describe { () throws(Errno) in try Syscall.seek(plain, to: .hole, from: 2) }
case "fsync": describe { () throws(Errno) in try Syscall.fsync(plain) }
case "spawn":
  describe { () throws(Errno) in try Syscall.spawn(shell: "exit 3".utf8, input: nil, output: nil) > 1 }
case "pidfd": describe { () throws(Errno) in try Syscall.pidfdOpen(getpid()).rawValue > 2 }
case "waitpid": describe { () throws(Errno) in try Syscall.waitpid(child) >> 8 }
case "waitpid-now": describe { () throws(Errno) in try Syscall.waitpidNow(child) == nil }
case "has-ended": describe { () throws(Errno) in try Syscall.hasEnded(child) }
case "kill": describe { () throws(Errno) in try Syscall.kill(getpid(), 0) }
case "tiocgwinsz": describe { () throws(Errno) in try Syscall.columns(of: terminal) }
case "siocoutq": describe { () throws(Errno) in try Syscall.bytesUnconfirmed(in: internet) }
case "linger": describe { () throws(Errno) in try Syscall.setReset(onClosing: near, true) }
case "is-fifo":
  print("result \(Syscall.isFifo("/dev/null"))")
case "drain":
  Syscall.drain(eventfd: event)
  print("result done")
default: fatalError("no such probe")
}
unlink(scratch.string)
