// A thread that runs Swift jobs and, when there are none, waits in epoll_wait.
//
// A task that runs here and waits for a descriptor is woken on this same thread, without a hop. Tasks of other executors
// may wait here as well; they are resumed where they came from. Lock order: `waits`, then `queue`, never both at once.

import Glibc
import Synchronization
import SystemPackage

/// An executor whose thread waits for descriptors: for tasks, for actors, and for flows (as their ``Readiness``).
///
/// ```swift
/// let executor = try EpollExecutor(name: "relay")
/// await withTaskExecutorPreference(executor) { … }
/// executor.shutdown()
/// ```
public final class EpollExecutor: TaskExecutor, SerialExecutor, Readiness {
  /// A task that waits. Resumed once: `waits` hands out each waiter at most once, and `park` the one it did not keep.
  @safe private struct Waiter: Sendable {
    private let continuation: UnsafeContinuation<Result<Woken, Errno>, Never>
    init(_ continuation: UnsafeContinuation<Result<Woken, Errno>, Never>) {
      unsafe self.continuation = continuation
    }
    func resume(_ outcome: Result<Woken, Errno>) { unsafe continuation.resume(returning: outcome) }
  }

  private struct Queue {
    var jobs: [UnownedJob] = []
    var isAsleep = false
    var isStopping = false
  }

  private let epoll: Descriptor
  private let bell: Descriptor
  private let queue = Mutex(Queue())
  private let waits = Mutex(Registrations<Waiter>())
  private let lastTicket = Atomic<UInt64>(0)

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

extension Readiness where Self == EpollExecutor {
  /// The executor this task runs on, when that is an ``EpollExecutor``; the shared one otherwise.
  public static var epoll: EpollExecutor { .current ?? .shared }
}

// MARK: - Jobs

extension EpollExecutor {
  /// Takes a job, from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    let mustWake = queue.withLock { queue in
      queue.jobs.append(unowned)
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
    var jobs: [UnownedJob] = []
    var events = [Syscall.EpollEvent](repeating: Syscall.EpollEvent(), count: 256)
    var woken: [(Waiter, Woken)] = []
    var lastPoll = ContinuousClock.now
    while true {
      let isStopping = queue.withLock { queue in
        swap(&jobs, &queue.jobs)
        queue.isAsleep = jobs.isEmpty
        return queue.isStopping
      }
      if jobs.isEmpty, isStopping { return }
      for job in jobs {
        unsafe job.runSynchronously(
          isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
      }
      // With jobs at hand the kernel is asked too, but not at every turn.
      if !jobs.isEmpty, queue.withLock({ !$0.jobs.isEmpty }) {
        if ContinuousClock.now - lastPoll < Self.pollInterval {
          jobs.removeAll(keepingCapacity: true)
          continue
        }
        poll(&events, milliseconds: 0, &woken)
        lastPoll = .now
      } else if jobs.isEmpty {
        poll(&events, milliseconds: timeout(), &woken)
        lastPoll = .now
      }
      jobs.removeAll(keepingCapacity: true)
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

  private func poll(
    _ events: inout [Syscall.EpollEvent], milliseconds: CInt, _ woken: inout [(Waiter, Woken)]
  ) {
    // EBADF and EINVAL would be bugs of ours, and there is no other error.
    guard let count = try? Syscall.epollWait(epoll.raw, into: &events, milliseconds: milliseconds) else {
      fatalError("epoll_wait failed")
    }
    queue.withLock { $0.isAsleep = false }
    waits.withLock { waits in
      for event in events.prefix(count) {
        let key = event.key
        guard key != Self.bellKey else { continue }
        waits.event(
          RegistrationKey(epoll: key), Edges(epoll: event.events), isLast: event.events.isLast, waking: &woken
        )
      }
      if waits.earliest != nil { waits.expire(at: .now, waking: &woken) }
    }
    for (waiter, which) in woken { waiter.resume(.success(which)) }
    woken.removeAll(keepingCapacity: true)
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
    if events & (Events.input | Events.readHangUp | Events.hangUp | Events.error) != 0 { insert(.source) }
    if events & (Events.output | Events.hangUp | Events.error) != 0 { insert(.sink) }
  }

  fileprivate var epoll: UInt32 {
    Events.edgeTriggered
      | (contains(.source) ? Events.input | Events.readHangUp : 0) | (contains(.sink) ? Events.output : 0)
  }
}

extension UInt32 {
  fileprivate var isLast: Bool {
    typealias Events = Syscall.EpollEvents
    return self & (Events.readHangUp | Events.hangUp | Events.error) != 0
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
    let ticket = lastTicket.wrappingAdd(1, ordering: .relaxed).newValue
    let outcome = await withTaskCancellationHandler {
      await unsafe withUnsafeContinuation { continuation in
        let waiter = unsafe Waiter(continuation)
        if let outcome = park(waiter, ticket, for: first, or: second, until: deadline) {
          waiter.resume(outcome)
        }
      }
    } onCancel: {
      // Either the wait is parked, and ends here; or it is yet to be, and will see that the task is cancelled.
      if let waiter = waits.withLock({ $0.unpark(ticket) }) { waiter.resume(.success([])) }
    }
    return try outcome.get()
  }

  /// Parks, and asks the kernel for what it was not asked yet. Nil when the waiter is parked.
  private func park(
    _ waiter: Waiter, _ ticket: UInt64, for first: Interest, or second: Interest?,
    until deadline: ContinuousClock.Instant?
  ) -> Result<Woken, Errno>? {
    waits.withLock { waits in
      if Task.isCancelled { return .success([]) }
      let before = waits.earliest
      switch waits.park(waiter, ticket, for: first, or: second, until: deadline) {
      case .ready(let woken): return .success(woken)
      case .parked(let subscriptions):
        for subscription in subscriptions {
          do throws(Errno) {
            try subscribe(subscription)
          } catch {
            _ = waits.unpark(ticket)
            guard error == .notPermitted else {
              waits.forget(subscription)
              return .failure(error)
            }
            // EPERM is epoll's word for a file that is always ready.
            waits.markAlwaysReady(subscription.key)
            return .success(subscription.key == first.key ? .first : .second)
          }
        }
      }
      // The thread may be asleep until a later deadline.
      if waits.earliest != before, !Syscall.isThread(of: self) { ring() }
      return nil
    }
  }

  private func subscribe(_ subscription: Registrations<Waiter>.Subscription) throws(Errno) {
    try Syscall.epollControl(
      epoll.raw, subscription.isNew ? .add : .modify, subscription.key.descriptor,
      events: subscription.edges.epoll, key: subscription.key.epoll)
  }
}
