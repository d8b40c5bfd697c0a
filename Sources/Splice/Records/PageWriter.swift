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
/// waits for nobody, and makes no system call but one to wake that thread when it sleeps; the thread writes
/// what has come, many records at once. They are never torn or mixed, and come in the order in which they were written; with
/// several writers, or processes, that append to one file, each record is whole.
///
/// What survives what: a record that was written to this is in the process for up to
/// ``Options/flushInterval``, then in the kernel, and with ``Options/syncInterval`` on the disk after that.
/// So a process that ends, by `exit` or by returning from `main`, has written everything, if that takes no
/// more than a second; one that is killed loses what came in the last interval; one that crashes does, unless
/// its handler calls ``flush(for:)``; a machine that loses power loses what was not on its disk.
public final class PageWriter: Sendable {
  /// How records wait, and when they are written.
  public struct Options: Sendable {
    /// Bytes of records that may wait.
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
    /// Told how many records were dropped, by whoever has dropped them.
    public var whenDropped: (@Sendable (Int) -> Void)?
    /// Told by the writer's thread that its sink refuses what is written, once until it takes some again; or
    /// that a file could not be opened anew, and the old one is written on.
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
  private let isFull = Atomic<Bool>(false)
  private let dropped = Atomic<Int>(0), unreported = Atomic<Int>(0)
  private let written = Atomic<Int>(0), writtenBytes = Atomic<Int>(0)
  /// As many as have asked for everything to be written at once.
  private let urgent = Atomic<Int>(0)

  private enum State {
    /// There is no thread: so it is in a child of the process.
    static let idle: UInt32 = 0
    static let starting: UInt32 = 1, running: UInt32 = 2, ending: UInt32 = 3, ended: UInt32 = 4
  }

  /// How long the end of a process waits for a sink that takes nothing.
  static let patience = Duration.seconds(1)
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

  /// Writes to a descriptor, which is closed with this: a file, a pipe, a socket, a terminal.
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
    let size = try pipe.withFileDescriptor { number throws(Errno) in try Syscall.pipeSize(of: number) }
    options.capacity = max(options.capacity, 4 * size)
    try self.init(RecordSink(vouchingForTheReaderOf: pipe), options)
  }

  private init(_ sink: RecordSink, _ options: Options) throws(Errno) {
    (self.sink, self.options) = (sink, options)
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
      if isFull.load(ordering: .relaxed) { return drop() }
      if case .held(let count) = ring.append(record) {
        // As the thread says that it sleeps before it looks for the last time, one of both sees the other.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        wake(if: count > ring.capacity / 2 ? .naps : .sleeps)
        return true
      }
      if options.whenFull == .drop || record.byteCount > ring.capacity {
        if record.byteCount <= ring.capacity { isFull.store(true, ordering: .relaxed) }
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
    options.whenDropped?(count)
  }

  /// Whether there is a thread. A child of the process has none until it writes something of its own.
  private var isOpen: Bool {
    switch state.value {
    case State.running: true
    case State.idle, State.starting: (try? start()) != nil
    default: false
    }
  }

  private func start() throws(Errno) {
    guard state.exchange(State.idle, for: State.starting) else {
      while state.value == State.starting { sched_yield() }
      return
    }
    // What a parent has in it is the parent's to write.
    ring.forget()
    bell.set(0)
    Writers.shared.add(self)
    do throws(Errno) { try Syscall.startThread(name: "splice-log") { self.run() } } catch {
      Writers.shared.remove(self)
      state.set(State.idle)
      throw error
    }
    state.set(State.running)
  }

  private enum Rest: UInt32 { case naps = 1, sleeps = 2 }

  private func wake(if rest: Rest) {
    let value = bell.value
    if value >= rest.rawValue, bell.exchange(value, for: 0) { bell.set(0) }
  }

  /// Waits until everything that was written before is in the sink, for no longer than a time; false when it
  /// is not. Takes no lock and no memory, so that it may be called in the handler of a signal that ends the
  /// process, such as SIGSEGV; there with a short time, in case it is the writer's thread that has crashed.
  @discardableResult
  public func flush(for time: Duration = .seconds(5)) -> Bool {
    let (end, deadline) = (ring.end, ContinuousClock.now + time)
    urgent.wrappingAdd(1, ordering: .sequentiallyConsistent)
    defer { urgent.wrappingSubtract(1, ordering: .sequentiallyConsistent) }
    while true {
      let seen = progress.value
      if ring.isTaken(upTo: end) { return true }
      let left = ContinuousClock.now.duration(to: deadline)
      guard left > .zero, state.value == State.running || state.value == State.ending else { return false }
      wake(if: .naps)
      progress.wait(while: seen, atMost: left)
    }
  }

  /// Writes what has come, and ends; false when that took longer than a time: what was left may be lost.
  @discardableResult
  public func close(for time: Duration = .seconds(5)) -> Bool {
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
    var lastSync = ContinuousClock.now
    var isUnsynced = false
    // When there was nothing that waited.
    var clear = ContinuousClock.now
    while true {
      let count = writeSome(of: clear)
      if ring.waiting == 0 { clear = .now }
      if count > 0 {
        isUnsynced = true
        if urgent.load(ordering: .relaxed) > 0 || ring.waiting > ring.capacity / 2 { continue }
      }
      if isUnsynced, let interval = options.syncInterval, ContinuousClock.now - lastSync >= interval {
        sink.sync()
        (lastSync, isUnsynced) = (.now, false)
      }
      if count == 0, state.value == State.ending { break }
      if count > 0 {
        rest(.naps, for: options.flushInterval)
      } else {
        rest(.sleeps, for: isUnsynced ? options.syncInterval : nil)
        clear = .now
      }
    }
    if isUnsynced, options.syncInterval != nil { sink.sync() }
    sink.close()
    state.set(State.ended)
    progress.advance()
    Writers.shared.remove(self)
  }

  /// Until the time is over, or there is something to do: in a nap, only what cannot wait until then.
  private func rest(_ rest: Rest, for time: Duration?) {
    if time == .zero { return }
    bell.set(rest.rawValue)
    defer { bell.set(0) }
    let count = ring.waiting
    let isUrgent = count > 0 && urgent.load(ordering: .sequentiallyConsistent) > 0
    if isUrgent || count > (rest == .naps ? ring.capacity / 2 : 0) { return }
    if state.value == State.ending || isFull.load(ordering: .relaxed) { return }
    bell.wait(while: rest.rawValue, atMost: time)
  }

  /// Writes some of what has come since a time; how many records that were.
  private func writeSome(of since: ContinuousClock.Instant) -> Int {
    ring.release(butFor: sink.referredTo)
    // Nobody waits for a disk that is full at the end.
    let outcome = sink.write(from: ring, isPatient: { state.value == State.running }) {
      options.whenRefused?($0)
    }
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
    if outcome.records > accepted.records { drop(outcome.records - accepted.records) }
    ring.take(outcome.records)
    ring.release(butFor: sink.referredTo)
    progress.advance()
  }

  /// Behind everything that waited, and before anything else may.
  private func tellOfDropped() {
    if let noting = options.noting, unreported.load(ordering: .relaxed) > 0 {
      let count = unreported.exchange(0, ordering: .relaxed)
      if !sink.write(noting(count)) { unreported.wrappingAdd(count, ordering: .relaxed) }
    }
    isFull.store(false, ordering: .relaxed)
  }
}

// MARK: - Ends of processes

/// All that have a thread: they write what they have at the end of the process, and are empty in a child.
private final class Writers: Sendable {
  static let shared = Writers()
  private let all = Locked<[PageWriter]>([])

  private init() {
    atexit { Writers.shared.finish() }
  }

  func add(_ writer: PageWriter) { all.withLock { $0.append(writer) } }
  func remove(_ writer: PageWriter) { all.withLock { $0.removeAll { $0 === writer } } }

  private func finish() {
    let deadline = ContinuousClock.now + PageWriter.patience
    for writer in all.withLock({ $0 }) { writer.flush(for: ContinuousClock.now.duration(to: deadline)) }
  }
}
