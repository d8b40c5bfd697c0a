// One function per system call: its arguments typed, its failure thrown as an `Errno`, EINTR retried.
//
// This is the only file that imports CSplice, so every call this library makes of the kernel can be found
// here by its C name. Nothing is decided here: what an errno means is judged in `Refusal` and `Transfer`.

import CSplice
import SystemPackage

/// The system calls, by their C names.
package enum Syscall {
  /// Runs a wrapper that answers as the kernel does, until it is not interrupted.
  @inline(__always)
  private static func call<Result: FixedWidthInteger & SignedInteger>(
    _ wrapper: () -> Result
  ) throws(Errno) -> Int {
    while true {
      let result = wrapper()
      if result >= 0 { return Int(result) }
      let errno = Errno(rawValue: CInt(-result))
      if errno != .interrupted { throw errno }
    }
  }
}

// MARK: - Moving bytes

extension Syscall {
  /// The most one call moves, whatever it is asked for (MAX_RW_COUNT); more than this is sometimes EINVAL.
  private static let largest = 0x7fff_f000

  /// Moves bytes between a pipe and another descriptor. An offset that is given is advanced.  C: `splice`
  package static func splice(
    from source: FileDescriptor, at sourceOffset: inout Int64?,
    to sink: FileDescriptor, at sinkOffset: inout Int64?,
    count: Int, moreFollows: Bool = false
  ) throws(Errno) -> Int {
    let flags = UInt32(csplice_nonblock) | (moreFollows ? UInt32(csplice_more) : 0)
    var offsets = (sourceOffset ?? 0, sinkOffset ?? 0)
    let (atSource, atSink) = (sourceOffset != nil, sinkOffset != nil)
    // The pointers live as long as the call, which is as long as the kernel looks at them.
    let moved = try call {
      unsafe withUnsafeMutablePointer(to: &offsets.0) { source0 in
        unsafe withUnsafeMutablePointer(to: &offsets.1) { sink0 in
          unsafe csplice_splice(
            source.rawValue, atSource ? source0 : nil, sink.rawValue, atSink ? sink0 : nil,
            min(count, largest), flags)
        }
      }
    }
    if atSource { sourceOffset = offsets.0 }
    if atSink { sinkOffset = offsets.1 }
    return moved
  }

  /// The same without offsets, the common case.  C: `splice`
  package static func splice(
    from source: FileDescriptor, to sink: FileDescriptor, count: Int, moreFollows: Bool = false
  ) throws(Errno) -> Int {
    let flags = UInt32(csplice_nonblock) | (moreFollows ? UInt32(csplice_more) : 0)
    return try call {
      csplice_splice(source.rawValue, nil, sink.rawValue, nil, min(count, largest), flags)
    }
  }

  /// Duplicates the front of one pipe into another.  C: `tee`
  package static func tee(
    from source: FileDescriptor, to sink: FileDescriptor, count: Int
  ) throws(Errno) -> Int {
    try call { csplice_tee(source.rawValue, sink.rawValue, min(count, largest), UInt32(csplice_nonblock)) }
  }

  /// Puts references to pages of memory into a pipe.  C: `vmsplice`
  package static func vmsplice(
    _ pages: UnsafeRawBufferPointer, into pipe: FileDescriptor
  ) throws(Errno) -> Int {
    try call {
      unsafe csplice_vmsplice(
        pipe.rawValue, pages.baseAddress, min(pages.count, largest), UInt32(csplice_nonblock))
    }
  }

  /// Memory of its own, zeroed, for so many bytes, which are whole pages.  C: `mmap`
  package static func map(_ count: Int) throws(Errno) -> UnsafeMutableRawBufferPointer {
    var base: UnsafeMutableRawPointer?
    _ = try call { unsafe csplice_mmap(count, &base) }
    return unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  /// Gives such memory back, or whole pages of it.  C: `munmap`
  package static func unmap(_ pages: UnsafeMutableRawBufferPointer) throws(Errno) {
    _ = try call { unsafe csplice_munmap(pages.baseAddress, pages.count) }
  }

  /// Reads into memory.  C: `read`
  package static func read(
    _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    try call { unsafe csplice_read(descriptor.rawValue, buffer.baseAddress, buffer.count) }
  }

  /// Reads into memory from an offset.  C: `pread`
  package static func pread(
    _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(Errno) -> Int {
    try call { unsafe csplice_pread(descriptor.rawValue, buffer.baseAddress, buffer.count, offset) }
  }

  /// Reads from a socket without waiting, whatever its flags say.  C: `recv` with MSG_DONTWAIT
  package static func recv(
    _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    try call {
      unsafe csplice_recv(descriptor.rawValue, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT))
    }
  }

  /// Writes from memory.  C: `write`
  package static func write(
    _ descriptor: FileDescriptor, from buffer: UnsafeRawBufferPointer
  ) throws(Errno) -> Int {
    try call { unsafe csplice_write(descriptor.rawValue, buffer.baseAddress, buffer.count) }
  }

  /// Writes an array.  C: `write`
  package static func write(_ descriptor: FileDescriptor, _ bytes: [UInt8]) throws(Errno) -> Int {
    try call {
      unsafe bytes.withUnsafeBytes { unsafe csplice_write(descriptor.rawValue, $0.baseAddress, $0.count) }
    }
  }

  /// Writes from memory at an offset.  C: `pwrite`
  package static func pwrite(
    _ descriptor: FileDescriptor, from buffer: UnsafeRawBufferPointer, at offset: Int64
  ) throws(Errno) -> Int {
    try call { unsafe csplice_pwrite(descriptor.rawValue, buffer.baseAddress, buffer.count, offset) }
  }

  /// Writes an array at an offset.  C: `pwrite`
  package static func pwrite(
    _ descriptor: FileDescriptor, _ bytes: [UInt8], at offset: Int64
  ) throws(Errno) -> Int {
    try call {
      unsafe bytes.withUnsafeBytes {
        unsafe csplice_pwrite(descriptor.rawValue, $0.baseAddress, $0.count, offset)
      }
    }
  }

  /// Writes from many places.  C: `writev`
  package static func writev(_ descriptor: FileDescriptor, from pieces: [iovec]) throws(Errno) -> Int {
    try call { unsafe csplice_writev(descriptor.rawValue, pieces, CInt(pieces.count)) }
  }

  /// Writes from many places, at an offset.  C: `pwritev`
  package static func pwritev(
    _ descriptor: FileDescriptor, from pieces: [iovec], at offset: Int64
  ) throws(Errno) -> Int {
    try call { unsafe csplice_pwritev(descriptor.rawValue, pieces, CInt(pieces.count), offset) }
  }

  /// Writes from many places to a socket, without waiting and without SIGPIPE.  C: `sendmsg` with MSG_DONTWAIT and MSG_NOSIGNAL
  package static func sendmsg(
    _ descriptor: FileDescriptor, from pieces: [iovec], moreFollows: Bool = false
  ) throws(Errno) -> Int {
    let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL | (moreFollows ? MSG_MORE : 0))
    return try call { unsafe csplice_sendmsg(descriptor.rawValue, pieces, CInt(pieces.count), flags) }
  }

  /// Writes to a socket without waiting and without SIGPIPE.  C: `send` with MSG_DONTWAIT and MSG_NOSIGNAL
  package static func send(
    _ descriptor: FileDescriptor, from buffer: UnsafeRawBufferPointer, moreFollows: Bool = false
  ) throws(Errno) -> Int {
    let flags = MSG_DONTWAIT | MSG_NOSIGNAL | (moreFollows ? MSG_MORE : 0)
    return try call {
      unsafe csplice_send(descriptor.rawValue, buffer.baseAddress, buffer.count, CInt(flags))
    }
  }
}

// MARK: - Files to files

extension Syscall {
  /// Copies between files within the kernel. Both offsets are advanced.  C: `copy_file_range`
  package static func copyFileRange(
    from source: FileDescriptor, at sourceOffset: inout Int64, to sink: FileDescriptor,
    at sinkOffset: inout Int64,
    count: Int
  ) throws(Errno) -> Int {
    var offsets = (sourceOffset, sinkOffset)
    defer { (sourceOffset, sinkOffset) = offsets }
    return try call {
      unsafe csplice_copy_file_range(
        source.rawValue, &offsets.0, sink.rawValue, &offsets.1, min(count, largest))
    }
  }

  /// Has a file share the blocks of another.  C: `ioctl` with FICLONERANGE
  package static func cloneRange(
    of source: FileDescriptor, at sourceOffset: Int64, to sink: FileDescriptor, at sinkOffset: Int64,
    count: Int64
  ) throws(Errno) {
    _ = try call {
      csplice_ioctl_ficlonerange(
        source.rawValue, UInt64(sourceOffset), UInt64(count), sink.rawValue, UInt64(sinkOffset))
    }
  }

  /// Makes a hole in a file, which keeps its length.  C: `fallocate` with FALLOC_FL_PUNCH_HOLE
  package static func punchHole(in file: FileDescriptor, at offset: Int64, count: Int64) throws(Errno) {
    _ = try call { csplice_fallocate_punch(file.rawValue, offset, count) }
  }

  /// The first byte at or behind an offset that is data, or that is a hole, which the end of the file is too; ENXIO when there is
  /// none. Moves the file's offset there.  C: `lseek` with SEEK_DATA or SEEK_HOLE
  package static func seek(
    _ file: FileDescriptor, to what: Extent, from offset: Int64
  ) throws(Errno) -> Int64 {
    Int64(
      try call {
        csplice_lseek(file.rawValue, offset, CInt(what == .data ? csplice_seek_data : csplice_seek_hole))
      })
  }

  /// What a file is made of.
  package enum Extent: Sendable, Hashable {
    /// Bytes that are stored.
    case data
    /// Zeros that are not.
    case hole
  }

  /// Waits until a file is on its disk.  C: `fsync`
  package static func fsync(_ file: FileDescriptor) throws(Errno) {
    _ = try call { csplice_fsync(file.rawValue) }
  }
}

// MARK: - Pipes and descriptors

extension Syscall {
  /// A new pipe, both ends non-blocking and closed on exec.  C: `pipe2` with O_NONBLOCK and O_CLOEXEC
  package static func pipe2() throws(Errno) -> (reader: FileDescriptor, writer: FileDescriptor) {
    var ends: (CInt, CInt) = (-1, -1)
    _ = try call {
      // A tuple of two ints has the layout of `int[2]`.
      unsafe withUnsafeMutableBytes(of: &ends) {
        unsafe csplice_pipe2($0.baseAddress?.assumingMemoryBound(to: CInt.self), O_NONBLOCK | O_CLOEXEC)
      }
    }
    return (FileDescriptor(rawValue: ends.0), FileDescriptor(rawValue: ends.1))
  }

  /// What a pipe holds at most, in bytes.  C: `fcntl` with F_GETPIPE_SZ
  package static func pipeSize(of descriptor: FileDescriptor) throws(Errno) -> Int {
    try call { csplice_fcntl_getpipe_sz(descriptor.rawValue) }
  }

  /// Wishes for a pipe's size; the answer is what was granted.  C: `fcntl` with F_SETPIPE_SZ
  package static func setPipeSize(of descriptor: FileDescriptor, to size: Int) throws(Errno) -> Int {
    try call { csplice_fcntl_setpipe_sz(descriptor.rawValue, CInt(clamping: size)) }
  }

  /// The status flags, such as O_NONBLOCK.  C: `fcntl` with F_GETFL
  package static func statusFlags(of descriptor: FileDescriptor) throws(Errno) -> CInt {
    CInt(try call { csplice_fcntl_getfl(descriptor.rawValue) })
  }

  /// Sets the status flags of the open file, which everyone who shares it sees.  C: `fcntl` with F_SETFL
  package static func setStatusFlags(of descriptor: FileDescriptor, to flags: CInt) throws(Errno) {
    _ = try call { csplice_fcntl_setfl(descriptor.rawValue, flags) }
  }

  /// Another descriptor for the same open file, closed on exec.  C: `fcntl` with F_DUPFD_CLOEXEC
  package static func duplicate(_ descriptor: FileDescriptor) throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_fcntl_dupfd_cloexec(descriptor.rawValue) }))
  }

  /// Bytes waiting in a pipe or socket.  C: `ioctl` with FIONREAD
  package static func bytesWaiting(in descriptor: FileDescriptor) throws(Errno) -> Int {
    try call { csplice_ioctl_fionread(descriptor.rawValue) }
  }

  /// Bytes a TCP peer has not confirmed yet.  C: `ioctl` with SIOCOUTQ
  package static func bytesUnconfirmed(in socket: FileDescriptor) throws(Errno) -> Int {
    try call { csplice_ioctl_siocoutq(socket.rawValue) }
  }

  /// Whether closing a connection, also by the end of the process, resets it.  C: `setsockopt` with SO_LINGER
  package static func setReset(onClosing socket: FileDescriptor, _ resets: Bool) throws(Errno) {
    _ = try call { csplice_setsockopt_linger(socket.rawValue, resets) }
  }

  /// Opens a path, closed on exec.  C: `open`
  package static func open(
    _ path: FilePath, flags: CInt, mode: CUnsignedInt = 0
  ) throws(Errno) -> FileDescriptor {
    let number = try call {
      unsafe path.withPlatformString { unsafe csplice_open($0, flags | O_CLOEXEC, mode) }
    }
    return FileDescriptor(rawValue: CInt(number))
  }

  /// Closes a descriptor. Linux has closed it even when the answer is EINTR, so this is never tried again.  C: `close`
  package static func close(_ descriptor: FileDescriptor) throws(Errno) {
    let result = csplice_close(descriptor.rawValue)
    let errno = Errno(rawValue: -result)
    if result < 0, errno != .interrupted { throw errno }
  }

  /// Cuts or lengthens a file.  C: `ftruncate`
  package static func ftruncate(_ descriptor: FileDescriptor, to length: Int64) throws(Errno) {
    _ = try call { csplice_ftruncate(descriptor.rawValue, length) }
  }

  /// Removes a name.  C: `unlink`
  package static func unlink(_ path: FilePath) throws(Errno) {
    _ = try call { unsafe path.withPlatformString { unsafe csplice_unlink($0) } }
  }

  /// Moves a file's offset.  C: `lseek`
  package static func lseek(
    _ descriptor: FileDescriptor, to offset: Int64, from whence: FileDescriptor.SeekOrigin
  ) throws(Errno) -> Int64 {
    Int64(try call { csplice_lseek(descriptor.rawValue, offset, whence.rawValue) })
  }

  /// What a descriptor is.  C: `fstat`
  package static func fstat(_ descriptor: FileDescriptor) throws(Errno) -> FileStatus {
    var status = stat()
    _ = try call { unsafe csplice_fstat(descriptor.rawValue, &status) }
    return FileStatus(status)
  }

  /// What a path names, a symbolic link by itself.  C: `lstat`
  package static func lstat(_ path: FilePath) throws(Errno) -> FileStatus {
    var status = stat()
    _ = try call { unsafe path.withPlatformString { unsafe csplice_lstat($0, &status) } }
    return FileStatus(status)
  }

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
    return unsafe target.withUnsafeBufferPointer { target in
      // An array that is not empty has an address, and its last byte is still zero.
      unsafe target.baseAddress.map { unsafe FilePath(platformString: $0) } ?? FilePath()
    }
  }

  /// What a path leads to, through symbolic links, without opening it.  C: `open` with O_PATH, `fstat`
  package static func status(of path: FilePath) throws(Errno) -> FileStatus {
    let file = try open(path, flags: CInt(csplice_path))
    defer { try? close(file) }
    return try fstat(file)
  }

  /// Takes the lock on an open file, until it is closed; EWOULDBLOCK when another process has it.  C: `flock` with LOCK_EX and LOCK_NB
  package static func lockNow(_ file: FileDescriptor) throws(Errno) {
    _ = try call { csplice_flock_now(file.rawValue) }
  }

  /// Whether a path names a fifo, which is found out without opening it.  C: `open` with O_PATH, `fstat`
  package static func isFifo(_ path: FilePath) -> Bool {
    guard let type = try? status(of: path).type else { return false }
    return type == S_IFIFO
  }

  /// The part of `struct stat` that is asked for here.
  package struct FileStatus: Sendable, Hashable {
    /// The type bits of the mode, such as `S_IFREG`.
    package let type: mode_t
    /// Bytes, for a regular file.
    package let size: Int64
    /// The device and inode, which together name a file.
    package let device, inode: UInt64
    /// The device a special file stands for.
    let node: UInt64

    fileprivate init(_ status: stat) {
      type = status.st_mode & mode_t(S_IFMT)
      size = Int64(status.st_size)
      (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
      node = UInt64(status.st_rdev)
    }

    /// Whether opening a character device again gives the same one. The master of a pseudoterminal, a network tunnel and others are made
    /// anew by each `open`.
    var isSameDeviceWhenOpenedAgain: Bool {
      // As glibc's gnu_dev_major and gnu_dev_minor have it.
      let major = node >> 8 & 0xfff | node >> 32 & 0xffff_f000
      let minor = node & 0xff | node >> 12 & 0xffff_ff00
      return switch (major, minor) {
      // /dev/null, zero, full, random, urandom; virtual consoles and serial lines; /dev/tty and the console; the slaves of pseudoterminals.
      case (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (4, _), (5, 0), (5, 1), (136...143, _): true
      default: false
      }
    }
  }

  /// Whether this is a terminal.  C: `isatty`
  package static func isTerminal(_ descriptor: FileDescriptor) -> Bool {
    csplice_is_terminal(descriptor.rawValue) == 1
  }
}

// MARK: - Sockets

extension Syscall {
  /// A new socket, non-blocking and closed on exec.  C: `socket`
  package static func socket(domain: CInt, type: CInt) throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_socket(domain, type) }))
  }

  /// Begins to connect to a `sockaddr`. An interrupted call goes on in the kernel, so EINTR means what EINPROGRESS means.  C: `connect`
  package static func connect(_ socket: FileDescriptor, to address: [UInt8]) throws(Errno) {
    let result = unsafe address.withUnsafeBytes {
      unsafe csplice_connect(socket.rawValue, $0.baseAddress, socklen_t($0.count))
    }
    guard result < 0 else { return }
    let errno = Errno(rawValue: -result)
    throw errno == .interrupted ? .nowInProgress : errno
  }

  /// Gives a socket its address.  C: `bind`
  package static func bind(_ socket: FileDescriptor, to address: [UInt8]) throws(Errno) {
    _ = try call {
      unsafe address.withUnsafeBytes {
        unsafe csplice_bind(socket.rawValue, $0.baseAddress, socklen_t($0.count))
      }
    }
  }

  /// Lets peers connect.  C: `listen`
  package static func listen(_ socket: FileDescriptor, backlog: Int) throws(Errno) {
    _ = try call { csplice_listen(socket.rawValue, CInt(clamping: backlog)) }
  }

  /// Takes a peer, non-blocking and closed on exec, and its `sockaddr`.  C: `accept4`
  package static func accept4(
    _ socket: FileDescriptor
  ) throws(Errno) -> (peer: FileDescriptor, address: [UInt8]) {
    var peer: CInt = -1
    let address = try unsafe address { bytes, length throws(Errno) in
      peer = CInt(try call { unsafe csplice_accept4(socket.rawValue, bytes, &length) })
    }
    return (FileDescriptor(rawValue: peer), address)
  }

  /// A socket's own `sockaddr`.  C: `getsockname`
  package static func getsockname(_ socket: FileDescriptor) throws(Errno) -> [UInt8] {
    try unsafe address { bytes, length throws(Errno) in
      _ = try call { unsafe csplice_getsockname(socket.rawValue, bytes, &length) }
    }
  }

  /// The `sockaddr` of a socket's peer.  C: `getpeername`
  package static func getpeername(_ socket: FileDescriptor) throws(Errno) -> [UInt8] {
    try unsafe address { bytes, length throws(Errno) in
      _ = try call { unsafe csplice_getpeername(socket.rawValue, bytes, &length) }
    }
  }

  /// What the kernel writes into a place that is large enough for every `sockaddr`.
  private static func address(
    _ body: (UnsafeMutableRawPointer, inout socklen_t) throws(Errno) -> Void
  ) throws(Errno) -> [UInt8] {
    var place = sockaddr_storage()
    return try unsafe withUnsafeMutableBytes(of: &place) { bytes throws(Errno) -> [UInt8] in
      guard let start = bytes.baseAddress else { return [] }
      var length = socklen_t(bytes.count)
      try unsafe body(start, &length)
      // The kernel says how long the address is, not how much of it fits.
      return unsafe Array(bytes.prefix(Int(length)))
    }
  }

  /// An option that is an int.  C: `getsockopt`
  package static func getsockopt(_ socket: FileDescriptor, level: CInt, option: CInt) throws(Errno) -> CInt {
    CInt(try call { csplice_getsockopt(socket.rawValue, level, option) })
  }

  /// Sets an option that is an int.  C: `setsockopt`
  package static func setsockopt(
    _ socket: FileDescriptor, level: CInt, option: CInt, to value: CInt
  ) throws(Errno) {
    _ = try call { csplice_setsockopt(socket.rawValue, level, option, value) }
  }

  /// Ends one direction or both.  C: `shutdown`
  package static func shutdown(_ socket: FileDescriptor, _ how: Shutdown) throws(Errno) {
    _ = try call { csplice_shutdown(socket.rawValue, CInt(how.rawValue)) }
  }

  /// Which direction of a socket to end.
  package enum Shutdown: CInt, Sendable {
    /// What the peer sends is refused.
    case reading
    /// The peer sees our end.
    case writing
    /// Both.
    case both
  }
}

// MARK: - Limits

extension Syscall {
  /// How many descriptors this process may have open, as its limit is now.  C: `getrlimit` with RLIMIT_NOFILE
  package static func descriptorLimit() throws(Errno) -> Int { try call { csplice_getrlimit_nofile() } }
}

// MARK: - Programs

extension Syscall {
  /// Starts `/bin/sh -c` with default signals; what is given stands in for its standard input or output.
  /// C: `posix_spawn`
  package static func spawn(
    shell command: some Collection<UInt8>, input: FileDescriptor?, output: FileDescriptor?
  ) throws(Errno) -> CInt {
    let command = command.map(CChar.init(bitPattern:)) + [0]
    return CInt(
      try call { unsafe csplice_posix_spawn_shell(command, input?.rawValue ?? -1, output?.rawValue ?? -1) })
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

  /// Sends a signal to a process.  C: `kill`
  package static func kill(_ process: CInt, _ signal: CInt) throws(Errno) {
    _ = try call { csplice_kill(process, signal) }
  }

  /// Columns of a terminal; 0 when it does not know.  C: `ioctl` with TIOCGWINSZ
  package static func columns(of terminal: FileDescriptor) throws(Errno) -> Int {
    try call { csplice_ioctl_tiocgwinsz(terminal.rawValue) }
  }
}

// MARK: - Waiting

extension Syscall {
  /// Waits until a descriptor is ready or the time is up; the answer is how many are. A signal ends the wait
  /// early, with 0.  C: `ppoll`
  package static func ppoll(_ descriptors: inout [pollfd], for time: Duration?) throws(Errno) -> Int {
    let nanoseconds: Int64 = time.map { max(0, $0.nanoseconds) } ?? -1
    let count = CUnsignedInt(descriptors.count)
    let result = unsafe descriptors.withUnsafeMutableBufferPointer {
      unsafe csplice_ppoll($0.baseAddress, count, nanoseconds)
    }
    if result >= 0 { return Int(result) }
    let errno = Errno(rawValue: -result)
    guard errno == .interrupted else { throw errno }
    for index in descriptors.indices { descriptors[index].revents = 0 }
    return 0
  }

  /// Which of two events, if any, is there right now.  C: `ppoll` with no time
  package static func isReady(_ descriptor: FileDescriptor, _ events: Int32) throws(Errno) -> Bool {
    var one = [pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0)]
    return try ppoll(&one, for: .zero) > 0
  }

  /// A new epoll instance.  C: `epoll_create1`
  package static func epollCreate() throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_epoll_create1() }))
  }

  /// Adds, changes or removes a descriptor; `key` comes back with its events.  C: `epoll_ctl`
  package static func epollControl(
    _ epoll: FileDescriptor, _ operation: EpollOperation, _ descriptor: FileDescriptor, events: UInt32,
    key: UInt64
  ) throws(Errno) {
    _ = try call { csplice_epoll_ctl(epoll.rawValue, operation.rawValue, descriptor.rawValue, events, key) }
  }

  /// What `epoll_ctl` is to do.
  package enum EpollOperation: CInt, Sendable {
    /// EPOLL_CTL_ADD
    case add = 1
    /// EPOLL_CTL_DEL
    case remove = 2
    /// EPOLL_CTL_MOD
    case modify = 3
  }

  /// The events of epoll, by their C names without the prefix.
  package enum EpollEvents {
    package static let input: UInt32 = 0x001
    package static let urgent: UInt32 = 0x002
    package static let output: UInt32 = 0x004
    package static let error: UInt32 = 0x008
    package static let hangUp: UInt32 = 0x010
    package static let readHangUp: UInt32 = 0x2000
    package static let edgeTriggered: UInt32 = 1 << 31
  }

  /// An event and the key it was asked for with.
  package typealias EpollEvent = csplice_event

  /// Waits for events, as many as `events` has places, 256 at the most. A signal ends the wait early.  C: `epoll_wait`
  package static func epollWait(
    _ epoll: FileDescriptor, into events: inout [EpollEvent], milliseconds: CInt
  ) throws(Errno) -> Int {
    let count = CInt(events.count)
    let result = unsafe events.withUnsafeMutableBufferPointer {
      unsafe csplice_epoll_wait(epoll.rawValue, $0.baseAddress, count, milliseconds)
    }
    if result >= 0 { return Int(result) }
    let errno = Errno(rawValue: -result)
    guard errno == .interrupted else { throw errno }
    return 0
  }

  /// A counter one can wait for: written to wake, read to rest.  C: `eventfd`
  package static func eventfd() throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_eventfd() }))
  }

  /// Wakes whoever waits for an eventfd. Nothing but `write`, so a signal handler may do it.  C: `write`
  package static func signal(eventfd: FileDescriptor) {
    var one: UInt64 = 1
    // EAGAIN means the counter is at its limit, and a counter that is not zero wakes all the same.
    _ = unsafe withUnsafeBytes(of: &one) { unsafe csplice_write(eventfd.rawValue, $0.baseAddress, $0.count) }
  }

  /// Lets an eventfd rest again.  C: `read`
  package static func drain(eventfd: FileDescriptor) {
    var count: UInt64 = 0
    // EAGAIN means that it rests already.
    _ = unsafe withUnsafeMutableBytes(of: &count) {
      unsafe csplice_read(eventfd.rawValue, $0.baseAddress, $0.count)
    }
  }
}

// MARK: - Disks

extension Syscall {
  /// Whether a file is on a file system of this machine, where reading what is in memory asks nobody else, as NFS and FUSE may. One that
  /// is not known is taken for foreign.  C: `fstatfs`
  package static func isLocalFileSystem(of descriptor: FileDescriptor) throws(Errno) -> Bool {
    switch UInt32(truncatingIfNeeded: try call { csplice_fstatfs_type(descriptor.rawValue) }) {
    // ext2 to ext4, XFS, Btrfs, F2FS, tmpfs, ramfs, overlayfs, SquashFS, EROFS, as statfs(2) numbers them.
    case 0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0x0102_1994, 0x8584_58f6, 0x794c_7630, 0x7371_7368,
      0xe0f5_e1e2:
      true
    default: false
    }
  }

  /// How many pages of a range are in memory (Linux 6.5).  C: `cachestat`
  package static func cachestat(
    _ descriptor: FileDescriptor, offset: Int64, count: Int64
  ) throws(Errno) -> Int {
    try call { csplice_cachestat(descriptor.rawValue, UInt64(offset), UInt64(count)) }
  }

  /// Reads one byte if that needs no disk; EAGAIN when it would wait.  C: `preadv2` with RWF_NOWAIT
  package static func readNow(_ descriptor: FileDescriptor, at offset: Int64) throws(Errno) -> Int {
    try call { csplice_preadv2_nowait(descriptor.rawValue, offset) }
  }
}

// MARK: - Simulation

extension Syscall {
  /// What the thread's simulated kernel says the time is; nil when its kernel is the real one.
  static var simulatedNanoseconds: Int64? {
    #if CSPLICE_SIMULATION
      // A kernel outlives the threads that it was given to.
      guard let kernel = unsafe csplice_thread_kernel() else { return nil }
      return unsafe kernel.pointee.now()
    #else
      return nil
    #endif
  }

  /// Whether the kernel of this thread is a simulated one.
  static var isSimulated: Bool { simulatedNanoseconds != nil }
}

// MARK: - Signals

extension Syscall {
  /// Handles a signal once; the same one again does what it does by default. False when the signal is ignored, as it is
  /// under `nohup`: then it stays so.  C: `sigaction` with SA_RESETHAND
  @discardableResult
  package static func handleOnce(
    signal: CInt, _ handler: @escaping @convention(c) (CInt) -> Void
  ) throws(Errno) -> Bool {
    try call { csplice_sigaction_once(signal, handler) } == 0
  }

  /// Handles a signal each time; calls that wait end early. False when it is ignored, and then stays so.  C: `sigaction`
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

// MARK: - Threads

extension Syscall {
  /// Starts a detached thread with all signals of the process blocked, SIGPIPE among them.  C: `pthread_create`
  package static func startThread(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(body))
    let result = unsafe csplice_pthread_create(
      String(name.prefix(15)),
      { argument in
        csplice_thread_set_pipe_safe(true)
        // The box was retained once for this thread, which takes it here, once.
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, box.toOpaque())
    if result < 0 {
      unsafe box.release()
      throw Errno(rawValue: -result)
    }
  }

  private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Whose thread this is, as its owner set it.
  package static func isThread(of owner: AnyObject) -> Bool {
    unsafe csplice_thread_owner() == UnsafeRawPointer(Unmanaged.passUnretained(owner).toOpaque())
  }

  /// Who owns this thread, if somebody does. The owner outlives its thread.
  package static func threadOwner<Owner: AnyObject>(as type: Owner.Type) -> Owner? {
    guard let owner = unsafe csplice_thread_owner() else { return nil }
    return unsafe Unmanaged<Owner>.fromOpaque(owner).takeUnretainedValue()
  }

  /// Says whose thread this is. The owner must outlive it.
  package static func setThreadOwner(_ owner: AnyObject) {
    unsafe csplice_thread_set_owner(Unmanaged.passUnretained(owner).toOpaque())
  }

  /// How much ``withScratch(_:)`` lends.
  package static let scratchSize = Int(CSPLICE_SCRATCH)

  /// Lends memory of this thread's until `body` ends, which does not ask for it again. Whatever is in it is of no meaning.
  @inline(__always)
  package static func withScratch<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // As long as the thread, and so as this call; nobody else has its address.
    try unsafe body(UnsafeMutableRawBufferPointer(start: csplice_thread_scratch(), count: scratchSize))
  }

  /// Runs `body` while a lost reader is an EPIPE and no signal, on whatever thread this is. The threads of this
  /// library block SIGPIPE for ever; on a foreign one it is blocked, a signal that came of `body` is taken, and the mask
  /// is put back (the pattern of `pthread_sigmask` and `sigtimedwait`). Nests at no cost.
  package static func withoutSIGPIPE<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    if csplice_thread_is_pipe_safe() { return try body() }
    // Blocked by the program itself: then a pending one is the program's to see, as it would be after a C call.
    let wasBlocked = csplice_pthread_sigmask_block_pipe() != 0
    csplice_thread_set_pipe_safe(true)
    _ = csplice_thread_take_lost_reader()
    defer {
      csplice_thread_set_pipe_safe(false)
      if !wasBlocked {
        if csplice_thread_take_lost_reader() { _ = csplice_sigtimedwait_pipe() }
        _ = csplice_pthread_sigmask_unblock_pipe()
      }
    }
    return try body()
  }
}

extension Duration {
  /// Whole nanoseconds, at the limits of an `Int64` when there are more.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? (seconds < 0 ? .min : .max) : whole + attoseconds / 1_000_000_000
  }
}
