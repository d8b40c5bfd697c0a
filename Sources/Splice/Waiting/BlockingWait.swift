// Waiting for programs without async: the calling thread waits in poll(2), with a deadline, until it is
// stopped.

import CSplice
import Synchronization
import SystemPackage

/// How a blocking flow waits: for how long, and who may stop it.
public struct BlockingWait: Sendable {
  /// When to give up.
  public var deadline: ContinuousClock.Instant?
  /// What ends the wait from outside.
  public var stop: StopFlag?

  /// Waits until `deadline`, or until `stop` is given its word.
  public init(until deadline: ContinuousClock.Instant? = nil, orStoppedBy stop: StopFlag? = nil) {
    self.deadline = deadline
    self.stop = stop
  }

  /// Waits as long as it takes.
  public static var poll: BlockingWait { BlockingWait() }

  /// Waits for one of at most two interests, and no longer than `time`. Early when a signal comes, so look at
  /// ``check()`` and try again.  C: `ppoll`
  package func wait(
    for first: Interest?, or second: Interest? = nil, until time: ContinuousClock.Instant? = nil
  ) throws(Errno) -> ReadySet {
    try wait(for: first, or: second, alarms: Alarms(), until: time)
  }

  /// At most two descriptors whose failure ends a wait, whatever else is waited for.  C: POLLERR
  struct Alarms: Sendable, Hashable {
    var first = RegistrationKey.none
    var second = RegistrationKey.none
    /// A hang-up is a failure too: the reader of a unix socket or a pipe is gone.
    var includesHangUp = false
    /// So is that the peer has closed its own half.
    var includesClosing = false
  }

  /// Waits for a failure as well.
  func wait(
    for first: Interest?, or second: Interest?, alarms: Alarms, until time: ContinuousClock.Instant?
  ) throws(Errno) -> ReadySet {
    var descriptors: [pollfd] = []
    if let first { descriptors.append(pollfd(first)) }
    if let second { descriptors.append(pollfd(second)) }
    let beforeAlarms = descriptors.count
    if alarms != Alarms() {
      descriptors.append(pollfd(alarm: alarms.first, alarms.includesClosing))
      descriptors.append(pollfd(alarm: alarms.second, alarms.includesClosing))
    }
    let alarmed = beforeAlarms..<descriptors.count
    if let stop { descriptors.append(pollfd(stop)) }
    let last = [deadline, time].compactMap { $0 }.min()
    let failure = Int16(
      POLLERR | (alarms.includesHangUp ? POLLHUP : 0) | (alarms.includesClosing ? Syscall.readHangUp : 0))
    func hasFailed(_ index: Int) -> Bool { descriptors[index].revents & failure != 0 }
    guard try poll(&descriptors, for: last.map { $0 - .now }) > 0 else { return [] }
    // Both halves of a socket may be closed without a failure, of which poll tells again and again, asked or
    // not.
    let hungUp = alarmed.filter { descriptors[$0].revents != 0 && !hasFailed($0) }
    if !hungUp.isEmpty {
      for index in hungUp { descriptors[index].fd = -1 }
      guard try poll(&descriptors, for: last.map { $0 - .now }) > 0 else { return [] }
    }
    var ready: ReadySet = alarmed.contains(where: hasFailed) ? .failed : []
    if first != nil, descriptors[0].revents != 0 { ready.insert(.first) }
    if second != nil, descriptors[first == nil ? 0 : 1].revents != 0 { ready.insert(.second) }
    return ready
  }

  /// Waits for any of many descriptors, and no longer than `time`.  C: `ppoll`
  package func wait(forAnyOf interests: [Interest], atMost time: Duration?) throws(Errno) {
    var descriptors = interests.map { pollfd($0) }
    if let stop { descriptors.append(pollfd(stop)) }
    let left = [deadline.map { $0 - .now }, time].compactMap { $0 }.min()
    _ = try poll(&descriptors, for: left)
  }

  /// The stop, if there is one, is the last of them.
  private func poll(_ descriptors: inout [pollfd], for time: Duration?) throws(Errno) -> Int {
    let count = try Syscall.ppoll(&descriptors, for: time)
    if let stop, descriptors.last?.revents != 0 { stop.settle() }
    return count
  }

  /// Lets some time pass; less when stopped.  C: `ppoll`
  package func pause(for time: Duration) { try? wait(forAnyOf: [], atMost: time) }

  /// One wait for one descriptor.
  @discardableResult
  func waitOnce(
    for descriptor: FileDescriptor, as direction: Descriptor.Direction, alarms: Alarms = Alarms()
  ) throws(SpliceError) -> ReadySet {
    try check()
    let interest = Interest(RegistrationKey(descriptor: descriptor, generation: 0), as: direction)
    let ready: ReadySet
    do throws(Errno) { ready = try wait(for: interest, or: nil, alarms: alarms, until: nil) } catch {
      throw .pipe(error)
    }
    try check()
    return ready
  }

  /// Throws when the flow is to end: stopped, or out of time.
  package func check() throws(SpliceError) {
    if let stop, stop.isStopped { throw .cancelled }
    if let deadline, deadline <= .now { throw .timedOut }
  }
}

extension pollfd {
  fileprivate init(_ interest: Interest) {
    let events = interest.direction == .source ? POLLIN : POLLOUT
    self.init(fd: interest.key.descriptor.rawValue, events: Int16(events), revents: 0)
  }

  /// Of a failure poll tells without being asked.
  fileprivate init(alarm: RegistrationKey, _ includesClosing: Bool) {
    self.init(
      fd: alarm.descriptor.rawValue, events: Int16(includesClosing ? Syscall.readHangUp : 0), revents: 0)
  }

  fileprivate init(_ stop: StopFlag) {
    self.init(fd: stop.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
  }
}

/// Stops blocking flows, from another thread or from a signal handler. What they have taken stays in their
/// pipes.
public final class StopFlag: Sendable {
  private let event: Event
  private let flag = Atomic<Bool>(false)

  /// A stop that has not been given.  C: `eventfd`
  public init() throws(Errno) {
    event = try Event()
  }

  /// Stops, until ``reset()``. Does nothing but store a flag and write to a descriptor, so a signal handler
  /// may call it.
  public func stop() {
    flag.store(true, ordering: .releasing)
    event.signal()
  }

  /// Whether ``stop()`` was called.
  public var isStopped: Bool { flag.load(ordering: .acquiring) }

  /// Takes the word back, so that what was stopped can be gone on with. Not for a signal handler.  C: `read`
  public func reset() {
    // In this order: a word that comes in between is in the flag, which is looked at before each wait.
    flag.store(false, ordering: .releasing)
    event.drain()
  }

  /// It was readable. A word that was taken back while another thread was giving it has left that behind, and
  /// nothing but that.
  fileprivate func settle() {
    if isStopped { return }
    event.drain()
    // What has come meanwhile was drained too, and others may wait for it.
    if isStopped { event.signal() }
  }

  /// Readable once stopped, for programs that wait by themselves.
  var descriptor: FileDescriptor { event.descriptor }

  /// The flag as something to wait for, beside others.
  package var interest: Interest { event.interest }
}
