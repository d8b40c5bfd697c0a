// A thread that runs Swift jobs and, when there are none, waits in epoll_wait.
//
// A task that runs here and waits for a descriptor is woken on this same thread, without a hop. Tasks of other executors
// may wait here as well; they are resumed where they came from, and never while the lock is held.

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
        // Half of it done: the rest moves to the front, which costs each job one move on average. A queue that is never empty
        // would else grow for ever.
        if isEmpty || (next >= 64 && next * 2 >= jobs.count) {
          jobs.removeFirst(next)
          next = 0
        }
      }
      return jobs[next]
    }
  }

  private let epoll: Descriptor
  private let bell: Descriptor
  private let state = Locked(State())
  private let polling = Locked(Polling())

  private struct State {
    var queue = Queue()
    var waits = Registrations<Waiter>()

    /// Says that the thread is about to sleep, unless there are jobs.
    mutating func fallAsleep() -> Bool {
      queue.isAsleep = queue.isEmpty
      return queue.isAsleep
    }
  }

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
    state.withLock { $0.queue.isStopping = true }
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
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> Woken {
    try await executor.wait(for: first, or: second, until: deadline)
  }
}

// MARK: - Jobs

extension EpollExecutor {
  /// Takes a job, from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    let mustWake = state.withLock { state in
      state.queue.append(unowned)
      defer { state.queue.isAsleep = false }
      return state.queue.isAsleep
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
    var lastPoll = Moment.now
    while true {
      let (job, isBusy, isStopping, deadline) = state.withLock { state in
        let job = state.queue.pop()
        state.queue.isAsleep = job == nil
        return (job, !state.queue.isEmpty, state.queue.isStopping, state.waits.earliest)
      }
      guard let job else {
        if isStopping { return }
        poll(until: deadline)
        continue
      }
      // As a task executor, for actors too: a task is then at home between two calls, where isolation to the serial
      // executor would have it enqueued at every one. An actor's code runs on this thread alone, and `checkIsolated` says so.
      unsafe job.runSynchronously(on: asUnownedTaskExecutor())
      // With more at hand the kernel is asked too, but not at every turn, and not when nobody waits for it.
      if isBusy, Moment.now - lastPoll >= Self.pollInterval {
        if !state.withLock({ $0.waits.isIdle }) { poll(until: lastPoll) }
        lastPoll = .now
      }
    }
  }
}

// MARK: - Events

extension EpollExecutor {
  /// For epoll_wait: rounded up, so that the deadline has passed when the wait ends.
  private func milliseconds(until deadline: Moment?) -> CInt {
    guard let deadline else { return -1 }
    let left = (deadline - .now).nanoseconds
    return left <= 0 ? 0 : CInt(clamping: (left + 999_999) / 1_000_000)
  }

  /// Takes what the kernel has to tell, and wakes whoever waits for it. The answer is for the task that runs, if it is woken.
  @discardableResult
  private func poll(until deadline: Moment?) -> Woken? {
    polling.withLock { polling in
      // EBADF and EINVAL would be bugs of ours, and there is no other error.
      guard
        let count = try? Syscall.epollWait(
          epoll.raw, into: &polling.events, milliseconds: milliseconds(until: deadline))
      else { fatalError("epoll_wait failed") }
      state.withLock { state in
        state.queue.isAsleep = false
        for event in polling.events.prefix(count) where event.key != Self.bellKey {
          state.waits.event(
            RegistrationKey(epoll: event.key), Edges(epoll: event.events), isLast: event.events.isLast,
            waking: &polling.woken)
        }
        if state.waits.earliest != nil { state.waits.expire(at: .now, waking: &polling.woken) }
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
    state.withLock { $0.waits.attach(descriptor) }
  }

  /// Ends the watch, and tells the kernel when it was the last.  C: `epoll_ctl` with EPOLL_CTL_DEL
  public func detach(_ key: RegistrationKey) {
    state.withLock { state in
      guard state.waits.detach(key) else { return }
      // It is open still, so this can only fail where it was never added.
      try? Syscall.epollControl(epoll.raw, .remove, key.descriptor, events: 0, key: 0)
    }
  }

  /// Waits for an edge.  C: `epoll_ctl`, `epoll_wait`
  public func wait(
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> Woken {
    let deadline = deadline.map(Moment.init)
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
    state.withLock { $0.waits.interrupt(key, waking: &woken) }
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
    for first: Interest?, or second: Interest?, until deadline: Moment?
  ) -> Outcome? {
    guard Syscall.isThread(of: self) else { return nil }
    switch park(.running, for: first, or: second, until: deadline) {
    case .over(let outcome): return outcome
    case .parked(let ticket):
      while true {
        let (isParked, mayWait, deadline) = state.withLock {
          ($0.waits.isParked(ticket), $0.fallAsleep(), $0.waits.earliest)
        }
        // Interrupted, perhaps for another task's sake.
        guard isParked else { return .success([]) }
        guard mayWait else { break }
        if let woken = poll(until: deadline) { return .success(woken) }
      }
      // There are jobs to be done first.
      state.withLock { _ = $0.waits.unpark(ticket) }
      return nil
    }
  }

  private enum Parked {
    case parked(Registrations<Waiter>.Ticket)
    case over(Outcome)
  }

  /// Parks, and asks the kernel for what it was not asked yet.
  private func park(
    _ waiter: Waiter, for first: Interest?, or second: Interest?, until deadline: Moment?
  ) -> Parked {
    state.withLock { state in
      // Cancelled before this, it is seen here; cancelled after it, the wait is found parked and is interrupted.
      if Task.isCancelled { return .over(.success([])) }
      let before = state.waits.earliest
      switch state.waits.park(waiter, for: first, or: second, until: deadline) {
      case .ready(let woken): return .over(.success(woken))
      case .parked(let ticket, let subscriptions):
        for subscription in subscriptions {
          do throws(Errno) { try subscribe(subscription) } catch {
            state.waits.unpark(ticket)
            guard error == .notPermitted else {
              state.waits.forget(subscription)
              return .over(.failure(error))
            }
            // EPERM is epoll's word for a file that is always ready.
            state.waits.markAlwaysReady(subscription.key)
            return .over(.success(subscription.key == first?.key ? .first : .second))
          }
        }
        // The thread may be asleep until a later deadline.
        if state.waits.earliest != before, !Syscall.isThread(of: self) { ring() }
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
