// Records, such as lines of a log, from any number of threads to one place, by a thread of its own.

import CSplice
import Synchronization
import SystemPackage

/// Writes records, such as lines of a log: what stdio is to bytes, for threads that must not wait.
///
/// ```swift
/// let log = try PageWriter(appendingTo: "/var/log/service.log")
/// log.write("started\n")
/// ```
///
/// It has a thread until it is closed, or the process ends. A record is copied into memory, by a call that
/// waits for nobody and makes no system call but one to wake that thread when it sleeps; the thread writes what
/// has come, many records at once. Records are never torn or mixed, and come in the order in which they were
/// written; with several writers, or processes, that append to one file, each record is whole, unless its disk is
/// full.
///
/// What survives what: a record that was written to this is in the process for up to
/// ``Options/flushInterval``, then in the kernel, and with ``Options/syncInterval`` on the disk after that.
/// So a process that ends, by `exit` or by returning from `main`, has written everything, if that takes no
/// more than a second, and but for what is written by handlers of `atexit` that are older than its first writer;
/// one that is killed loses what came in the last interval; one that crashes does, unless its handler calls
/// ``flush(for:)``; a machine that loses power loses what was not on its disk.
public final class PageWriter: Sendable {
  /// How records wait, and when they are written.
  public struct Options: Sendable {
    /// Bytes of records that may wait, up to 1 << 30, rounded up to a power of two; of records shorter than 32
    /// bytes, a 32nd of that many.
    public var capacity = 1 << 20
    /// What becomes of a record for which there is no room.
    public var whenFull = FullPolicy.drop
    /// How long records wait for others, to be written with them. A record that comes after a rest does not.
    public var flushInterval: Duration = .milliseconds(100)
    /// How often what was written to a file is put on its disk; nil for when the kernel likes.  C: `fsync`
    public var syncInterval: Duration?
    /// Makes the record that says how many others were dropped in front of it.
    public var noting: (@Sendable (_ dropped: Int) -> [UInt8])?
    /// Told by the writer's thread how many records were written, and for how long the oldest of them had waited
    /// at most.
    public var whenWritten: (@Sendable (_ records: Int, _ waited: Duration) -> Void)?
    /// Told how many records were dropped, by whoever has dropped them, or by the writer's thread.
    public var whenDropped: (@Sendable (Int) -> Void)?
    /// Told by the writer's thread that its sink refuses what is written, or that a file could not be opened
    /// anew or rotated, and the old one is written on: once until it takes some again.
    public var whenRefused: (@Sendable (Errno) -> Void)?

    /// The defaults.
    public init() {}
  }

  /// When a file gets a name with the time, such as `service-20261130T133105Z.log`, and another one is begun.
  public struct Rotation: Sendable, Hashable {
    /// No file is larger that one writer appends to, but for one that is a single record.
    public var size: UInt64?
    /// What comes so long after a file was begun is in another one.
    public var interval: Duration?
    /// So many files with a time are kept. Older ones are removed, of those that this has made; it knows them,
    /// by their attributes, also after the program was started anew.
    public var keep: Int?

    /// Never.
    public init(size: UInt64? = nil, interval: Duration? = nil, keep: Int? = nil) {
      (self.size, self.interval, self.keep) = (size, interval, keep)
    }
  }

  /// What becomes of a record for which there is no room.
  public enum FullPolicy: Sendable, Hashable {
    /// It is dropped, and counted; and so are those behind it until everything that waits is written, so that
    /// gaps are few.
    case drop
    /// Its caller waits.
    case wait
  }

  /// What has become of records.
  public struct Counts: Sendable, Hashable {
    /// Records, and their bytes, that the sink has accepted.
    public var written: UInt64 = 0, bytes: UInt64 = 0
    /// Records that were dropped.
    public var dropped: UInt64 = 0
    /// Bytes that wait.
    public var waiting = 0
  }

  private let ring: RecordRing
  private let options: Options
  private let sink: RecordSink
  /// What the thread does: 0 it runs, 1 it naps until the interval is over, 2 it sleeps until it is woken.
  private let bell = WaitWord()
  /// Counts what was released, and whatever else others wait for.
  private let progress = WaitWord()
  private let state: ForkWord
  /// What comes is dropped, until everything that waits is written.
  private let isFull = Atomic<Bool>(false)
  /// All that were dropped, those that no note has told of, and those that ``Options/whenDropped`` was not told of.
  private let dropped = Atomic<Int>(0), unreported = Atomic<Int>(0), untold = Atomic<Int>(0)
  private let isTelling = Atomic<Bool>(false)
  /// A note could not be written: it comes behind the next record that can.
  private let isNoteLost = Atomic<Bool>(false)
  private let written = Atomic<Int>(0), writtenBytes = Atomic<Int>(0)
  /// As many as have asked for everything to be written at once.
  private let urgent = Atomic<Int>(0)

  private enum State {
    /// There is no thread: so it is in a child of the process.
    static let idle: UInt32 = 0
    /// There could be none yet.
    static let failed: UInt32 = 5
    static let starting: UInt32 = 1, running: UInt32 = 2, ending: UInt32 = 3, ended: UInt32 = 4
  }

  /// How long the end of a process waits for sinks that take nothing, and a writer's end for who is copying.
  fileprivate static let patience = Duration.seconds(1)
  /// Appends to a file, which is made if it is not there; a symbolic link is followed.  C: `open` with
  /// O_APPEND
  ///
  /// - Throws: What speaks against it; for a file that is to be rotated, EINVAL when its name is that of
  ///   something else or of a link, and ENOTSUP when its file system has no attributes, by which
  ///   ``Rotation/keep`` knows what it may remove.
  public convenience init(
    appendingTo path: FilePath, rotating rotation: Rotation? = nil, options: Options = Options()
  ) throws(Errno) {
    try self.init(RecordSink(appendingTo: path, rotating: rotation), options)
  }

  /// Writes to a descriptor, which is closed with this: a file, a pipe, a stream socket, a terminal.
  ///
  /// - Throws: EINVAL for a socket of messages.
  public convenience init(_ sink: consuming Descriptor, options: Options = Options()) throws(Errno) {
    try self.init(RecordSink(sink), options)
  }

  /// Writes to a program that listens on a socket, such as a collector of logs on this machine. When it goes
  /// away records wait until it is there again, and the one that it had a part of is sent once more; what had
  /// reached it, or its queue, is not.  C: `connect`
  ///
  /// - Throws: What speaks against it: so the program has to be there at the beginning.
  public convenience init(
    connectingTo address: SocketAddress, options: Options = Options()
  ) throws(Errno) {
    try self.init(RecordSink(connectingTo: address), options)
  }

  /// Writes to a pipe whose reader copies what it takes, with `read` and the like, and never splices or tees
  /// it: that is for the caller to know. Many records at once go into it by reference.  C: `vmsplice`
  ///
  /// - Throws: EINVAL for what is no pipe.
  public convenience init(
    vouchingForTheReaderOf pipe: consuming Descriptor, options: Options = Options()
  ) throws(Errno) {
    guard pipe.kind == .pipe else { throw .invalidArgument }
    var options = options
    // What is still in the pipe must leave room for others.
    let size = try pipe.withFileDescriptor { number throws(Errno) in
      if try Syscall.statusFlags(of: number) & O_ACCMODE == O_RDONLY { throw .badFileDescriptor }
      return try Syscall.pipeSize(of: number)
    }
    options.capacity = max(options.capacity, 4 * size)
    try self.init(RecordSink(vouchingForTheReaderOf: pipe), options)
  }

  private init(_ sink: RecordSink, _ options: Options) throws(Errno) {
    (self.sink, self.options) = (sink, options)
    sink.syncInterval = options.syncInterval
    state = try ForkWord()
    ring = try RecordRing(capacity: options.capacity)
    // Now, by the thread that makes it: later ones may be kept from opening files, as with Landlock.
    try start()
  }

  /// What has become of records so far.
  public var counts: Counts {
    Counts(
      written: UInt64(written.load(ordering: .relaxed)), bytes: UInt64(writtenBytes.load(ordering: .relaxed)),
      dropped: UInt64(dropped.load(ordering: .relaxed)), waiting: ring.waiting)
  }
}

// MARK: - Who writes

extension PageWriter {
  /// Writes a record, whole or not at all: false when it was dropped. One that is larger than the capacity is
  /// dropped, and so is one that comes after ``close(for:)``.
  @discardableResult
  public func write(_ record: borrowing RawSpan) -> Bool {
    while true {
      let seen = progress.value
      guard isOpen else { return drop() }
      if isFull.load(ordering: .sequentiallyConsistent) {
        defer { wake(if: .naps) }
        return drop()
      }
      switch ring.append(record) {
      case .held(let isHalfFull):
        // As the thread says that it sleeps before it looks for the last time, one of both sees the other.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        wake(if: isHalfFull ? .naps : .sleeps)
        return true
      case .closed: return drop()
      case .full: break
      }
      let isTooLarge = record.byteCount > ring.capacity
      // The thread itself, in a function that it calls, would wait for itself.
      if options.whenFull == .drop || isTooLarge || Syscall.isThread(of: self) {
        if !isTooLarge, options.whenFull == .drop { isFull.store(true, ordering: .sequentiallyConsistent) }
        defer { wake(if: .naps) }
        return drop()
      }
      wake(if: .naps)
      progress.wait(while: seen, atMost: .seconds(1))
    }
  }

  /// Writes a record of text.
  @discardableResult
  public func write(_ record: String) -> Bool {
    var record = record
    return record.withUTF8 { record in unsafe write(UnsafeRawBufferPointer(record).bytes) }
  }

  private func drop() -> Bool {
    drop(1)
    return false
  }

  private func drop(_ count: Int) {
    dropped.wrappingAdd(count, ordering: .relaxed)
    unreported.wrappingAdd(count, ordering: .relaxed)
    untold.wrappingAdd(count, ordering: .relaxed)
    tell()
  }

  /// One tells at a time, so that who writes records about that does not tell of those in turn.
  private func tell() {
    guard let whenDropped = options.whenDropped, untold.load(ordering: .relaxed) > 0,
      !isTelling.exchange(true, ordering: .acquiring)
    else { return }
    whenDropped(untold.exchange(0, ordering: .relaxed))
    isTelling.store(false, ordering: .releasing)
  }

  /// Whether there is a thread. A child of the process has none until it writes something of its own.
  private var isOpen: Bool {
    switch state.value {
    case State.running: true
    case State.idle, State.failed, State.starting: (try? start()) != nil
    default: false
    }
  }

  private func start() throws(Errno) {
    if state.exchange(State.idle, for: State.starting) {
      forget()
    } else if !state.exchange(State.failed, for: State.starting) {
      while state.value == State.starting { sched_yield() }
      return
    }
    Writers.shared.add(self)
    do throws(Errno) { try Syscall.startThread(name: "splice-log") { self.run() } } catch {
      Writers.shared.remove(self)
      state.set(State.failed)
      throw error
    }
    state.set(State.running)
  }

  /// What a parent has, has dropped and asks for is the parent's.
  private func forget() {
    ring.forget()
    sink.forget()
    bell.set(0)
    isFull.store(false, ordering: .relaxed)
    isTelling.store(false, ordering: .relaxed)
    isNoteLost.store(false, ordering: .relaxed)
    dropped.store(0, ordering: .relaxed)
    unreported.store(0, ordering: .relaxed)
    untold.store(0, ordering: .relaxed)
    written.store(0, ordering: .relaxed)
    writtenBytes.store(0, ordering: .relaxed)
    urgent.store(0, ordering: .relaxed)
  }

  private enum Rest: UInt32 { case naps = 1, sleeps = 2 }

  private func wake(if rest: Rest) {
    let value = bell.value
    if value >= rest.rawValue, bell.exchange(value, for: 0) { bell.set(0) }
  }

  /// Everything is to be written at once, as long as nobody says otherwise.
  fileprivate func hurry() {
    urgent.wrappingAdd(1, ordering: .sequentiallyConsistent)
    wake(if: .naps)
  }

  /// Waits until everything that was written before is in the sink, for no longer than a time; false when it
  /// is not. Takes no lock and no memory, so that it may be called in the handler of a signal that ends the
  /// process, such as SIGSEGV; there with a short time, in case it is the writer's thread that has crashed, or
  /// one that was just writing a record, behind which nothing is written any more.
  @discardableResult
  public func flush(for time: Duration = .seconds(5)) -> Bool {
    let (end, deadline) = (ring.end, ContinuousClock.now + time)
    hurry()
    defer { urgent.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
    while true {
      let seen = progress.value
      let isRunning = state.value == State.running || state.value == State.ending
      // In a child there is nothing of its own yet.
      if state.value == State.idle || state.value == State.failed { return true }
      if ring.isTaken(upTo: end), !isRunning || !isToNote { return true }
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero, isRunning else { return false }
      wake(if: .naps)
      progress.wait(while: seen, atMost: left)
    }
  }

  /// Writes what has come, and ends; false when that took longer than a time: what was left may be lost, and is
  /// counted.
  @discardableResult
  public func close(for time: Duration = .seconds(5)) -> Bool {
    ring.close()
    let isWhole = flush(for: time)
    _ = state.exchange(State.running, for: State.ending)
    wake(if: .naps)
    return isWhole
  }

  /// The next record goes to whatever has the file's name then: for a file that was moved away.
  public func reopen() { sink.reopen() }
}

// MARK: - The thread

extension PageWriter {
  private func run() {
    Syscall.setThreadOwner(self)
    // When there was nothing that waited.
    var clear = ContinuousClock.now
    var end: ContinuousClock.Instant?
    while true {
      let count = writeSome(of: clear)
      tell()
      if ring.waiting == 0 { clear = .now }
      let untilSync = sink.syncIfDue(refused)
      if count > 0, urgent.load(ordering: .relaxed) > 0 || ring.isHalfFull { continue }
      if count == 0, state.value == State.ending {
        let since = end ?? .now
        if ring.waiting == 0 { break }
        // Somebody was copying, and is no more.
        if .now - since > Self.patience {
          drop(ring.abandon())
          break
        }
        end = since
      }
      if count > 0 {
        rest(.naps, for: min(options.flushInterval, untilSync ?? options.flushInterval))
      } else if ring.waiting > 0 {
        // Somebody is copying.
        bell.wait(while: 0, atMost: .milliseconds(1))
      } else {
        // Nobody says when a pipe has let go of memory that is needed.
        rest(.sleeps, for: ring.kept > ring.capacity / 2 ? .milliseconds(10) : untilSync)
        clear = .now
      }
    }
    sink.close(refused)
    tell()
    state.set(State.ended)
    progress.advance()
    Writers.shared.remove(self)
  }

  private func refused(_ errno: Errno) { options.whenRefused?(errno) }

  /// Until the time is over, or there is something to do: in a nap, only what cannot wait until then.
  private func rest(_ rest: Rest, for time: Duration?) {
    if time == .zero { return }
    bell.set(rest.rawValue)
    defer { bell.set(0) }
    let isUrgent = urgent.load(ordering: .sequentiallyConsistent) > 0
    switch rest {
    case .naps: if ring.isHalfFull || isUrgent && ring.waiting > 0 { return }
    case .sleeps: if ring.waiting > 0 || isToNote { return }
    }
    if state.value == State.ending || isFull.load(ordering: .sequentiallyConsistent) { return }
    bell.wait(while: rest.rawValue, atMost: time)
  }

  /// Writes some of what has come since a time; how many records that were.
  private func writeSome(of since: ContinuousClock.Instant) -> Int {
    let kept = ring.kept
    ring.release(butFor: sink.referredTo)
    if ring.kept < kept { progress.advance() }
    // Nobody waits for a disk that is full at the end.
    let outcome = sink.write(from: ring, isPatient: { state.value == State.running }, refused: refused)
    if outcome.records > 0 {
      account(for: outcome)
      if outcome.accepted.records > 0 {
        options.whenWritten?(outcome.accepted.records, ContinuousClock.now - since)
      }
    } else if ring.waiting == 0 {
      tellOfDropped()
    }
    return outcome.records
  }

  private func account(for outcome: RecordSink.Outcome) {
    let accepted = outcome.accepted
    written.wrappingAdd(accepted.records, ordering: .relaxed)
    writtenBytes.wrappingAdd(accepted.bytes, ordering: .relaxed)
    if accepted.records > 0 { isNoteLost.store(false, ordering: .sequentiallyConsistent) }
    if outcome.records > accepted.records { drop(outcome.records - accepted.records) }
    ring.take(outcome.records)
    ring.release(butFor: sink.referredTo)
    progress.advance()
  }

  /// Whether a note about those that were dropped is to be written.
  private var isToNote: Bool {
    options.noting != nil && unreported.load(ordering: .sequentiallyConsistent) > 0
      && !isNoteLost.load(ordering: .sequentiallyConsistent)
  }

  /// Behind everything that waited, and before anything else may.
  private func tellOfDropped() {
    if let noting = options.noting, isToNote {
      let count = unreported.exchange(0, ordering: .relaxed)
      if !sink.write(noting(count), isPatient: { state.value == State.running }, refused: refused) {
        isNoteLost.store(true, ordering: .sequentiallyConsistent)
        unreported.wrappingAdd(count, ordering: .sequentiallyConsistent)
      }
      progress.advance()
    }
    isFull.store(false, ordering: .sequentiallyConsistent)
  }
}

// MARK: - Ends of processes

/// All that have a thread: they write what they have at the end of the process, and are empty in a child.
private final class Writers: Sendable {
  static let shared = Writers()
  private let all = Locked<[PageWriter]>([])

  private init() {
    atexit { Writers.shared.finish() }
    // So that in a child nobody has the lock who is not there.
    csplice_atfork({ Writers.shared.all.lock() }, { Writers.shared.all.unlock() })
  }

  func add(_ writer: PageWriter) {
    all.withLock { all in if !all.contains(where: { $0 === writer }) { all.append(writer) } }
  }
  func remove(_ writer: PageWriter) { all.withLock { $0.removeAll { $0 === writer } } }

  /// At the same time, so that a sink that takes nothing costs the others none of theirs.
  private func finish() {
    let (deadline, writers) = (ContinuousClock.now + PageWriter.patience, all.withLock { $0 })
    for writer in writers { writer.hurry() }
    for writer in writers { writer.flush(for: ContinuousClock.now.duration(to: deadline)) }
  }
}
