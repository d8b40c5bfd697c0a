// The one thing a flow asks of the world: to be woken when it may go on.
//
// One verb, two interests at most: a flow waits for its source or its sink, and a `Duplex`, which drives two
// flows in one task, for one of each. Waking early is always allowed: a flow tries, and waits again.

import SystemPackage

/// Waits for descriptors on behalf of flows.
///
/// The library's own is ``EpollExecutor``, reached as `.epoll`. Another one is needed only to put flows on a
/// foreign event loop, or to script the order of events in a test.
public protocol Readiness: Sendable {
  /// Begins to watch a descriptor, which stays open until the key is given back. The key is good for this
  /// readiness alone.
  func attach(_ descriptor: FileDescriptor) -> RegistrationKey

  /// Gives a key back.
  func detach(_ key: RegistrationKey)

  /// Ends the waits for a descriptor early, since a task that may be among them was cancelled. From any
  /// thread. A wait that begins in a cancelled task ends at once.
  func interrupt(_ key: RegistrationKey)

  /// Waits until one of at most two interests may be ready, the deadline has passed or the wait is
  /// interrupted. An edge that came after the last wait counts; which one came is only a hint, and none means
  /// that the wait ended for another reason. With no interest at all, lets the time pass until the deadline.
  /// A task that is cancelled does not wait. When edges are told once and this one says more than that there
  /// are bytes, such as the end, ``ReadySet/last`` is set.
  func wait(
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> ReadySet

  /// The library's own, where that is what waits: it goes on with a flow while the task of that sleeps. Nil for
  /// others, unless they say so.
  var epollExecutor: EpollExecutor? { get }
}

extension Readiness {
  /// Another one than the library's.
  public var epollExecutor: EpollExecutor? { nil }
}

/// Names one use of a descriptor's number, so that a late event for an earlier use is not taken for one of
/// the next.
public struct RegistrationKey: Sendable, Hashable {
  /// The number.
  public let descriptor: FileDescriptor
  /// Counts the uses of it.
  public let generation: UInt32

  /// Names a use.
  public init(descriptor: FileDescriptor, generation: UInt32) {
    self.descriptor = descriptor
    self.generation = generation
  }

  /// No use of no descriptor, which no table and no poll knows.
  static let none = RegistrationKey(descriptor: FileDescriptor(rawValue: -1), generation: 0)
}

/// One thing to wait for: that a descriptor gives bytes as a source, or takes some as a sink.
public struct Interest: Sendable, Hashable {
  /// The descriptor.
  public let key: RegistrationKey
  /// Its role.
  public let direction: Descriptor.Direction

  /// Names a thing to wait for.
  public init(_ key: RegistrationKey, as direction: Descriptor.Direction) {
    self.key = key
    self.direction = direction
  }
}

/// Which of two interests may be ready.
public struct ReadySet: OptionSet, Sendable, Hashable {
  /// One bit each.
  public let rawValue: UInt8
  /// Makes a set of bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// The first may be.
  public static let first = ReadySet(rawValue: 1)
  /// The second may be.
  public static let second = ReadySet(rawValue: 2)
  /// No edge may follow, so what is ready is asked until it says EAGAIN or ends.
  public static let last = ReadySet(rawValue: 4)
  /// The partner of a descriptor that is waited for may have failed.
  static let failed = ReadySet(rawValue: 8)
}

/// What is waited for, and how long.
struct Wait: Sendable {
  var first, second: Interest?
  /// While nothing of it is waited for: interrupting it or its failure ends the wait all the same.
  var holder: RegistrationKey?
  var deadline: Moment?

  init(_ first: Interest?, _ second: Interest?, until deadline: Moment?) {
    (self.first, self.second, self.deadline) = (first, second, deadline)
  }

  /// This wait, and no longer than until `end`.
  func ending(by end: Moment?) -> Wait {
    var wait = self
    wait.deadline = deadline.map { min($0, end ?? $0) } ?? end
    return wait
  }

  /// A wait for one interest, and for the failure of `holder`.
  init(_ interest: Interest, holding holder: RegistrationKey, until deadline: Moment?) {
    (first, self.holder, self.deadline) = (interest, holder, deadline)
  }

  /// Lets time pass.
  init(pausing holder: RegistrationKey, until deadline: Moment?) {
    (self.holder, self.deadline) = (holder, deadline)
  }
}

/// What is done on behalf of a task that sleeps, on the thread of the executor it sleeps on, between its
/// falling asleep and its being resumed.
class ReadyHandler {
  /// What is waited for; nil when there is nothing more to be done without the task.
  var wait: Wait? { nil }
  /// Goes on after what came, and says what to wait for next.
  func goOn(_ ready: ReadySet) -> Wait? { nil }
}

extension Readiness {
  /// Whether a descriptor may have told its last edge to an earlier wait.
  func mayHaveToldLastEdge(of key: RegistrationKey) -> Bool {
    epollExecutor?.hasToldLastEdge(of: key) ?? true
  }

  /// From now on the failure of one of two descriptors is told to the task that waits for the other. A
  /// foreign readiness does not know of that: there a failure is noticed at the next byte.
  func pair(_ one: RegistrationKey, _ other: RegistrationKey) { epollExecutor?.pair(one, other) }

  /// From now on it is told to the task that waits for `source`, or for the sink itself, that the sink has
  /// failed or its peer has gone; if `closing`, also that the peer has ended its own half.
  func follow(_ sink: RegistrationKey, from source: RegistrationKey?, closing: Bool) {
    epollExecutor?.follow(sink, from: source, closing: closing)
  }

  /// One wait for one descriptor, by a task that may be cancelled.
  func waitOnce(
    for descriptor: FileDescriptor, as direction: Descriptor.Direction,
    until deadline: ContinuousClock.Instant? = nil
  ) async throws(SpliceError) {
    let key = attach(descriptor)
    defer { detach(key) }
    let failure = await withTaskCancellationHandler { () -> Errno? in
      do throws(Errno) {
        _ = try await wait(for: Interest(key, as: direction), or: nil, until: deadline)
      } catch {
        return error
      }
      return nil
    } onCancel: {
      interrupt(key)
    }
    if let failure { throw .pipe(failure) }
    if Task.isCancelled { throw .cancelled }
  }
}

/// Watches a descriptor for as long as a flow borrows it: a token, which takes itself out. A duplicate or a
/// fork that keeps the file open beyond that would otherwise wake us for ever.
struct Registration: ~Copyable, Sendable {
  let key: RegistrationKey
  private let watcher: any Readiness

  init(_ descriptor: FileDescriptor, on watcher: any Readiness) {
    self.watcher = watcher
    // What is none is nobody's business.
    key = descriptor.rawValue < 0 ? .none : watcher.attach(descriptor)
  }

  deinit { if key != .none { watcher.detach(key) } }
}
