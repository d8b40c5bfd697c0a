// The table behind an event loop: who waits for what, and which edges nobody has waited for yet. Pure: it does no I/O.
//
// An edge is told once. So an edge that finds no waiter is latched, and the next wait for it returns at once; and since a
// number is used again after a close, every event carries the generation of the use it was meant for.

import SystemPackage

/// Registered descriptors, their latched edges, and the waiters, which are whatever the owner resumes.
///
/// Descriptors are small numbers, and so are waits: both are places in an array.
struct Registrations<Waiter> {
  private struct Entry {
    /// 0 while the number is not in use.
    var generation: UInt32 = 0
    /// How many flows hold this registration.
    var holders = 0
    /// Directions the kernel has been asked to tell of.
    var subscribed: Edges = []
    /// Directions it will be asked to tell of when it is asked for one.
    var expected: Edges = []
    /// Edges that came while nobody waited for them.
    var latched: Edges = []
    /// An edge has come after which none may follow.
    var isLast = false
    /// A file the kernel does not watch, because it is always ready.
    var isAlwaysReady = false
    /// Those who wait, in the order in which they came; seldom more than one.
    var waiting: [(ticket: Ticket, edge: Edges)] = []
  }

  /// Names one wait: a place is used again, a number is not.
  struct Ticket: Hashable, Sendable {
    fileprivate let place: Int
    fileprivate let number: UInt64
  }

  private struct Wait {
    let ticket: Ticket
    let waiter: Waiter
    /// Whether an event leaves it parked.
    let stays: Bool
    var first: Interest?
    var second: Interest?
    var deadline: Moment?
    /// Events it was told of and has not answered yet: their edges are used up, and must not be lost with it.
    var unanswered = 0
  }

  /// One that is woken, by what, and its ticket if it is parked still.
  typealias Wake = (waiter: Waiter, woken: Woken, parked: Ticket?)

  private var entries: [Entry] = []
  private var waits: [Wait?] = []
  private var freePlaces: [Int] = []
  private var lastGeneration: UInt32 = 0
  private var lastTicket: UInt64 = 0
  private var deadlines = Deadlines()

  /// The earliest deadline of a wait.
  var earliest: Moment? { deadlines.first?.moment }

  /// Nobody waits.
  var isIdle: Bool { freePlaces.count == waits.count }

  /// The place of a registration that is still good.
  private func index(_ key: RegistrationKey) -> Int? {
    let number = Int(key.descriptor.rawValue)
    guard entries.indices.contains(number), entries[number].generation == key.generation else { return nil }
    return number
  }
}

/// The directions an event tells of.
struct Edges: OptionSet, Sendable, Hashable {
  let rawValue: UInt8
  static let source = Edges(rawValue: 1)
  static let sink = Edges(rawValue: 2)
}

extension Edges {
  init(_ direction: Descriptor.Direction) { self = direction == .source ? .source : .sink }
}

// MARK: - Coming and going

extension Registrations {
  /// Registers a use of a descriptor; uses at the same time share one.
  mutating func attach(_ descriptor: FileDescriptor, expecting expected: Edges = []) -> RegistrationKey {
    let number = Int(descriptor.rawValue)
    while entries.count <= number { entries.append(Entry()) }
    if entries[number].holders == 0 {
      lastGeneration &+= 1
      entries[number].generation = lastGeneration
    }
    entries[number].holders += 1
    entries[number].expected.formUnion(expected)
    return RegistrationKey(descriptor: descriptor, generation: entries[number].generation)
  }

  /// Ends a use; true when it was the last, and the kernel has to be told.
  mutating func detach(_ key: RegistrationKey) -> Bool {
    guard let number = index(key) else { return false }
    entries[number].holders -= 1
    guard entries[number].holders == 0 else { return false }
    defer { entries[number] = Entry() }
    return !entries[number].subscribed.isEmpty
  }
}

// MARK: - Waiting

extension Registrations {
  /// A change of what the kernel is to tell of.
  struct Subscription: Hashable {
    let key: RegistrationKey
    let edges: Edges
    let isNew: Bool
  }

  enum Parking: Hashable {
    /// There is something already.
    case ready(Woken)
    /// The waiter is parked. The kernel has to be asked first when subscriptions are given.
    case parked(Ticket, [Subscription])
  }

  /// Waits for one of at most two interests. An edge that is latched is used up. One that `stays` is parked until it is
  /// unparked, interrupted or expires, and events only tell it.
  mutating func park(
    _ waiter: Waiter, for first: Interest?, or second: Interest?, until deadline: Moment?, stays: Bool = false
  ) -> Parking {
    let ready = takeLatched(first, second)
    guard ready.isEmpty else { return .ready(ready) }
    let place = freePlaces.popLast() ?? waits.count
    if place == waits.count { waits.append(nil) }
    lastTicket += 1
    let ticket = Ticket(place: place, number: lastTicket)
    waits[place] = Wait(
      ticket: ticket, waiter: waiter, stays: stays, first: first, second: second, deadline: deadline)
    if let deadline { deadlines.insert(deadline, for: place) }
    var subscriptions: [Subscription] = []
    if let first { enter(ticket, first, &subscriptions) }
    if let second { enter(ticket, second, &subscriptions) }
    return .parked(ticket, subscriptions)
  }

  /// Whether a wait that was told of an event is still parked, and now does what is to be done.
  mutating func answer(_ ticket: Ticket) -> Bool {
    guard isParked(ticket) else { return false }
    waits[ticket.place]?.unanswered -= 1
    return true
  }

  /// What a wait that stays waits for from now on, and what of that is there already; nil if it has ended meanwhile.
  mutating func renew(
    _ ticket: Ticket, for first: Interest?, or second: Interest?, until deadline: Moment?
  ) -> (ready: Woken, subscriptions: [Subscription])? {
    guard isParked(ticket), let wait = waits[ticket.place] else { return nil }
    if wait.deadline != deadline {
      deadlines.remove(ticket.place)
      if let deadline { deadlines.insert(deadline, for: ticket.place) }
      waits[ticket.place]?.deadline = deadline
    }
    let ready = takeLatched(first, second)
    if wait.first == first, wait.second == second { return (ready, []) }
    if let first = wait.first { leave(ticket, first) }
    if let second = wait.second { leave(ticket, second) }
    waits[ticket.place]?.first = first
    waits[ticket.place]?.second = second
    // Also when there is something already, so that it can be interrupted at any time.
    var subscriptions: [Subscription] = []
    if let first { enter(ticket, first, &subscriptions) }
    if let second { enter(ticket, second, &subscriptions) }
    return (ready, subscriptions)
  }

  private mutating func takeLatched(_ first: Interest?, _ second: Interest?) -> Woken {
    var ready: Woken = []
    if let first, takeLatched(first) { ready.insert(.first) }
    if let second, takeLatched(second) { ready.insert(.second) }
    if !ready.isEmpty, first.map(isLast) == true || second.map(isLast) == true { ready.insert(.last) }
    return ready
  }

  private func isLast(_ interest: Interest) -> Bool {
    index(interest.key).map { entries[$0].isLast } ?? false
  }

  private mutating func takeLatched(_ interest: Interest) -> Bool {
    guard let number = index(interest.key), !entries[number].isAlwaysReady else { return true }
    return entries[number].latched.remove(Edges(interest.direction)) != nil
  }

  private mutating func enter(_ ticket: Ticket, _ interest: Interest, _ subscriptions: inout [Subscription]) {
    let edge = Edges(interest.direction)
    guard let number = index(interest.key) else { return }
    entries[number].waiting.append((ticket, edge))
    let before = entries[number].subscribed
    guard !before.contains(edge) else { return }
    // Interest grows and never shrinks: a direction that never blocks is never asked for, and wakes nobody.
    entries[number].subscribed.formUnion(edge.union(entries[number].expected))
    subscriptions.append(
      Subscription(key: interest.key, edges: entries[number].subscribed, isNew: before.isEmpty))
  }

  /// The kernel does not watch this file: it never keeps anyone waiting.
  mutating func markAlwaysReady(_ key: RegistrationKey) {
    guard let number = index(key) else { return }
    entries[number].isAlwaysReady = true
    entries[number].subscribed = []
  }

  /// The kernel declined this subscription.
  mutating func forget(_ subscription: Subscription) {
    guard subscription.isNew, let number = index(subscription.key) else { return }
    entries[number].subscribed = []
  }

  /// Whether a wait goes on.
  func isParked(_ ticket: Ticket) -> Bool {
    waits.indices.contains(ticket.place) && waits[ticket.place]?.ticket == ticket
  }

  /// Ends a wait, unless that has happened.
  @discardableResult
  mutating func unpark(_ ticket: Ticket) -> Waiter? {
    guard isParked(ticket), let wait = waits[ticket.place] else { return nil }
    waits[ticket.place] = nil
    deadlines.remove(ticket.place)
    freePlaces.append(ticket.place)
    if let first = wait.first { leave(ticket, first) }
    if let second = wait.second { leave(ticket, second) }
    return wait.waiter
  }

  private mutating func leave(_ ticket: Ticket, _ interest: Interest) {
    guard let number = index(interest.key) else { return }
    entries[number].waiting.removeAll { $0.ticket == ticket }
  }
}

// MARK: - Waking

extension Registrations {
  /// An event from the kernel; after one that `isLast` none may follow. Adds those it wakes to `woken`.
  mutating func event(
    _ key: RegistrationKey, _ edges: Edges, isLast: Bool, waking woken: inout [Wake]
  ) {
    guard let number = index(key) else { return }
    if isLast { entries[number].isLast = true }
    let last: Woken = entries[number].isLast ? .last : []
    var missed = edges
    for (ticket, edge) in entries[number].waiting where edges.contains(edge) {
      // Whoever was woken has left, with both interests, which may be here both.
      guard isParked(ticket), let wait = waits[ticket.place] else { continue }
      missed.remove(edge)
      let isFirst = wait.first.map { $0.key == key && Edges($0.direction) == edge } ?? false
      if wait.stays { waits[ticket.place]?.unanswered += 1 } else { unpark(ticket) }
      woken.append(
        (wait.waiter, (isFirst ? Woken.first : .second).union(last), wait.stays ? ticket : nil))
    }
    entries[number].latched.formUnion(missed)
  }

  /// Ends all waits for a descriptor early, since one of their tasks was cancelled; the others try, and wait again.
  mutating func interrupt(_ key: RegistrationKey, waking woken: inout [Wake]) {
    guard let number = index(key) else { return }
    while let (ticket, _) = entries[number].waiting.first, let wait = waits[ticket.place] {
      unpark(ticket)
      woken.append((wait.waiter, wait.unanswered > 0 ? [.first, .second] : [], nil))
    }
  }

  /// Those whose deadline has passed; not beyond one that has an event to answer first, which makes the next poll a short one.
  mutating func expire(at now: Moment, waking woken: inout [Wake]) {
    while let (moment, place) = deadlines.first, moment <= now, let wait = waits[place], wait.unanswered == 0
    {
      unpark(wait.ticket)
      woken.append((wait.waiter, [], nil))
    }
  }
}
