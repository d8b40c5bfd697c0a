// System calls that make descriptors, and ask and tell them.

import CSplice
import SystemPackage

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

  /// Puts another open file in the place of a descriptor's own, which is closed by that; takes no number
  /// more.  C: `dup3`
  package static func replace(_ descriptor: FileDescriptor, by other: FileDescriptor) throws(Errno) {
    _ = try call { csplice_dup3(other.rawValue, descriptor.rawValue, O_CLOEXEC) }
  }

  /// Bytes waiting in a pipe or socket.  C: `ioctl` with FIONREAD
  package static func bytesWaiting(in descriptor: FileDescriptor) throws(Errno) -> Int {
    try call { csplice_ioctl_fionread(descriptor.rawValue) }
  }

  /// Bytes a TCP peer has not confirmed yet; of a unix socket, the memory of what its peer has not read.
  /// C: `ioctl` with SIOCOUTQ
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

  /// Opens a path that begins in a directory and never leaves it, whatever links there are on the way; links
  /// that are no names, such as those of `/proc`, are not followed. Throws EAGAIN when something was
  /// renamed while `..` was followed.  C: `openat2` with RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS
  package static func open(
    beneath directory: FileDescriptor, _ path: FilePath, flags: CInt
  ) throws(Errno) -> FileDescriptor {
    let number = try call {
      unsafe path.withPlatformString {
        unsafe csplice_open_beneath(directory.rawValue, $0, flags | O_CLOEXEC)
      }
    }
    return FileDescriptor(rawValue: CInt(number))
  }

  /// From now on this thread, and those it starts, can open nothing but what is below a directory, and only to
  /// read it. For good. Throws ENOSYS or EOPNOTSUPP where the kernel has no such thing.
  /// C: `landlock_restrict_self`, `prctl` with PR_SET_NO_NEW_PRIVS
  package static func confineThread(to directory: FileDescriptor) throws(Errno) {
    let rules = FileDescriptor(rawValue: CInt(try call { csplice_landlock_create(directory.rawValue) }))
    defer { try? close(rules) }
    _ = try call { csplice_landlock_restrict(rules.rawValue) }
  }

  /// The names in a directory, in no order, but for itself and the one above; takes the descriptor over.
  /// C: `fdopendir`, `readdir`
  package static func names(in directory: FileDescriptor) throws(Errno) -> [[UInt8]] {
    var stream: OpaquePointer?
    do throws(Errno) { _ = try call { unsafe csplice_fdopendir(directory.rawValue, &stream) } } catch {
      try? close(directory)
      throw error
    }
    defer { unsafe csplice_closedir(stream) }
    var names: [[UInt8]] = []
    while true {
      var text: UnsafePointer<CChar>?
      _ = try call { unsafe csplice_readdir(stream, &text) }
      guard let text = unsafe text else { return names }
      // It ends with a NUL, and stays until the next call.
      let name = unsafe [UInt8](UnsafeRawBufferPointer(start: text, count: strlen(text)))
      if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { names.append(name) }
    }
  }

  /// Closes a descriptor. Linux has closed it even when the answer is EINTR, so this is never tried again.
  /// C: `close`
  package static func close(_ descriptor: FileDescriptor) throws(Errno) {
    let result = csplice_close(descriptor.rawValue)
    let errno = Errno(rawValue: -result)
    if result < 0, errno != .interrupted { throw errno }
  }

  /// Removes a name.  C: `unlink`
  package static func unlink(_ path: FilePath) throws(Errno) {
    _ = try call { unsafe path.withPlatformString { unsafe csplice_unlink($0) } }
  }

  /// Gives a file another name, which nothing may have: EEXIST.  C: `renameat2` with RENAME_NOREPLACE
  package static func rename(_ path: FilePath, toNew name: FilePath) throws(Errno) {
    _ = try call {
      unsafe path.withPlatformString { path in
        unsafe name.withPlatformString { unsafe csplice_rename_new(path, $0) }
      }
    }
  }

  /// Waits until a file is on its disk.  C: `fsync`
  package static func fsync(_ file: FileDescriptor) throws(Errno) {
    _ = try call { csplice_fsync(file.rawValue) }
  }

  /// Cuts or lengthens a file.  C: `ftruncate`
  package static func ftruncate(_ descriptor: FileDescriptor, to length: Int64) throws(Errno) {
    _ = try call { csplice_ftruncate(descriptor.rawValue, length) }
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

  /// What a path leads to, through symbolic links, without opening it.  C: `open` with O_PATH, `fstat`
  package static func status(of path: FilePath) throws(Errno) -> FileStatus {
    let file = try open(path, flags: CInt(csplice_path))
    defer { try? close(file) }
    return try fstat(file)
  }

  /// Whether a regular file is open by another descriptor than this, in whatever process; false where the
  /// file system cannot tell.  C: `fcntl` with F_SETLEASE, F_SETSIG
  package static func isOpenElsewhere(_ file: FileDescriptor) -> Bool {
    do throws(Errno) {
      _ = try call { csplice_fcntl_lease(file.rawValue, CInt(F_WRLCK)) }
      _ = try call { csplice_fcntl_lease(file.rawValue, CInt(F_UNLCK)) }
      return false
    } catch { return error == .wouldBlock }
  }

  /// Takes the lock on an open file, until it is closed; EWOULDBLOCK when another process has it.  C: `flock`
  /// with LOCK_EX and LOCK_NB
  package static func lockNow(_ file: FileDescriptor) throws(Errno) {
    _ = try call { csplice_flock_now(file.rawValue) }
  }

  /// Sets an extended attribute.  C: `fsetxattr`
  package static func setAttribute(
    _ name: String, of file: FileDescriptor, to value: [UInt8]
  ) throws(Errno) {
    _ = try call {
      unsafe value.withUnsafeBytes {
        unsafe csplice_fsetxattr(file.rawValue, name, $0.baseAddress, $0.count)
      }
    }
  }

  /// An extended attribute of at most 512 bytes; of a symbolic link its own.  C: `lgetxattr`
  package static func attribute(_ name: String, of path: FilePath) throws(Errno) -> [UInt8] {
    var value = [UInt8](repeating: 0, count: 512)
    let room = value.count
    let count = try call {
      unsafe path.withPlatformString { path in
        unsafe value.withUnsafeMutableBytes { unsafe csplice_lgetxattr(path, name, $0.baseAddress, room) }
      }
    }
    return Array(value.prefix(count))
  }

  /// C: `fchmod`
  package static func fchmod(_ file: FileDescriptor, _ permissions: mode_t) throws(Errno) {
    _ = try call { csplice_fchmod(file.rawValue, permissions) }
  }

  /// C: `fchown`
  package static func fchown(_ file: FileDescriptor, user: uid_t, group: gid_t) throws(Errno) {
    _ = try call { csplice_fchown(file.rawValue, user, group) }
  }

  /// C: `getcwd`
  package static func workingDirectory() throws(Errno) -> FilePath {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX))
    let room = path.count
    _ = try call {
      unsafe path.withUnsafeMutableBufferPointer { unsafe csplice_getcwd($0.baseAddress, room) }
    }
    return FilePath(bytes: path.map(UInt8.init(bitPattern:)))
  }

  /// The part of `struct stat` that is asked for here.
  package struct FileStatus: Sendable, Hashable {
    /// The type bits of the mode, such as `S_IFREG`.
    package let type: CInt
    /// The rest of the mode, and whose it is.
    package let permissions: mode_t
    package let user: uid_t
    package let group: gid_t
    /// Bytes, for a regular file.
    package let size: Int64
    /// The device and inode, which together name a file.
    package let device, inode: UInt64
    /// How many names it has.
    package let names: Int
    /// When it was written last, and when anything of it was changed last, in nanoseconds.
    package let modified, changed: Int64
    /// The device a special file stands for.
    let node: UInt64

    fileprivate init(_ status: stat) {
      type = CInt(bitPattern: status.st_mode) & S_IFMT
      permissions = status.st_mode & 0o7777
      (user, group) = (status.st_uid, status.st_gid)
      size = Int64(status.st_size)
      names = Int(status.st_nlink)
      modified = Self.nanoseconds(status.st_mtim)
      changed = Self.nanoseconds(status.st_ctim)
      (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
      node = UInt64(status.st_rdev)
    }

    /// No file system stops at the year 2262, behind which there is no number for it.
    private static func nanoseconds(_ time: timespec) -> Int64 {
      Int64(clamping: Int128(time.tv_sec) * 1_000_000_000 + Int128(time.tv_nsec))
    }

    /// Whether this is one of the devices that are memory: `/dev/null`, `zero`, `full`, `random`, `urandom`.
    package var isMemoryDevice: Bool { type == S_IFCHR && major == 1 && [3, 5, 7, 8, 9].contains(minor) }

    // As glibc's gnu_dev_major and gnu_dev_minor have it.
    private var major: UInt64 { node >> 8 & 0xfff | node >> 32 & 0xffff_f000 }
    private var minor: UInt64 { node & 0xff | node >> 12 & 0xffff_ff00 }

    /// Whether opening a character device again gives the same one. The master of a pseudoterminal, a network
    /// tunnel and others are made anew by each `open`.
    package var isSameDeviceWhenOpenedAgain: Bool {
      if isMemoryDevice { return true }
      return switch (major, minor) {
      // Virtual consoles and serial lines; /dev/tty and the console; the slaves of pseudoterminals.
      case (4, _), (5, 0), (5, 1), (136...143, _): true
      default: false
      }
    }
  }

  /// Whether this is a terminal.  C: `isatty`
  package static func isTerminal(_ descriptor: FileDescriptor) -> Bool {
    csplice_is_terminal(descriptor.rawValue) == 1
  }
}

// MARK: - Limits

extension Syscall {
  /// How many descriptors this process may have open, as its limit is now.  C: `getrlimit` with RLIMIT_NOFILE
  package static func descriptorLimit() throws(Errno) -> Int { try call { csplice_getrlimit_nofile() } }
}

// MARK: - Disks

extension Syscall {
  /// What a file is on.  C: `fstatfs`
  package static func fileSystem(of descriptor: FileDescriptor) throws(Errno) -> FileSystem {
    FileSystem(number: UInt32(truncatingIfNeeded: try call { csplice_fstatfs_type(descriptor.rawValue) }))
  }

  /// How many pages of a range are in memory (Linux 6.5).  C: `cachestat`
  package static func cachestat(
    _ descriptor: FileDescriptor, offset: Int64, count: Int64
  ) throws(Errno) -> Int {
    try call { csplice_cachestat(descriptor.rawValue, UInt64(offset), UInt64(count)) }
  }

  /// Reads into memory what needs no disk; EAGAIN when it would wait.  C: `preadv2` with RWF_NOWAIT
  package static func readNow(
    _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws(Errno) -> Int {
    try call {
      unsafe csplice_preadv2_nowait(descriptor.rawValue, buffer.baseAddress, buffer.count, offset)
    }
  }

  /// Reads one byte if that needs no disk; EAGAIN when it would wait.  C: `preadv2` with RWF_NOWAIT
  package static func readNow(_ descriptor: FileDescriptor, at offset: Int64) throws(Errno) -> Int {
    var byte: UInt8 = 0
    return try unsafe withUnsafeMutableBytes(of: &byte) { byte throws(Errno) in
      try unsafe readNow(descriptor, into: byte, at: offset)
    }
  }
}
