// The table behind an event loop: who waits for what, and which edges nobody has waited for yet. Pure: it does no I/O.
//
// An edge is told once. So an edge that finds no waiter is latched, and the next wait for it returns at once; and since a
// number is used again after a close, every event carries the generation of the use it was meant for.

import SystemPackage

/// Registered descriptors, their latched edges, and the waiters, which are whatever the owner resumes.
struct Registrations<Waiter> {
  /// Identifies a wait, so that it can be called off.
  typealias Ticket = UInt64

  private struct Entry {
    var generation: UInt32
    /// How many flows hold this registration.
    var holders = 0
    /// Directions the kernel has been asked to tell of.
    var subscribed: Edges = []
    /// Edges that came while nobody waited for them.
    var latched: Edges = []
    /// An edge has come after which none may follow.
    var isLast = false
    /// A file the kernel does not watch, because it is always ready.
    var isAlwaysReady = false
    var waiting: [(ticket: Ticket, edge: Edges)] = []
  }

  private struct Parked {
    let waiter: Waiter
    let first: Interest
    let second: Interest?
    let deadline: ContinuousClock.Instant?
  }

  private var entries: [CInt: Entry] = [:]
  private var parked: [Ticket: Parked] = [:]
  private var lastGeneration: UInt32 = 0
  /// No parked deadline is earlier than this.
  private(set) var earliest: ContinuousClock.Instant?

  /// Nobody waits.
  var isIdle: Bool { parked.isEmpty }
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
  mutating func attach(_ descriptor: FileDescriptor) -> RegistrationKey {
    let number = descriptor.rawValue
    if entries[number] == nil {
      lastGeneration &+= 1
      entries[number] = Entry(generation: lastGeneration)
    }
    entries[number]?.holders += 1
    return RegistrationKey(descriptor: descriptor, generation: entries[number]?.generation ?? 0)
  }

  /// Ends a use; true when it was the last, and the kernel has to be told.
  mutating func detach(_ key: RegistrationKey) -> Bool {
    let number = key.descriptor.rawValue
    guard var entry = entries[number], entry.generation == key.generation else { return false }
    entry.holders -= 1
    entries[number] = entry.holders > 0 ? entry : nil
    return entry.holders == 0 && !entry.subscribed.isEmpty
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
    /// The waiter is parked; the kernel has to be asked first when subscriptions are given.
    case parked([Subscription])
  }

  /// Waits for one of two interests. An edge that is latched is used up.
  mutating func park(
    _ waiter: Waiter, _ ticket: Ticket, for first: Interest, or second: Interest?,
    until deadline: ContinuousClock.Instant?
  ) -> Parking {
    var ready: Woken = []
    if takeLatched(first) { ready.insert(.first) }
    if let second, takeLatched(second) { ready.insert(.second) }
    guard ready.isEmpty else {
      if isLast(first) || second.map(isLast) == true { ready.insert(.last) }
      return .ready(ready)
    }

    var subscriptions: [Subscription] = []
    enter(ticket, first, &subscriptions)
    if let second { enter(ticket, second, &subscriptions) }
    parked[ticket] = Parked(waiter: waiter, first: first, second: second, deadline: deadline)
    if let deadline { earliest = min(deadline, earliest ?? deadline) }
    return .parked(subscriptions)
  }

  private func isLast(_ interest: Interest) -> Bool {
    entries[interest.key.descriptor.rawValue]?.isLast ?? false
  }

  private mutating func takeLatched(_ interest: Interest) -> Bool {
    let edge = Edges(interest.direction)
    let number = interest.key.descriptor.rawValue
    guard let entry = entries[number], entry.generation == interest.key.generation else { return true }
    if entry.isAlwaysReady { return true }
    guard entry.latched.contains(edge) else { return false }
    entries[number]?.latched.remove(edge)
    return true
  }

  private mutating func enter(_ ticket: Ticket, _ interest: Interest, _ subscriptions: inout [Subscription]) {
    let edge = Edges(interest.direction)
    let number = interest.key.descriptor.rawValue
    entries[number]?.waiting.append((ticket, edge))
    guard let entry = entries[number], !entry.subscribed.contains(edge) else { return }
    // Interest grows and never shrinks: a direction that never blocks is never asked for, and wakes nobody.
    let edges = entry.subscribed.union(edge)
    entries[number]?.subscribed = edges
    subscriptions.append(Subscription(key: interest.key, edges: edges, isNew: entry.subscribed.isEmpty))
  }

  /// The kernel does not watch this file: it never keeps anyone waiting.
  mutating func markAlwaysReady(_ key: RegistrationKey) {
    entries[key.descriptor.rawValue]?.isAlwaysReady = true
    entries[key.descriptor.rawValue]?.subscribed = []
  }

  /// The kernel declined this subscription.
  mutating func forget(_ subscription: Subscription) {
    guard subscription.isNew else { return }
    entries[subscription.key.descriptor.rawValue]?.subscribed = []
  }

  /// Calls a wait off, or nil when it is over already.
  mutating func unpark(_ ticket: Ticket) -> Waiter? {
    guard let wait = parked.removeValue(forKey: ticket) else { return nil }
    leave(ticket, wait.first)
    if let second = wait.second { leave(ticket, second) }
    return wait.waiter
  }

  private mutating func leave(_ ticket: Ticket, _ interest: Interest) {
    entries[interest.key.descriptor.rawValue]?.waiting.removeAll { $0.ticket == ticket }
  }
}

// MARK: - Waking

extension Registrations {
  /// An event from the kernel; after one that `isLast` none may follow. Adds those it wakes to `woken`.
  mutating func event(
    _ key: RegistrationKey, _ edges: Edges, isLast: Bool, waking woken: inout [(Waiter, Woken)]
  ) {
    let number = key.descriptor.rawValue
    guard entries[number]?.generation == key.generation else { return }
    if isLast { entries[number]?.isLast = true }
    let isLast = entries[number]?.isLast == true
    var missed = edges
    // Whoever is woken leaves, with both interests, which may be here both.
    while let index = entries[number]?.waiting.firstIndex(where: { edges.contains($0.edge) }),
      let (ticket, edge) = entries[number]?.waiting[index], let wait = parked[ticket]
    {
      missed.remove(edge)
      _ = unpark(ticket)
      let isFirst = wait.first.key == key && Edges(wait.first.direction) == edge
      woken.append((wait.waiter, (isFirst ? Woken.first : .second).union(isLast ? .last : [])))
    }
    entries[number]?.latched.formUnion(missed)
  }

  /// Those whose deadline has passed. Looks at every wait, but only when the earliest deadline is due: waits with one
  /// cost nothing until then, and n of them that expire one by one cost n squared. A wheel would be the better
  /// algorithm for tens of thousands of different deadlines.
  mutating func expire(at now: ContinuousClock.Instant, waking woken: inout [(Waiter, Woken)]) {
    guard let due = earliest, due <= now else { return }
    var next: ContinuousClock.Instant?
    for (ticket, wait) in parked {
      guard let deadline = wait.deadline else { continue }
      if deadline > now {
        next = min(deadline, next ?? deadline)
      } else if let waiter = unpark(ticket) {
        woken.append((waiter, []))
      }
    }
    earliest = next
  }
}
