// Where records go: whole ones, whatever becomes of a file or of who reads.

import CSplice
import Synchronization
import SystemPackage

/// A file, a pipe, a socket or a terminal. Used by one thread, but for ``reopen()``.
final class RecordSink: Sendable {
  private let path: FilePath?
  private let number: Locked<FileDescriptor>
  private let isToReopen = Atomic<Bool>(false)

  /// How long a sink that refuses is left alone.
  private static let pause = Duration.milliseconds(200)

  init(appendingTo path: FilePath) throws(Errno) {
    (self.path, number) = (path, Locked(try Self.open(path)))
  }

  init(_ sink: consuming Descriptor) { (path, number) = (nil, Locked(sink.release())) }

  private static func open(_ path: FilePath) throws(Errno) -> FileDescriptor {
    try Syscall.open(path, flags: O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, mode: 0o644)
  }

  /// What is written next goes to whatever has the path's name then.
  func reopen() { isToReopen.store(true, ordering: .relaxed) }

  func sync() { try? Syscall.fsync(number.withLock { $0 }) }

  func close() { try? Syscall.close(number.withLock { $0 }) }

  private func reopened(_ refused: (Errno) -> Void) -> Bool {
    guard let path, isToReopen.exchange(false, ordering: .relaxed) else { return false }
    let new: FileDescriptor
    do throws(Errno) { new = try Self.open(path) } catch {
      refused(error)
      return false
    }
    let old = number.withLock { number in
      defer { number = new }
      return number
    }
    try? Syscall.close(old)
    return true
  }

  /// Writes records, and says how many of them were accepted, and their bytes. One that a disk refuses is
  /// tried again as long as `isPatient`; without anybody who reads all are lost.
  @unsafe func write(
    _ ready: RecordRing.Ready, from ring: RecordRing, isPatient: () -> Bool, refused: (Errno) -> Void
  ) -> (records: Int, bytes: Int) {
    var done = 0
    while true {
      // A record that the old file has a part of is whole in the new one.
      if reopened(refused) { done = ring.whole(in: done).bytes }
      let number = number.withLock { $0 }
      do throws(Errno) {
        done += try unsafe ready.write(from: done, to: number)
        if unsafe done == ready.count { return unsafe (ready.records, done) }
      } catch {
        switch error {
        case .wouldBlock:
          Self.wait(for: number)
        case .brokenPipe, .connectionReset, .socketNotConnected, .badFileDescriptor:
          refused(error)
          return ring.whole(in: done)
        default:
          refused(error)
          if isPatient() { BlockingWait.poll.pause(for: Self.pause) }
        }
        if !isPatient() { return ring.whole(in: done) }
      }
    }
  }

  /// Waits a second for room. The descriptor is not ours to be made blocking.
  private static func wait(for number: FileDescriptor) {
    let key = RegistrationKey(descriptor: number, generation: 0)
    _ = try? BlockingWait(until: .now + .seconds(1)).wait(for: Interest(key, as: .sink))
  }

  /// Writes a record that is none of a ring's; false when it is refused.
  func write(_ record: [UInt8]) -> Bool {
    let number = number.withLock { $0 }
    for _ in 0..<2 {
      do throws(Errno) { return try Syscall.write(number, record) == record.count } catch {
        guard error == .wouldBlock else { return false }
        Self.wait(for: number)
      }
    }
    return false
  }
}

extension RecordRing {
  /// How many whole records there are in the first bytes, and how many bytes those have.
  fileprivate func whole(in count: Int) -> (records: Int, bytes: Int) {
    var (records, bytes) = (0, 0)
    while bytes < count, bytes + length(records) <= count {
      bytes += length(records)
      records += 1
    }
    return (records, bytes)
  }
}

extension RecordRing.Ready {
  /// Writes what is behind the first bytes.  C: `writev`
  fileprivate func write(from done: Int, to number: FileDescriptor) throws(Errno) -> Int {
    unsafe second.isEmpty || done >= first.count
      ? try Syscall.write(
        number,
        from: done < first.count
          ? UnsafeRawBufferPointer(rebasing: first[done...])
          : UnsafeRawBufferPointer(rebasing: second[(done - first.count)...]))
      : try Syscall.writev(
        number,
        from: [
          iovec(UnsafeRawBufferPointer(rebasing: first[done...])), iovec(second),
        ])
  }
}

extension iovec {
  fileprivate init(_ bytes: UnsafeRawBufferPointer) {
    unsafe self.init(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
  }
}
