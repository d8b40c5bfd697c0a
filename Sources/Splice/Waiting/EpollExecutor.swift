// A thread that runs Swift jobs and, when there are none, waits in epoll_wait.
//
// A task that runs here and waits for a descriptor is woken on this same thread, without a hop. Tasks of
// other executors may wait here as well; they are resumed where they came from, and never while the lock is
// held.

import CSplice
import SystemPackage

/// An executor whose thread waits for descriptors: for tasks, for actors, and for flows (as their
/// ``Readiness``).
///
/// ```swift
/// let executor = try EpollExecutor(name: "relay")
/// let client = Handover(try await listener.accept())
/// let serving = Task(executorPreference: executor) {
///   var pipe = try SplicePipe()
///   try await pipe.forward(from: client.take(), to: Descriptor.open("/dev/null", .writeOnly))
/// }
/// _ = try await serving.value
/// executor.shutdown()
/// ```
public final class EpollExecutor: TaskExecutor, SerialExecutor, Readiness {
  private typealias Outcome = Result<ReadySet, Errno>

  /// A waiter: a task that is suspended, and what this thread does on its behalf, if it is lent
  /// that.
  private struct Waiter: Sendable {
    let task: Suspended
    var handler: Loan?
  }

  /// A reference that is not counted: the task keeps its handler until it is resumed.
  @safe private struct Loan: @unchecked Sendable {
    private let handler: Unmanaged<ReadyHandler>
    init(_ handler: ReadyHandler) { unsafe self.handler = .passUnretained(handler) }
    func goOn(_ ready: ReadySet) -> Wait? { unsafe handler._withUnsafeGuaranteedRef { $0.goOn(ready) } }
  }

  /// A task that is suspended. Resumed once: `waits` hands out each waiter at most once, and `park` the one
  /// it did not keep.
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
        // Half of it done: the rest moves to the front, which costs each job one move on average. A queue
        // that is never empty would else grow for ever.
        if isEmpty || (next >= 64 && next * 2 >= jobs.count) {
          jobs.removeFirst(next)
          next = 0
        }
      }
      return jobs[next]
    }
  }

  private let epoll: Descriptor
  private let bell: Event
  /// Held by tasks that wait for a time alone.
  let pausing: RegistrationKey
  private let state = Locked(State())
  private let polling = Locked(Polling())

  private struct State {
    var queue = Queue()
    var waits = Registrations<Waiter>()
    /// Tasks with an handler that are to be resumed, by this thread, which may be about it just now.
    var interrupted: [(task: Suspended, ready: ReadySet)] = []

    /// When this thread was first asked how long it has been busy since the last poll.
    var busySince: Moment?

    /// Whether the kernel has not been asked for some time.
    mutating func isDue() -> Bool {
      let now = Moment.now
      let since = busySince ?? now
      busySince = since
      guard now - since >= EpollExecutor.pollInterval else { return false }
      // If nobody waits for it, it is not asked now either.
      if !isAwaited { busySince = now }
      return true
    }

    /// Whether a task waits for what a poll brings.
    var isAwaited: Bool { !waits.isIdle || !interrupted.isEmpty }
  }

  /// What a poll needs, used again each time and only on this thread.
  private struct Polling {
    var events = [Syscall.EpollEvent](repeating: Syscall.EpollEvent(), count: 256)
    var ready: [Registrations<Waiter>.Wake] = []
    #if DEBUG
    var audit = Audit()
    #endif
  }

  /// While jobs keep coming, the kernel is asked for events no oftener than this.
  private static let pollInterval = Duration.milliseconds(1)
  private static let bellKey: UInt64 = 0

  /// Starts the thread. It runs until ``shutdown()``.
  public init(name: String = "splice-epoll") throws(Errno) {
    epoll = Descriptor(owning: try Syscall.epollCreate())
    bell = try Event()
    pausing = state.withLock { [bell] in $0.waits.attach(bell.descriptor) }
    try Syscall.epollControl(
      epoll.raw, .add, bell.descriptor, events: Syscall.EpollEvents.input | Syscall.EpollEvents.edgeTriggered,
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

/// Waits on the executor the flow runs on. That is known only once it runs, since the task that starts it may
/// be elsewhere, so the choice is made at the first ``attach(_:)`` and kept.
public final class LocalEpoll: Readiness {
  private let chosen = Locked<EpollExecutor?>(nil)

  init() {}

  var executor: EpollExecutor {
    chosen.withLock { chosen in
      let executor = chosen ?? .current ?? .shared
      chosen = executor
      return executor
    }
  }

  /// The one that was chosen.
  public var epollExecutor: EpollExecutor? { executor }

  /// Begins to watch a descriptor.
  public func attach(_ descriptor: FileDescriptor) -> RegistrationKey { executor.attach(descriptor) }

  /// Ends the watch.
  public func detach(_ key: RegistrationKey) { executor.detach(key) }

  /// Ends the waits for a descriptor early.
  public func interrupt(_ key: RegistrationKey) { executor.interrupt(key) }

  /// Waits for an edge.
  public func wait(
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> ReadySet {
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

  /// Whether nobody else wants this thread just now: no job waits, and the kernel was asked a short while ago.
  func isFree() -> Bool { state.withLock { $0.queue.isEmpty && !$0.isDue() } }

  /// Traps unless this is the executor's thread.
  public func checkIsolated() {
    precondition(Syscall.isThread(of: self), "not on the thread of this EpollExecutor")
  }

  private func ring() { bell.signal() }

  private func run() {
    Syscall.setThreadOwner(self)
    var hasRun = false
    while true {
      // However jobs keep coming, even a single one that makes way for itself, the kernel is asked in
      // between: not at every turn, and not when nobody waits for it.
      let (job, isStopping, deadline, isDue) = state.withLock { state in
        let job = state.queue.pop()
        state.queue.isAsleep = job == nil
        return (job, state.queue.isStopping, state.waits.earliest, job != nil && hasRun && state.isDue())
      }
      guard let job else {
        if isStopping { return }
        poll(until: deadline)
        hasRun = false
        continue
      }
      if isDue, state.withLock({ $0.isAwaited }) { poll(until: .now) }
      // As a task executor, for actors too: a task is then at home between two calls, where isolation to the
      // serial executor would have it enqueued at every one. An actor's code runs on this thread alone, and
      // `checkIsolated` says so.
      unsafe job.runSynchronously(on: asUnownedTaskExecutor())
      hasRun = true
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

  /// Takes what the kernel has to tell, and wakes the task that waits for it, or does what it was left to do.
  private func poll(until deadline: Moment?) {
    polling.withLock { polling in
      #if DEBUG
      let deadline = polling.audit.wakeTime(before: deadline)
      #endif
      // EBADF and EINVAL would be bugs of ours, and there is no other error.
      guard
        let count = try? Syscall.epollWait(
          epoll.raw, into: &polling.events, milliseconds: milliseconds(until: deadline))
      else { fatalError("epoll_wait failed") }
      let interrupted = state.withLock { state in
        state.queue.isAsleep = false
        state.busySince = nil
        for event in polling.events.prefix(count) where event.key != Self.bellKey {
          let less = state.waits.event(
            RegistrationKey(epoll: event.key), Edges(epoll: event.events), isLast: event.events.isLast,
            waking: &polling.ready)
          if let less { ask(less, &state) }
        }
        if state.waits.earliest != nil { state.waits.expire(at: .now, waking: &polling.ready) }
        defer { if !state.interrupted.isEmpty { state.interrupted = [] } }
        return state.interrupted
      }
      for (waiter, ready, ticket) in polling.ready {
        if let ticket, let handler = waiter.handler {
          run(handler, of: waiter.task, ticket)
        } else {
          waiter.task.resume(.success(ready))
        }
      }
      // After the handlers, one of which may have been theirs.
      for (task, ready) in interrupted { task.resume(.success(ready)) }
      polling.ready.removeAll(keepingCapacity: true)
      #if DEBUG
      if count == 0 { mustNotHaveLost(&polling.audit) }
      #endif
    }
  }

  #if DEBUG
  /// Traps when a task is parked whose descriptor has been ready for some time.
  private func mustNotHaveLost(_ audit: inout Audit) {
    if let lost = audit.look(at: { state.withLock { $0.waits.parked } }) {
      fatalError("\(lost.interest) is ready and waited for, and epoll tells of nothing: an edge was lost")
    }
  }
  #endif

  /// Goes on with what a task has left to this thread, which stays parked meanwhile. The one that takes it
  /// out of the table resumes it, and with that the handler is gone: a task at home elsewhere may run at
  /// once.
  private func run(_ handler: Loan, of task: Suspended, _ ticket: Registrations<Waiter>.Ticket) {
    guard var ready = state.withLock({ $0.waits.answer(ticket) }) else { return }
    repeat {
      guard let wait = handler.goOn(ready) else {
        if state.withLock({ $0.waits.unpark(ticket) }) != nil { task.resume(.success([])) }
        return
      }
      let outcome = state.withLock { state -> Outcome? in
        if state.waits.endIfOverdue(ticket, until: wait.deadline) { return nil }
        guard
          let (ready, subscriptions) = state.waits.renew(
            ticket, for: wait)
        else { return .success([]) }
        return subscribe(subscriptions, for: wait, of: ticket, &state).map { $0.union(ready) }
      }
      switch outcome {
      case .success(let more)?: ready = more
      case .failure(let error)?: return task.resume(.failure(error))
      case nil: return task.resume(.success([]))
      }
    } while !ready.isEmpty
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
    if events & Events.error != 0 { insert(.failure) }
    if events & Events.hangUp != 0 { insert(.hangUp) }
    if events & Events.readHangUp != 0 { insert(.readHangUp) }
  }

  fileprivate var epoll: UInt32 {
    Events.edgeTriggered
      | (contains(.source) ? Events.input | Events.readHangUp | Events.urgent : 0)
      | (contains(.sink) ? Events.output : 0)
      | (contains(.readHangUp) ? Events.readHangUp : 0)
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
  /// This one.
  public var epollExecutor: EpollExecutor? { self }

  /// Begins to watch a descriptor. The kernel is asked only when a task waits.
  public func attach(_ descriptor: FileDescriptor) -> RegistrationKey {
    state.withLock { $0.waits.attach(descriptor) }
  }

  func attach(_ descriptor: FileDescriptor, inBothDirections: Bool) -> RegistrationKey {
    state.withLock { $0.waits.attach(descriptor, expecting: inBothDirections ? [.source, .sink] : []) }
  }

  /// Ends the watch of a descriptor whose close will tell the kernel.
  func forget(_ key: RegistrationKey) { state.withLock { _ = $0.waits.detach(key) } }

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
  ) async throws(Errno) -> ReadySet {
    var wait = Wait(first, second, until: deadline.map(Moment.init))
    if first == nil, second == nil { wait.holder = pausing }
    return try await waitUnlessCancelled(for: wait)
  }

  /// A wait for something, or holding ``pausing``, that a cancellation of its task ends.
  func waitUnlessCancelled(for wait: Wait) async throws(Errno) -> ReadySet {
    // Something that can be interrupted.
    let key = wait.first?.key ?? wait.second?.key ?? pausing
    let outcome = await withTaskCancellationHandler {
      await suspend(for: wait, leaving: nil)
    } onCancel: {
      interrupt(key)
    }
    return try outcome.get()
  }

  func wait(for wait: Wait) async throws(Errno) -> ReadySet {
    try await suspend(for: wait, leaving: nil).get()
  }

  /// Whether a task was told an edge after which none may follow.
  func hasToldLastEdge(of key: RegistrationKey) -> Bool {
    state.withLock { $0.waits.hasToldLastEdge(of: key) }
  }

  /// Has the failure of each told to who waits for the other.
  func pair(_ one: RegistrationKey, _ other: RegistrationKey) { state.withLock { $0.waits.pair(one, other) } }

  /// Has the hang-up of a sink told to who waits for it, or for its source.
  func follow(_ sink: RegistrationKey, from source: RegistrationKey?, closing: Bool) {
    state.withLock { $0.waits.follow(sink, from: source, closing: closing) }
  }

  /// Waits in a task of this thread for what `handler` says, which goes on with what comes as long as it says
  /// what to wait for next. Bringing a task back and suspending it again costs as much as a system call, so it
  /// sleeps until there is an end.
  func wait(goingOn handler: ReadyHandler) async throws(Errno) -> ReadySet {
    guard let wait = handler.wait else { return [] }
    let outcome = await suspend(for: wait, leaving: Loan(handler))
    return try withExtendedLifetime(handler) { () throws(Errno) in try outcome.get() }
  }

  @inline(__always)
  private func suspend(for wait: Wait, leaving handler: Loan?) async -> Outcome {
    await unsafe withUnsafeContinuation { continuation in
      let task = unsafe Suspended(continuation)
      if let outcome = park(Waiter(task: task, handler: handler), wait) { task.resume(outcome) }
    }
  }

  /// Ends the waits for a descriptor early.
  public func interrupt(_ key: RegistrationKey) {
    var ready: [Registrations<Waiter>.Wake] = []
    let hasHandlers = state.withLock { state in
      state.waits.interrupt(key, waking: &ready)
      for (waiter, ready, _) in ready where waiter.handler != nil {
        state.interrupted.append((waiter.task, ready))
      }
      return !state.interrupted.isEmpty
    }
    if hasHandlers { ring() }
    for (waiter, _, _) in ready where waiter.handler == nil { waiter.task.resume(.success([])) }
  }

  /// Parks, and asks the kernel for what it was not asked yet. Nil when the task is to sleep.
  private func park(_ waiter: Waiter, _ wait: Wait) -> Outcome? {
    state.withLock { state in
      // Cancelled before this, it is seen here; cancelled after it, the wait is found parked and is
      // interrupted.
      if Task.isCancelled { return .success([]) }
      let before = state.waits.earliest
      switch state.waits.park(waiter, for: wait, stays: waiter.handler != nil) {
      case .ready(let ready): return .success(ready)
      case .parked(let ticket, let subscriptions):
        let outcome = subscribe(subscriptions, for: wait, of: ticket, &state)
        switch outcome {
        case .success([]): break
        case .success:
          state.waits.unpark(ticket)
          return outcome
        case .failure: return outcome
        }
        // The thread may be asleep until a later deadline.
        if state.waits.earliest != before, !Syscall.isThread(of: self) { ring() }
        return nil
      }
    }
  }

  /// Asks the kernel for less; one that refuses goes on as before.
  private func ask(_ less: Registrations<Waiter>.Subscription, _ state: inout State) {
    do throws(Errno) {
      try Syscall.epollControl(
        epoll.raw, .modify, less.key.descriptor, events: less.edges.epoll, key: less.key.epoll)
    } catch { state.waits.forget(less) }
  }

  /// Asks the kernel for what a wait is about, and says what of it is always ready. What the kernel refuses
  /// ends the wait.
  private func subscribe(
    _ subscriptions: [Registrations<Waiter>.Subscription], for wait: Wait,
    of ticket: Registrations<Waiter>.Ticket, _ state: inout State
  ) -> Outcome {
    var ready: ReadySet = []
    for (index, subscription) in subscriptions.enumerated() {
      do throws(Errno) {
        try Syscall.epollControl(
          epoll.raw, subscription.isNew ? .add : .modify, subscription.key.descriptor,
          events: subscription.edges.epoll, key: subscription.key.epoll)
      } catch {
        if subscription.isAlarm {
          state.waits.forget(subscription)
          continue
        }
        guard error == .notPermitted else {
          state.waits.unpark(ticket)
          for missing in subscriptions[index...].reversed() { state.waits.forget(missing) }
          return .failure(error)
        }
        // EPERM is epoll's word for a file that is always ready.
        state.waits.markAlwaysReady(subscription.key)
        if subscription.key == wait.first?.key { ready.insert(.first) }
        if subscription.key == wait.second?.key { ready.insert(.second) }
      }
    }
    return .success(ready)
  }
}
