// A thread that runs Swift jobs and, when there are none, waits in epoll_wait.
//
// A task that runs here and waits for a descriptor is woken on this same thread, without a hop. Tasks of other executors
// may wait here as well; they are resumed where they came from. Lock order: `waits`, then `queue`, never both at once.

import Glibc
import SystemPackage

/// An executor whose thread waits for descriptors: for tasks, for actors, and for flows (as their ``Readiness``).
///
/// ```swift
/// let executor = try EpollExecutor(name: "relay")
/// await withTaskExecutorPreference(executor) { … }
/// executor.shutdown()
/// ```
public final class EpollExecutor: TaskExecutor, SerialExecutor, Readiness {
  private typealias Outcome = Result<Woken, Errno>

  /// Somebody who waits: a task that is suspended, or the one that runs, when the whole thread waits for it.
  private enum Waiter: Sendable {
    case suspended(Suspended)
    case running
  }

  /// A task that is suspended. Resumed once: `waits` hands out each waiter at most once, and `park` the one it did not keep.
  @safe private struct Suspended: Sendable {
    private let continuation: UnsafeContinuation<Outcome, Never>
    init(_ continuation: UnsafeContinuation<Outcome, Never>) {
      unsafe self.continuation = continuation
    }
    func resume(_ outcome: Outcome) { unsafe continuation.resume(returning: outcome) }
  }

  /// Jobs in the order in which they came. The thread is asleep, or about to be, while there are none.
  private struct Queue {
    private var jobs: [UnownedJob] = []
    private var next = 0
    var isAsleep = false
    var isStopping = false

    var isEmpty: Bool { next == jobs.count }

    mutating func append(_ job: UnownedJob) { jobs.append(job) }

    mutating func pop() -> UnownedJob? {
      guard next < jobs.count else { return nil }
      defer {
        next += 1
        if isEmpty {
          jobs.removeAll(keepingCapacity: true)
          next = 0
        }
      }
      return jobs[next]
    }
  }

  private let epoll: Descriptor
  private let bell: Descriptor
  private let queue = Locked(Queue())
  private let waits = Locked(Registrations<Waiter>())
  private let polling = Locked(Polling())

  /// What a poll needs, used again each time and only on this thread.
  private struct Polling {
    var events = [Syscall.EpollEvent](repeating: Syscall.EpollEvent(), count: 256)
    var woken: [(Waiter, Woken)] = []
  }

  /// While jobs keep coming, the kernel is asked for events no oftener than this.
  private static let pollInterval = Duration.milliseconds(1)
  private static let bellKey: UInt64 = 0

  /// Starts the thread. It runs until ``shutdown()``.
  public init(name: String = "splice-epoll") throws(Errno) {
    epoll = Descriptor(owning: try Syscall.epollCreate())
    bell = Descriptor(owning: try Syscall.eventfd())
    try Syscall.epollControl(
      epoll.raw, .add, bell.raw, events: Syscall.EpollEvents.input | Syscall.EpollEvents.edgeTriggered,
      key: Self.bellKey)
    try Syscall.startThread(name: name) { self.run() }
  }

  /// The executor whose thread this is.
  public static var current: EpollExecutor? { Syscall.threadOwner(as: EpollExecutor.self) }

  /// One for everybody, started when it is first asked for and never ended.
  public static let shared: EpollExecutor = {
    do { return try EpollExecutor() } catch { fatalError("epoll cannot be had: \(error)") }
  }()

  /// Ends the thread when its jobs have run. No task may need this executor afterwards.
  public func shutdown() {
    queue.withLock { $0.isStopping = true }
    ring()
  }
}

extension Readiness where Self == LocalEpoll {
  /// The executor a flow runs on, when that is an ``EpollExecutor``; the shared one otherwise.
  public static var epoll: LocalEpoll { LocalEpoll() }
}

/// Waits on the executor the flow runs on. That is known only once it runs, since whoever starts it may be elsewhere, so
/// the choice is made at the first ``attach(_:)`` and kept.
public final class LocalEpoll: Readiness {
  private let chosen = Locked<EpollExecutor?>(nil)

  init() {}

  private var executor: EpollExecutor {
    chosen.withLock { chosen in
      let executor = chosen ?? .current ?? .shared
      chosen = executor
      return executor
    }
  }

  /// Begins to watch a descriptor.
  public func attach(_ descriptor: FileDescriptor) -> RegistrationKey { executor.attach(descriptor) }

  /// Ends the watch.
  public func detach(_ key: RegistrationKey) { executor.detach(key) }

  /// Ends the waits for a descriptor early.
  public func interrupt(_ key: RegistrationKey) { executor.interrupt(key) }

  /// Waits for an edge.
  public func wait(
    for first: Interest, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> Woken {
    try await executor.wait(for: first, or: second, until: deadline)
  }
}

// MARK: - Jobs

extension EpollExecutor {
  /// Takes a job, from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    let mustWake = queue.withLock { queue in
      queue.append(unowned)
      defer { queue.isAsleep = false }
      return queue.isAsleep
    }
    if mustWake { ring() }
  }

  /// Traps unless this is the executor's thread.
  public func checkIsolated() {
    precondition(Syscall.isThread(of: self), "not on the thread of this EpollExecutor")
  }

  private func ring() { Syscall.signal(eventfd: bell.raw) }

  private func run() {
    Syscall.setThreadOwner(self)
    var lastPoll = ContinuousClock.now
    while true {
      let (job, isBusy, isStopping) = queue.withLock { queue in
        let job = queue.pop()
        queue.isAsleep = job == nil
        return (job, !queue.isEmpty, queue.isStopping)
      }
      guard let job else {
        if isStopping { return }
        poll(milliseconds: timeout())
        continue
      }
      // As a task executor, for actors too: a task is then at home between two calls, where isolation to the serial
      // executor would have it enqueued at every one. An actor's code runs on this thread alone, and `checkIsolated` says so.
      unsafe job.runSynchronously(on: asUnownedTaskExecutor())
      // With more at hand the kernel is asked too, but not at every turn, and not when nobody waits for it.
      if isBusy, ContinuousClock.now - lastPoll >= Self.pollInterval {
        if !waits.withLock({ $0.isIdle }) { poll(milliseconds: 0) }
        lastPoll = .now
      }
    }
  }
}

// MARK: - Events

extension EpollExecutor {
  private func timeout() -> CInt {
    guard let earliest = waits.withLock({ $0.earliest }) else { return -1 }
    let left = (earliest - ContinuousClock.now).nanoseconds
    // Rounded up, so that the deadline has passed when the wait ends.
    return left <= 0 ? 0 : CInt(clamping: (left + 999_999) / 1_000_000)
  }

  /// Takes what the kernel has to tell, and wakes whoever waits for it. The answer is for the task that runs, if it is woken.
  @discardableResult
  private func poll(milliseconds: CInt) -> Woken? {
    polling.withLock { polling in
      // EBADF and EINVAL would be bugs of ours, and there is no other error.
      guard let count = try? Syscall.epollWait(epoll.raw, into: &polling.events, milliseconds: milliseconds)
      else { fatalError("epoll_wait failed") }
      queue.withLock { $0.isAsleep = false }
      waits.withLock { waits in
        for event in polling.events.prefix(count) where event.key != Self.bellKey {
          waits.event(
            RegistrationKey(epoll: event.key), Edges(epoll: event.events), isLast: event.events.isLast,
            waking: &polling.woken)
        }
        if waits.earliest != nil { waits.expire(at: .now, waking: &polling.woken) }
      }
      var running: Woken?
      for (waiter, which) in polling.woken {
        switch waiter {
        case .suspended(let task): task.resume(.success(which))
        case .running: running = which
        }
      }
      polling.woken.removeAll(keepingCapacity: true)
      return running
    }
  }
}

extension RegistrationKey {
  fileprivate init(epoll key: UInt64) {
    self.init(
      descriptor: FileDescriptor(rawValue: CInt(truncatingIfNeeded: key)), generation: UInt32(key >> 32))
  }

  fileprivate var epoll: UInt64 {
    UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor.rawValue))
  }
}

extension Edges {
  private typealias Events = Syscall.EpollEvents

  fileprivate init(epoll events: UInt32) {
    self = []
    if events & (Events.input | Events.urgent | Events.readHangUp | Events.hangUp | Events.error) != 0 {
      insert(.source)
    }
    if events & (Events.output | Events.hangUp | Events.error) != 0 { insert(.sink) }
  }

  fileprivate var epoll: UInt32 {
    Events.edgeTriggered
      | (contains(.source) ? Events.input | Events.readHangUp | Events.urgent : 0)
      | (contains(.sink) ? Events.output : 0)
  }
}

extension UInt32 {
  /// Ended, failed, or urgent data, at which a read stops short.
  fileprivate var isLast: Bool {
    typealias Events = Syscall.EpollEvents
    return self & (Events.urgent | Events.readHangUp | Events.hangUp | Events.error) != 0
  }
}

// MARK: - Readiness

extension EpollExecutor {
  /// Begins to watch a descriptor. The kernel is asked only when somebody waits.
  public func attach(_ descriptor: FileDescriptor) -> RegistrationKey {
    waits.withLock { $0.attach(descriptor) }
  }

  /// Ends the watch, and tells the kernel when it was the last.  C: `epoll_ctl` with EPOLL_CTL_DEL
  public func detach(_ key: RegistrationKey) {
    waits.withLock { waits in
      guard waits.detach(key) else { return }
      // It is open still, so this can only fail where it was never added.
      try? Syscall.epollControl(epoll.raw, .remove, key.descriptor, events: 0, key: 0)
    }
  }

  /// Waits for an edge.  C: `epoll_ctl`, `epoll_wait`
  public func wait(
    for first: Interest, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> Woken {
    if let outcome = waitHere(for: first, or: second, until: deadline) { return try outcome.get() }
    let outcome: Outcome = await unsafe withUnsafeContinuation { continuation in
      let task = unsafe Suspended(continuation)
      if case .over(let outcome) = park(.suspended(task), for: first, or: second, until: deadline) {
        task.resume(outcome)
      }
    }
    return try outcome.get()
  }

  /// Ends the waits for a descriptor early.
  public func interrupt(_ key: RegistrationKey) {
    var woken: [(Waiter, Woken)] = []
    waits.withLock { $0.interrupt(key, waking: &woken) }
    for (waiter, which) in woken {
      switch waiter {
      case .suspended(let task): task.resume(.success(which))
      case .running: ring()
      }
    }
  }

  /// When the task that waits runs on this thread and nobody else has anything to do, the thread waits for it: that saves
  /// suspending it and bringing it back, which costs as much as a system call. Nil when there is something else to do.
  private func waitHere(
    for first: Interest, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) -> Outcome? {
    guard Syscall.isThread(of: self) else { return nil }
    switch park(.running, for: first, or: second, until: deadline) {
    case .over(let outcome): return outcome
    case .parked(let ticket):
      while fallAsleep() {
        if let woken = poll(milliseconds: timeout()) { return .success(woken) }
        // Interrupted, perhaps for another task's sake.
        if !waits.withLock({ $0.isParked(ticket) }) { return .success([]) }
      }
      // There are jobs to be done first.
      waits.withLock { _ = $0.unpark(ticket) }
      return nil
    }
  }

  /// Says that the thread is about to sleep, unless there are jobs.
  private func fallAsleep() -> Bool {
    queue.withLock { queue in
      queue.isAsleep = queue.isEmpty
      return queue.isAsleep
    }
  }

  private enum Parked {
    case parked(Registrations<Waiter>.Ticket)
    case over(Outcome)
  }

  /// Parks, and asks the kernel for what it was not asked yet.
  private func park(
    _ waiter: Waiter, for first: Interest, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) -> Parked {
    waits.withLock { waits in
      // Cancelled before this, it is seen here; cancelled after it, the wait is found parked and is interrupted.
      if Task.isCancelled { return .over(.success([])) }
      let before = waits.earliest
      switch waits.park(waiter, for: first, or: second, until: deadline) {
      case .ready(let woken): return .over(.success(woken))
      case .parked(let ticket, let subscriptions):
        for subscription in subscriptions {
          do throws(Errno) { try subscribe(subscription) } catch {
            waits.unpark(ticket)
            guard error == .notPermitted else {
              waits.forget(subscription)
              return .over(.failure(error))
            }
            // EPERM is epoll's word for a file that is always ready.
            waits.markAlwaysReady(subscription.key)
            return .over(.success(subscription.key == first.key ? .first : .second))
          }
        }
        // The thread may be asleep until a later deadline.
        if waits.earliest != before, !Syscall.isThread(of: self) { ring() }
        return .parked(ticket)
      }
    }
  }

  private func subscribe(_ subscription: Registrations<Waiter>.Subscription) throws(Errno) {
    try Syscall.epollControl(
      epoll.raw, subscription.isNew ? .add : .modify, subscription.key.descriptor,
      events: subscription.edges.epoll, key: subscription.key.epoll)
  }
}
