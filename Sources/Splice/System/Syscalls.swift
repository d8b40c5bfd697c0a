// One function per system call: its arguments typed, its failure thrown as an `Errno`, EINTR retried.
//
// Only the files of this name import CSplice, so every call this library makes of the kernel can be found
// in them by its C name. Nothing is decided here: what an errno means is judged in `Refusal` and `Transfer`.

import CSplice
import SystemPackage

/// The system calls, by their C names.
package enum Syscall {
  /// Runs a wrapper that answers as the kernel does, until it is not interrupted.
  @inline(__always)
  package static func call<Result: FixedWidthInteger & SignedInteger>(
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

  /// Moves bytes between two descriptors without offsets, the common case.  C: `splice`
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

  /// Bytes of a page.  C: `sysconf` with _SC_PAGESIZE
  package static var pageSize: Int { Int(csplice_page_size()) }

  /// Memory of its own, zeroed, for this many bytes, which are whole pages.  C: `mmap`
  package static func map(_ count: Int) throws(Errno) -> UnsafeMutableRawBufferPointer {
    var base: UnsafeMutableRawPointer?
    _ = try call { unsafe csplice_mmap(count, &base) }
    return unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  /// A page of memory of its own, zeroed, also in each child that this process forks.
  /// C: `mmap`, `madvise` with MADV_WIPEONFORK
  package static func mapWiped() throws(Errno) -> UnsafeMutableRawBufferPointer {
    var base: UnsafeMutableRawPointer?
    _ = try call { unsafe csplice_mmap_wiped(&base) }
    return unsafe UnsafeMutableRawBufferPointer(start: base, count: pageSize)
  }

  /// A file of memory, closed on exec, which can be sealed.  C: `memfd_create`
  package static func memfd(named name: String) throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { unsafe csplice_memfd_create(name) }))
  }

  /// From now on it is what it is.  C: `fcntl` with F_ADD_SEALS
  package static func seal(_ memory: FileDescriptor) throws(Errno) {
    _ = try call { csplice_fcntl_seal(memory.rawValue) }
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

  /// Takes one message from a socket of messages, without waiting; EMSGSIZE, and the message stays, when it
  /// is longer than the memory.  C: `recv` with MSG_TRUNC
  package static func recvMessage(
    _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) -> Int {
    if try nextMessage(of: descriptor) > buffer.count { throw .messageTooLong }
    let length = try call {
      unsafe csplice_recv(
        descriptor.rawValue, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT) | CInt(MSG_TRUNC))
    }
    // Whoever else reads there has taken the other one.
    if length > buffer.count { throw .messageTooLong }
    return length
  }

  /// The length of the message that is taken next.  C: `recv` with MSG_PEEK and MSG_TRUNC
  package static func nextMessage(of descriptor: FileDescriptor) throws(Errno) -> Int {
    try call {
      csplice_recv(descriptor.rawValue, nil, 0, CInt(MSG_DONTWAIT) | CInt(MSG_TRUNC) | CInt(MSG_PEEK))
    }
  }

  /// Writes from memory.  C: `write`
  package static func write(
    _ descriptor: FileDescriptor, from buffer: UnsafeRawBufferPointer
  ) throws(Errno) -> Int {
    try call { unsafe csplice_write(descriptor.rawValue, buffer.baseAddress, buffer.count) }
  }

  /// Reads into an array.  C: `read`
  package static func read(_ descriptor: FileDescriptor, into bytes: inout [UInt8]) throws(Errno) -> Int {
    try call {
      unsafe bytes.withUnsafeMutableBytes {
        unsafe csplice_read(descriptor.rawValue, $0.baseAddress, $0.count)
      }
    }
  }

  /// Writes an array.  C: `write`
  package static func write(_ descriptor: FileDescriptor, _ bytes: [UInt8]) throws(Errno) -> Int {
    try write(descriptor, bytes[...])
  }

  /// Writes a part of an array.  C: `write`
  package static func write(_ descriptor: FileDescriptor, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
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

  /// Writes from many places to a socket, without waiting and without SIGPIPE.  C: `sendmsg` with
  /// MSG_DONTWAIT and MSG_NOSIGNAL
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

// MARK: - Files to sockets

extension Syscall {
  /// Moves bytes of a file to a socket, whose own flag O_NONBLOCK says whether this waits for it.
  /// C: `sendfile`
  package static func sendfile(
    from file: FileDescriptor, at offset: inout Int64, to socket: FileDescriptor, count: Int
  ) throws(Errno) -> Int {
    try call { unsafe csplice_sendfile(socket.rawValue, file.rawValue, &offset, min(count, largest)) }
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

  /// The first byte at or behind an offset that is data, or that is a hole, which the end of the file is too;
  /// ENXIO when there is none. Moves the file's offset there.  C: `lseek` with SEEK_DATA or SEEK_HOLE
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

}
