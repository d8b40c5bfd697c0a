// Where records go: whole ones, whatever becomes of a file, of who reads or of who collects.

import CSplice
import Synchronization
import SystemPackage

/// A file, a pipe, a socket or a terminal.
final class RecordSink: @unchecked Sendable {
  // Sendable: but for ``reopen()`` it is used by one thread, the writer's.

  /// What is opened when it is to be opened anew.
  private enum Place {
    /// There is only what was given.
    case none
    case file(RotatedFile)
    case peer(SocketAddress)
  }

  private var place: Place
  /// Nil while there is nowhere to write to.
  private var number: FileDescriptor?
  /// Whether memory is put into a pipe by reference.
  private var refers = false
  /// That it refuses was told, and it has taken nothing since.
  private var isToldOf = false
  private let isToReopen = Atomic<Bool>(false)

  /// How long a sink that refuses is left alone.
  private static let pause = Duration.milliseconds(200)
  /// Bytes that are written at once.
  private static let most = 1 << 18
  /// Fewer bytes cost less when they are copied than references to them do.
  private static let fewest = 1 << 14

  init(_ sink: consuming Descriptor) { (place, number) = (.none, sink.release()) }

  /// A pipe whose reader copies what it takes.
  init(vouchingForTheReaderOf pipe: consuming Descriptor) {
    (place, number, refers) = (.none, pipe.release(), true)
  }

  init(appendingTo path: FilePath, rotating rotation: PageWriter.Rotation?) throws(Errno) {
    var file = try RotatedFile(path, rotation)
    number = try file.open()
    place = .file(file)
  }

  init(connectingTo address: SocketAddress) throws(Errno) {
    (place, number) = (.peer(address), try Self.connect(to: address))
  }

  /// What is written next goes to whatever has the name then.
  func reopen() { isToReopen.store(true, ordering: .relaxed) }

  func sync() { if let number { try? Syscall.fsync(number) } }

  func close() { replace(by: nil) }

  private func replace(by new: FileDescriptor?) {
    let old = number
    number = new
    if let old { try? Syscall.close(old) }
  }

  /// Bytes that a pipe still refers to. What its reader is copying just now is among them until it is copied.
  var referredTo: Int {
    guard refers, let number else { return 0 }
    return (try? Syscall.bytesWaiting(in: number)) ?? .max
  }
}

// MARK: - Places

extension RecordSink {
  private static func connect(to address: SocketAddress) throws(Errno) -> FileDescriptor {
    let poll = BlockingWait(until: .now + .seconds(1))
    do throws(SpliceError) {
      return try SocketAddress.connect(toOneOf: [address], waitingIn: poll).release()
    } catch {
      guard case .sink(let errno) = error else { throw .timedOut }
      throw errno
    }
  }

  /// Where the next bytes go. `first` is the length of a record that begins there, nil within one.
  private func open(for first: Int?) throws(Errno) -> (FileDescriptor, room: Int, isNew: Bool) {
    let isAsked = isToReopen.exchange(false, ordering: .relaxed)
    let new: FileDescriptor
    var room = Int.max
    switch place {
    case .none:
      guard let number else { throw .badFileDescriptor }
      return (number, room, false)
    case .peer(let address):
      if !isAsked, let number { return (number, room, false) }
      new = try Self.connect(to: address)
    case .file(var file):
      defer { place = .file(file) }
      if !isAsked, let number, let room = try file.room(in: number, for: first) {
        return (number, room, false)
      }
      new = try file.open()
      room = file.most
    }
    replace(by: new)
    return (new, room, true)
  }
}

// MARK: - Writing

extension RecordSink {
  /// What has become of records: so many are done with, and of those so many were accepted.
  struct Outcome {
    var records = 0
    var accepted = (records: 0, bytes: 0)
  }

  /// Writes some of the records that are ready. One that a sink refuses is tried again as long as `isPatient`;
  /// without anybody who reads it is lost. `refused` is told once until the sink takes some again.
  func write(from ring: RecordRing, isPatient: () -> Bool, refused: (Errno) -> Void) -> Outcome {
    var ready = unsafe ring.ready(upTo: 1)
    if unsafe ready.records == 0 { return Outcome() }
    var (done, isBegun) = (0, false)
    while true {
      do throws(Errno) {
        let (number, room, isNew) = try unsafe open(for: isBegun ? nil : ready.count)
        // A record that the old place has a part of is whole in the new one.
        if isNew { done = ring.whole(in: done).bytes }
        if !isBegun { unsafe ready = ring.ready(upTo: min(room, Self.most)) }
        isBegun = true
        done += try unsafe write(ready, from: done, to: number)
        isToldOf = false
        if unsafe done == ready.count {
          return unsafe Outcome(records: ready.records, accepted: (ready.records, done))
        }
      } catch {
        if refuse(error, refused, isPatient) {
          return unsafe Outcome(records: ready.records, accepted: ring.whole(in: done))
        }
      }
    }
  }

  /// Waits until it is worth another try; true when it is not.
  private func refuse(_ error: Errno, _ refused: (Errno) -> Void, _ isPatient: () -> Bool) -> Bool {
    switch error {
    case .wouldBlock: if let number { Self.wait(for: number) }
    case .brokenPipe, .connectionReset, .socketNotConnected, .badFileDescriptor:
      tell(error, refused)
      guard case .peer = place else { return true }
      replace(by: nil)
      if isPatient() { BlockingWait.poll.pause(for: Self.pause) }
    default:
      tell(error, refused)
      if isPatient() { BlockingWait.poll.pause(for: Self.pause) }
    }
    return !isPatient()
  }

  private func tell(_ error: Errno, _ refused: (Errno) -> Void) {
    if !isToldOf { refused(error) }
    isToldOf = true
  }

  /// Waits a second for room. The descriptor is not ours to be made blocking.
  private static func wait(for number: FileDescriptor) {
    let key = RegistrationKey(descriptor: number, generation: 0)
    _ = try? BlockingWait(until: .now + .seconds(1)).wait(for: Interest(key, as: .sink))
  }

  /// Writes what is behind the first bytes, by a copy or by reference.  C: `write`, `writev`, `vmsplice`
  @unsafe private func write(
    _ ready: RecordRing.Ready, from done: Int, to number: FileDescriptor
  ) throws(Errno) -> Int {
    let first = unsafe done < ready.first.count ? UnsafeRawBufferPointer(rebasing: ready.first[done...]) : nil
    let second =
      unsafe first == nil
      ? UnsafeRawBufferPointer(rebasing: ready.second[(done - ready.first.count)...]) : ready.second
    if refers, unsafe (first ?? second).count >= Self.fewest {
      do throws(Errno) { return try unsafe Syscall.vmsplice(first ?? second, into: number) } catch {
        // A sandbox forbids it, or the kernel has it no more.
        guard Refusal(error, hop: .sink) != nil else { throw error }
        refers = false
      }
    }
    guard let first = unsafe first, unsafe !second.isEmpty else {
      return try unsafe Syscall.write(number, from: first ?? second)
    }
    return try unsafe Syscall.writev(number, from: [iovec(first), iovec(second)])
  }

  /// Writes a record that is none of a ring's; false when it is refused.
  func write(_ record: [UInt8]) -> Bool {
    for _ in 0..<2 {
      do throws(Errno) {
        return try Syscall.write(open(for: record.count).0, record) == record.count
      } catch {
        guard error == .wouldBlock, let number else { return false }
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

extension iovec {
  fileprivate init(_ bytes: UnsafeRawBufferPointer) {
    unsafe self.init(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
  }
}
