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
  private let kind: Descriptor.Kind
  /// How often what was written is put on the disk, and since when it is not.
  var syncInterval: Duration?
  private var lastSync = ContinuousClock.now
  private var lastConnect = ContinuousClock.now
  private var isUnsynced = false
  /// Whether memory is put into a pipe by reference, and how many bytes were copied into it behind the last.
  private var refers = false, isDeclined = false
  private var copiedSince = 0
  /// Bytes that were taken and not written since the pipe last referred to nothing.
  private var lostSince = 0
  /// The rest of a record that goes out before anything else does: a pipe may get another reader.
  private var tail: [UInt8] = []
  /// It was told of, and nothing was taken, or opened, since.
  private var isToldOf = false, isToldOfPlace = false
  /// At the end, and there was no waiting any more: whatever came now would be behind a record that was cut.
  private var hasGivenUp = false
  private let isToReopen = Atomic<Bool>(false)

  /// How long a sink that refuses is left alone.
  private static let pause = Duration.milliseconds(200)
  /// Bytes that are written at once.
  private static let most = 1 << 18
  /// Fewer bytes cost less when they are copied than references to them do.
  private static let fewest = 1 << 14

  private init(_ place: Place, _ sink: consuming Descriptor) {
    (self.place, kind, number) = (place, sink.kind, sink.release())
  }

  /// - Throws: EINVAL for a socket on which a message is a unit.
  convenience init(_ sink: consuming Descriptor) throws(Errno) {
    guard sink.kind != .otherSocket else { throw .invalidArgument }
    self.init(.none, sink)
  }

  /// A pipe whose reader copies what it takes.
  convenience init(vouchingForTheReaderOf pipe: consuming Descriptor) {
    self.init(.none, pipe)
    refers = true
  }

  convenience init(
    appendingTo path: FilePath, rotating rotation: PageWriter.Rotation?
  ) throws(Errno) {
    var file = try RotatedFile(path, rotation)
    let number = try file.openFirst()
    self.init(.file(file), Descriptor(owning: number))
  }

  convenience init(connectingTo address: SocketAddress) throws(Errno) {
    self.init(.peer(address), Descriptor(owning: try Self.connect(to: address)))
  }

  deinit { close { _ in } }

  /// What is written next goes to whatever has the name then.
  func reopen() { isToReopen.store(true, ordering: .relaxed) }

  /// What a parent has a part of is the parent's.
  func forget() {
    (tail, isUnsynced, hasGivenUp, isToldOf, isToldOfPlace) = ([], false, false, false, false)
  }

  func close(_ refused: (Errno) -> Void) { replace(by: nil, refused) }

  private func replace(by new: FileDescriptor?, _ refused: (Errno) -> Void) {
    if isUnsynced, syncInterval != nil { sync(refused) }
    let old = number
    (number, tail, isToldOfPlace) = (new, [], false)
    if let old { try? Syscall.close(old) }
  }

  /// Puts what was written on its disk when that is due; else how long there is time.
  func syncIfDue(_ refused: (Errno) -> Void) -> Duration? {
    guard let syncInterval, isUnsynced else { return nil }
    let left = syncInterval - (ContinuousClock.now - lastSync)
    if left > .zero { return left }
    sync(refused)
    return nil
  }

  private func sync(_ refused: (Errno) -> Void) {
    (lastSync, isUnsynced) = (.now, false)
    guard let number else { return }
    do throws(Errno) { try Syscall.fsync(number) } catch { tell(error, refused) }
  }

  /// Bytes at the end of those that were taken, up to where a pipe refers to them. What its reader is copying just
  /// now is among them until it is copied.
  var referredTo: Int {
    guard refers, let number else { return 0 }
    guard let waiting = try? Syscall.bytesWaiting(in: number) else { return .max }
    if waiting > copiedSince { return waiting + lostSince }
    lostSince = 0
    return 0
  }
}

// MARK: - Places

extension RecordSink {
  private static func connect(to address: SocketAddress) throws(Errno) -> FileDescriptor {
    let poll = BlockingWait(until: .now + .seconds(1))
    do throws(SpliceError) {
      return try SocketAddress.connect(toOneOf: [address], waitingIn: poll).release()
    } catch {
      // A queue that is full says the same as a socket that is.
      guard case .sink(let errno) = error, errno != .wouldBlock else { throw .timedOut }
      throw errno
    }
  }

  /// Whether a peer of TCP has ended its half, as it does when it leaves: a write would say so only when what is
  /// written is lost. A unix socket says so at once.
  private func hasLeft(_ number: FileDescriptor, of address: SocketAddress) throws(Errno) -> Bool {
    if address.ip == nil { return false }
    let left = CInt(POLLHUP | POLLERR) | Syscall.readHangUp
    return try Syscall.state(of: number, Syscall.readHangUp) & left != 0
  }

  /// Where the next bytes go. `first` is the length of a record that begins there, nil within one. A file that
  /// cannot be opened anew or rotated is gone on with.
  private func open(
    for first: Int?, _ refused: (Errno) -> Void
  ) throws(Errno) -> (FileDescriptor, room: Int, isNew: Bool) {
    switch place {
    case .none:
      guard let number else { throw .badFileDescriptor }
      return (number, .max, false)
    case .peer(let address):
      let isAsked = isToReopen.exchange(false, ordering: .relaxed)
      if !isAsked, let number {
        let isGone: Bool = first == nil ? false : try hasLeft(number, of: address)
        if !isGone { return (number, .max, false) }
      }
      if number != nil, !isAsked { tell(.connectionReset, refused) }
      // One that takes peers and leaves them is not asked all the time.
      let rest = lastConnect + Self.pause - .now
      if rest > .zero { BlockingWait.poll.pause(for: rest) }
      lastConnect = .now
      let new = try Self.connect(to: address)
      replace(by: new, refused)
      return (new, .max, true)
    case .file(var file):
      defer { place = .file(file) }
      let isAsked = !file.isSpared && isToReopen.exchange(false, ordering: .relaxed)
      do throws(Errno) {
        if !isAsked, let number, let room = try file.room(in: number, for: first) {
          return (number, room, false)
        }
        let new = try file.open(like: number)
        replace(by: new, refused)
        return (new, file.room(in: new), true)
      } catch {
        file.spare()
        if isAsked { reopen() }
        guard let number else { throw error }
        if !isToldOfPlace { refused(error) }
        isToldOfPlace = true
        return (number, .max, false)
      }
    }
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
    if !finishTail(isPatient, refused) {
      unsafe ready = ring.ready(upTo: .max)
      lostSince += unsafe ready.count
      return unsafe Outcome(records: ready.records)
    }
    var (done, isBegun) = (0, false)
    while true {
      do throws(Errno) {
        let (number, room, isNew) = try unsafe open(for: isBegun ? nil : ready.count, refused)
        // A record that the old place has a part of is whole in the new one.
        if isNew { done = ring.whole(in: done).bytes }
        if !isBegun { unsafe ready = ring.ready(upTo: min(max(room, 1), Self.most)) }
        isBegun = true
        let mayRefer = ring.kept <= ring.capacity / 2
        done += try unsafe write(ready, from: done, to: number, mayRefer: mayRefer)
        hasTaken()
        if unsafe done == ready.count {
          return unsafe Outcome(records: ready.records, accepted: (ready.records, done))
        }
      } catch {
        if isHopeless(error, isPatient, refused) { break }
      }
    }
    var accepted = ring.whole(in: done)
    lostSince += unsafe ready.count - done
    if done > accepted.bytes, mayKeep {
      let end = accepted.bytes + ring.length(accepted.records)
      unsafe tail = ready.bytes(done..<end)
      accepted = (accepted.records + 1, end)
    }
    return unsafe Outcome(records: ready.records, accepted: accepted)
  }

  /// Writes a record that is none of a ring's, in the same way; false when it is lost.
  func write(_ record: [UInt8], isPatient: () -> Bool, refused: (Errno) -> Void) -> Bool {
    guard finishTail(isPatient, refused) else { return false }
    let rest = put(record, isRest: false, isPatient, refused)
    if rest.count < record.count, mayKeep { tail = rest }
    return rest.count < record.count
  }

  /// What was begun is ended first; false when it cannot be.
  private func finishTail(_ isPatient: () -> Bool, _ refused: (Errno) -> Void) -> Bool {
    if hasGivenUp { return false }
    if tail.isEmpty { return true }
    tail = put(tail, isRest: true, isPatient, refused)
    return tail.isEmpty
  }

  /// Whether the rest of a record that was cut waits: the next reader of a pipe would take what follows for the end
  /// of it.
  private var mayKeep: Bool { kind == .pipe && !hasGivenUp }

  /// Writes bytes; those that could not be written. The rest of a record goes nowhere but behind its beginning.
  private func put(
    _ bytes: [UInt8], isRest: Bool, _ isPatient: () -> Bool, _ refused: (Errno) -> Void
  ) -> [UInt8] {
    var (rest, isBegun) = (bytes, false)
    while !rest.isEmpty {
      do throws(Errno) {
        let (number, _, isNew) = try open(for: isBegun || isRest ? nil : bytes.count, refused)
        if isNew, isRest { return [] }
        if isNew { rest = bytes }
        isBegun = true
        let count = try Syscall.write(number, rest)
        copiedSince += count
        rest.removeFirst(count)
        hasTaken()
      } catch {
        if isHopeless(error, isPatient, refused) { break }
      }
    }
    return rest
  }

  private func hasTaken() {
    isToldOf = false
    if kind == .regularFile { isUnsynced = true }
  }

  /// Waits until it is worth another try; true when it is not.
  private func isHopeless(_ error: Errno, _ isPatient: () -> Bool, _ refused: (Errno) -> Void) -> Bool {
    if error == .wouldBlock, let number {
      // At the end, a second.
      if Self.waits(for: number) || isPatient() { return false }
      hasGivenUp = true
      return true
    }
    tell(error, refused)
    if case .peer = place {
      replace(by: nil, refused)
    } else if isLost(error) {
      return true
    }
    if isPatient() {
      BlockingWait.poll.pause(for: Self.pause)
      return false
    }
    hasGivenUp = true
    return true
  }

  /// Whether trying again is in vain: nobody reads, a terminal has hung up, or a file may be no larger.
  private func isLost(_ error: Errno) -> Bool {
    switch error {
    case .brokenPipe, .connectionReset, .socketNotConnected, .badFileDescriptor, .noSuchAddressOrDevice,
      .fileTooLarge:
      true
    case .ioError: kind != .regularFile
    default: false
    }
  }

  private func tell(_ error: Errno, _ refused: (Errno) -> Void) {
    if !isToldOf { refused(error) }
    isToldOf = true
  }

  /// Waits a second for room, and says whether there is some. The descriptor is not ours to be made blocking.
  private static func waits(for number: FileDescriptor) -> Bool {
    let key = RegistrationKey(descriptor: number, generation: 0)
    let ready = try? BlockingWait(until: .now + .seconds(1)).wait(for: Interest(key, as: .sink))
    return ready?.isEmpty == false
  }

  /// Writes what is behind the first bytes, by a copy or by reference.  C: `write`, `writev`, `vmsplice`
  @unsafe private func write(
    _ ready: RecordRing.Ready, from done: Int, to number: FileDescriptor, mayRefer: Bool
  ) throws(Errno) -> Int {
    let first = unsafe done < ready.first.count ? UnsafeRawBufferPointer(rebasing: ready.first[done...]) : nil
    let second =
      unsafe first == nil
      ? UnsafeRawBufferPointer(rebasing: ready.second[(done - ready.first.count)...]) : ready.second
    if refers, !isDeclined, mayRefer, unsafe (first ?? second).count >= Self.fewest {
      do throws(Errno) {
        let count = try unsafe Syscall.vmsplice(first ?? second, into: number)
        copiedSince = 0
        return count
      } catch {
        // A sandbox forbids it, or the kernel has it no more.
        guard Refusal(error, hop: .sink) != nil else { throw error }
        isDeclined = true
      }
    }
    let count: Int
    if let first = unsafe first, unsafe !second.isEmpty {
      count = try unsafe Syscall.writev(number, from: [iovec(first), iovec(second)])
    } else {
      count = try unsafe Syscall.write(number, from: first ?? second)
    }
    copiedSince += count
    return count
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
  /// A copy of some bytes.
  fileprivate func bytes(_ range: Range<Int>) -> [UInt8] {
    range.map { unsafe $0 < first.count ? first[$0] : second[$0 - first.count] }
  }
}

extension iovec {
  fileprivate init(_ bytes: UnsafeRawBufferPointer) {
    unsafe self.init(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
  }
}
