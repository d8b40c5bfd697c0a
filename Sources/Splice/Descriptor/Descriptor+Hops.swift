// The other end of a hop: whether a descriptor is spliced, and how its bytes are copied when it is not.

import CSplice
import Synchronization
import SystemPackage

/// Whether this process may splice at all: false once the kernel has said that there is no such call.
private let processSplices = Atomic<Bool>(true)

/// Whether this process may vmsplice.
let processVmsplices = Atomic<Bool>(true)

extension Descriptor {
  /// Why this descriptor is not spliced in this direction; nil while nothing speaks against trying.
  @inline(__always)
  package borrowing func obstacle(as direction: Direction) -> Errno? {
    if let refusal = refusal(as: direction) { return refusal }
    return processSplices.load(ordering: .relaxed) ? nil : .noFunction
  }

  @inline(__always)
  func takesSplice(as direction: Direction, via: PathChoice) throws(Errno) -> Bool {
    guard via != .copy else { return false }
    guard let obstacle = obstacle(as: direction) else { return true }
    if via == .splice { throw obstacle }
    return false
  }

  /// Notes a refusal, so that copying can go on in its place; throws what is none.
  func accept(_ errno: Errno, as direction: Direction, via: PathChoice) throws(Errno) {
    guard let scope = Refusal(errno, hop: direction) else { throw errno }
    refuse(as: direction, errno)
    if scope == .process { processSplices.store(false, ordering: .relaxed) }
    if via == .splice { throw errno }
  }

  func copyOut(
    into buffer: UnsafeMutableRawBufferPointer, at offset: inout Int64?
  ) throws(Errno) -> Int {
    if kind.isStream { return try unsafe Syscall.recv(raw, into: buffer) }
    if kind == .otherSocket { return try unsafe Syscall.recvMessage(raw, into: buffer) }
    guard let position = offset else { return try unsafe Syscall.read(raw, into: buffer) }
    let count = try unsafe Syscall.pread(raw, into: buffer, at: position)
    offset = position + Int64(count)
    return count
  }

  private func copyIn(
    _ bytes: UnsafeRawBufferPointer, at offset: inout Int64?, moreFollows: Bool
  ) throws(Errno) -> Int {
    if kind.isSocket { return try unsafe Syscall.send(raw, from: bytes, moreFollows: moreFollows) }
    guard let position = offset else { return try unsafe Syscall.write(raw, from: bytes) }
    let count = try unsafe Syscall.pwrite(raw, from: bytes, at: position)
    offset = position + Int64(count)
    return count
  }

  /// Writes from one place or many at once.
  func copyIn(
    _ pieces: [iovec], at offset: inout Int64?, moreFollows: Bool
  ) throws(Errno) -> Int {
    if let only = unsafe pieces.first, unsafe pieces.count == 1 {
      return try unsafe copyIn(
        UnsafeRawBufferPointer(start: only.iov_base, count: only.iov_len), at: &offset,
        moreFollows: moreFollows)
    }
    if kind.isSocket { return try unsafe Syscall.sendmsg(raw, from: pieces, moreFollows: moreFollows) }
    guard let position = offset else { return try unsafe Syscall.writev(raw, from: pieces) }
    let count = try unsafe Syscall.pwritev(raw, from: pieces, at: position)
    offset = position + Int64(count)
    return count
  }

  /// The offset that will be read from.
  func place(_ offset: Int64?) throws(Errno) -> Int64 {
    if let offset { return offset }
    return try Syscall.lseek(raw, to: 0, from: .current)
  }
}
