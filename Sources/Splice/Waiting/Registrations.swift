// The table behind an event loop: who waits for what, and which edges nobody has waited for yet. Pure: it
// does no I/O.
//
// An edge is told once. So an edge that finds no waiter is latched, and the next wait for it returns at once;
// and since a number is used again after a close, every event carries the generation of the use it was meant
// for.

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
    /// Edges that came while no task waited for them.
    var latched: Edges = []
    /// Events of a source that have told nothing new, since somebody waited for it.
    var vain = 0
    /// An edge has come after which none may follow.
    var isLast = false
    /// A file the kernel does not watch, because it is always ready.
    var isAlwaysReady = false
    /// Which other edges are a failure of it.
    var fatal: Edges = []
    /// The task that waits for that one is told when this one fails.
    var partner = RegistrationKey.none
    /// Those who wait, in the order in which they came; seldom more than one.
    var waiting: [(ticket: Ticket, edge: Edges)] = []
    #if DEBUG
    /// Events that have told of it.
    var told: UInt64 = 0
    #endif
  }

  /// Names one wait: a place is used again, a number is not.
  struct Ticket: Hashable, Sendable {
    fileprivate let place: Int
    fileprivate let number: UInt64
  }

  /// The parked tasks, and what each waits for.
  private struct Sleeper {
    let ticket: Ticket
    let waiter: Waiter
    /// Whether an event leaves it parked.
    let stays: Bool
    var wanted: Wait
    /// What events have told a wait that stays, and it has not answered yet. When it ends before that, these
    /// edges are latched again.
    var unanswered: ReadySet = []
    /// The deadline has come before the answer.
    var isOverdue = false

    /// What an edge of a descriptor is to this wait.
    func what(_ edge: Edges, of key: RegistrationKey) -> ReadySet {
      if edge == .failure { return .failed }
      let isFirst = wanted.first.map { $0.key == key && Edges($0.direction) == edge } ?? false
      return isFirst ? .first : .second
    }
  }

  /// One that is woken: by what, or its ticket if it is parked still and is to answer.
  typealias Wake = (waiter: Waiter, ready: ReadySet, parked: Ticket?)

  private var entries: [Entry] = []
  private var waits: [Sleeper?] = []
  private var freePlaces: [Int] = []
  private var lastGeneration: UInt32 = 0
  private var lastTicket: UInt64 = 0
  private var deadlines = Deadlines()

  /// The earliest deadline of a wait.
  var earliest: Moment? { deadlines.first?.moment }

  /// No task waits.
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
  /// The descriptor has failed. The kernel tells of it without being asked.
  static let failure = Edges(rawValue: 4)
  /// Both halves are closed.
  static let hangUp = Edges(rawValue: 8)
  /// The peer has closed its own half.
  static let readHangUp = Edges(rawValue: 16)
}

extension Edges {
  init(_ direction: Descriptor.Direction) { self = direction == .source ? .source : .sink }
}

extension Wait {
  fileprivate func isForTheSame(as other: Wait) -> Bool {
    first == other.first && second == other.second && holder == other.holder
  }
}

// MARK: - Coming and going

extension Registrations {
  /// Registers a use of a descriptor; uses at the same time share one.
  mutating func attach(_ descriptor: FileDescriptor, expecting expected: Edges = []) -> RegistrationKey {
    let number = Int(descriptor.rawValue)
    // What is none is never waited for: whoever tries it is told so.
    guard number >= 0 else { return RegistrationKey(descriptor: descriptor, generation: 0) }
    while entries.count <= number { entries.append(Entry()) }
    if entries[number].holders == 0 {
      lastGeneration &+= 1
      entries[number].generation = lastGeneration
    }
    entries[number].holders += 1
    entries[number].expected.formUnion(expected)
    return RegistrationKey(descriptor: descriptor, generation: entries[number].generation)
  }

  /// Two descriptors between which bytes go: the failure of one is told to the task that waits for the other.
  mutating func pair(_ one: RegistrationKey, _ other: RegistrationKey) {
    guard let first = index(one), let second = index(other) else { return }
    (entries[first].partner, entries[second].partner) = (other, one)
  }

  /// A descriptor that bytes go to has failed when its peer has gone, or, if `closing`, when that has ended
  /// its own half. The task that waits for `source` is told.
  mutating func follow(_ sink: RegistrationKey, from source: RegistrationKey?, closing: Bool) {
    guard let number = index(sink) else { return }
    entries[number].fatal = closing ? [.hangUp, .readHangUp] : .hangUp
    if closing { entries[number].expected.insert(.readHangUp) }
    if let source { pair(source, sink) }
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
    /// What it was told of before.
    let before: Edges
    /// Only in case it fails, so that a refusal keeps no task from waiting.
    var isAlarm = false

    var isNew: Bool { before.isEmpty }
  }

  enum Parking: Hashable {
    /// There is something already.
    case ready(ReadySet)
    /// The waiter is parked. The kernel has to be asked first when subscriptions are given.
    case parked(Ticket, [Subscription])
  }

  /// Waits for one of at most two interests, or the failure of a partner of theirs. An edge that is latched
  /// is used up. One that `stays` is parked until it is unparked, interrupted or expires, and events only
  /// tell it.
  mutating func park(_ waiter: Waiter, for wait: Wait, stays: Bool = false) -> Parking {
    let ready = takeLatched(wait)
    guard ready.isEmpty else { return .ready(ready) }
    let place = freePlaces.popLast() ?? waits.count
    if place == waits.count { waits.append(nil) }
    lastTicket += 1
    let ticket = Ticket(place: place, number: lastTicket)
    waits[place] = Sleeper(ticket: ticket, waiter: waiter, stays: stays, wanted: wait)
    if let deadline = wait.deadline { deadlines.insert(deadline, for: place) }
    return .parked(ticket, enter(ticket, wait))
  }

  /// What a wait that stays has been told since it answered last; nil when it has ended. It now does what is
  /// to be done.
  mutating func answer(_ ticket: Ticket) -> ReadySet? {
    guard isParked(ticket), let told = waits[ticket.place]?.unanswered else { return nil }
    waits[ticket.place]?.unanswered = []
    let isLastOfAll = waits[ticket.place].map { isLast($0.wanted) } ?? false
    return isLastOfAll ? told.union(.last) : told
  }

  /// Ends a wait whose deadline came before its answer, unless it has another one now; whether it did.
  mutating func endIfOverdue(_ ticket: Ticket, until deadline: Moment?) -> Bool {
    guard isParked(ticket), let wait = waits[ticket.place], wait.isOverdue, wait.wanted.deadline == deadline
    else {
      return false
    }
    unpark(ticket)
    return true
  }

  /// What a wait that stays waits for from now on, and what of that is there already; nil if it has ended
  /// meanwhile.
  mutating func renew(
    _ ticket: Ticket, for next: Wait
  ) -> (ready: ReadySet, subscriptions: [Subscription])? {
    guard isParked(ticket), let wait = waits[ticket.place] else { return nil }
    if wait.wanted.deadline != next.deadline || wait.isOverdue {
      deadlines.remove(ticket.place)
      if let deadline = next.deadline { deadlines.insert(deadline, for: ticket.place) }
      waits[ticket.place]?.isOverdue = false
    }
    waits[ticket.place]?.wanted = next
    let ready = takeLatched(next)
    if wait.wanted.isForTheSame(as: next) { return (ready, []) }
    leave(ticket, wait.wanted)
    // Also when there is something already, so that it can be interrupted at any time.
    return (ready, enter(ticket, next))
  }

  private mutating func takeLatched(_ wait: Wait) -> ReadySet {
    var ready: ReadySet = []
    if let first = wait.first, takeLatched(first) { ready.insert(.first) }
    if let second = wait.second, takeLatched(second) { ready.insert(.second) }
    if !ready.isEmpty, isLast(wait) { ready.insert(.last) }
    if let first = wait.first, takeFailureOfPartner(of: first.key) { ready.insert(.failed) }
    if let second = wait.second, takeFailureOfPartner(of: second.key) { ready.insert(.failed) }
    if let holder = wait.holder, takeFailure(of: holder) || takeFailureOfPartner(of: holder) {
      ready.insert(.failed)
    }
    return ready
  }

  private mutating func takeFailure(of key: RegistrationKey) -> Bool {
    index(key).map { entries[$0].latched.remove(.failure) != nil } ?? false
  }

  private mutating func takeFailureOfPartner(of key: RegistrationKey) -> Bool {
    index(key).map { takeFailure(of: entries[$0].partner) } ?? false
  }

  private func isLast(_ wait: Wait) -> Bool {
    wait.first.map { hasToldLastEdge(of: $0.key) } == true
      || wait.second.map { hasToldLastEdge(of: $0.key) } == true
  }

  /// Whether an edge has come after which none may follow.
  func hasToldLastEdge(of key: RegistrationKey) -> Bool { index(key).map { entries[$0].isLast } ?? false }

  private mutating func takeLatched(_ interest: Interest) -> Bool {
    guard let number = index(interest.key), !entries[number].isAlwaysReady else { return true }
    return entries[number].latched.remove(Edges(interest.direction)) != nil
  }

  private mutating func enter(_ ticket: Ticket, _ wait: Wait) -> [Subscription] {
    var subscriptions: [Subscription] = []
    if let first = wait.first { enter(ticket, first, &subscriptions) }
    if let second = wait.second { enter(ticket, second, &subscriptions) }
    if let holder = wait.holder, let number = index(holder) {
      entries[number].waiting.append((ticket, .failure))
      if !entries[number].fatal.isEmpty { watch(number, holder, &subscriptions) }
    }
    // Behind these, with which the kernel has been asked already as a rule.
    if let first = wait.first { watchPartner(of: first, &subscriptions) }
    if let second = wait.second { watchPartner(of: second, &subscriptions) }
    return subscriptions
  }

  private mutating func enter(_ ticket: Ticket, _ interest: Interest, _ subscriptions: inout [Subscription]) {
    guard let number = index(interest.key) else { return }
    let edge = Edges(interest.direction)
    entries[number].waiting.append((ticket, edge))
    if edge == .source { entries[number].vain = 0 }
    // A direction that never blocks is never asked for, and wakes nobody.
    guard !entries[number].subscribed.contains(edge) else { return }
    subscribe(number, interest.key, edge, &subscriptions)
  }

  /// Of a failure the kernel tells whatever it is asked for, but it has to be asked for something.
  private mutating func watchPartner(of interest: Interest, _ subscriptions: inout [Subscription]) {
    guard let own = index(interest.key), let number = index(entries[own].partner) else { return }
    watch(number, entries[own].partner, &subscriptions)
  }

  private mutating func watch(
    _ number: Int, _ key: RegistrationKey, _ subscriptions: inout [Subscription]
  ) {
    let entry = entries[number]
    guard
      entry.subscribed.isEmpty || !entry.subscribed.isSuperset(of: entry.expected.intersection(entry.fatal)),
      !entry.isAlwaysReady
    else { return }
    subscribe(number, key, .failure, &subscriptions)
  }

  private mutating func subscribe(
    _ number: Int, _ key: RegistrationKey, _ edge: Edges, _ subscriptions: inout [Subscription]
  ) {
    let before = entries[number].subscribed
    entries[number].subscribed.formUnion(edge.union(entries[number].expected))
    subscriptions.append(
      Subscription(key: key, edges: entries[number].subscribed, before: before, isAlarm: edge == .failure))
  }

  /// The kernel does not watch this file: it never keeps anyone waiting.
  mutating func markAlwaysReady(_ key: RegistrationKey) {
    guard let number = index(key) else { return }
    entries[number].isAlwaysReady = true
    entries[number].subscribed = []
  }

  /// The kernel declined this subscription, or was not asked any more. Of several the last one is forgotten
  /// first.
  mutating func forget(_ subscription: Subscription) {
    guard let number = index(subscription.key) else { return }
    entries[number].subscribed = subscription.before
  }

  /// Whether a wait goes on.
  func isParked(_ ticket: Ticket) -> Bool {
    waits.indices.contains(ticket.place) && waits[ticket.place]?.ticket == ticket
  }

  /// Ends a wait, unless that has happened. Of what it has not answered the edges are latched, for the next
  /// one who waits.
  @discardableResult
  mutating func unpark(_ ticket: Ticket) -> Waiter? {
    guard isParked(ticket), let wait = waits[ticket.place] else { return nil }
    waits[ticket.place] = nil
    deadlines.remove(ticket.place)
    freePlaces.append(ticket.place)
    leave(ticket, wait.wanted)
    if !wait.unanswered.isEmpty { latch(wait) }
    return wait.waiter
  }

  private mutating func latch(_ wait: Sleeper) {
    if let holder = wait.wanted.holder, wait.unanswered.contains(.failed), let number = index(holder) {
      entries[number].latched.insert(.failure)
    }
    for (interest, bit) in [(wait.wanted.first, ReadySet.first), (wait.wanted.second, .second)] {
      guard let interest, let number = index(interest.key) else { continue }
      if wait.unanswered.contains(bit) { entries[number].latched.insert(Edges(interest.direction)) }
      // Whose partner it was is not known, and asking a descriptor that has not failed does no harm.
      if wait.unanswered.contains(.failed), let partner = index(entries[number].partner) {
        entries[partner].latched.insert(.failure)
      }
    }
  }

  private mutating func leave(_ ticket: Ticket, _ wait: Wait) {
    if let first = wait.first { leave(ticket, first.key) }
    if let second = wait.second { leave(ticket, second.key) }
    if let holder = wait.holder { leave(ticket, holder) }
  }

  private mutating func leave(_ ticket: Ticket, _ key: RegistrationKey) {
    guard let number = index(key) else { return }
    entries[number].waiting.removeAll { $0.ticket == ticket }
  }
}

// MARK: - Waking

extension Registrations {
  /// So many events of a source may be in vain before the kernel is asked to tell of it no more: asking, and
  /// asking anew when somebody waits, are two calls.
  private static var mostInVain: Int { 2 }

  /// An event from the kernel; after one that `isLast` none may follow. Adds those it wakes to `ready`, each
  /// wait that stays once.
  ///
  /// - Returns: What the kernel is to be asked for from now on, when that is less: while a flow waits for its
  ///   sink, each segment that comes would wake the thread.
  @discardableResult
  mutating func event(
    _ key: RegistrationKey, _ edges: Edges, isLast: Bool, waking ready: inout [Wake]
  ) -> Subscription? {
    guard let number = index(key) else { return nil }
    if isLast { entries[number].isLast = true }
    var edges = edges
    if !edges.isDisjoint(with: entries[number].fatal) { edges.insert(.failure) }
    edges.formIntersection([.source, .sink, .failure])
    #if DEBUG
    entries[number].told += 1
    #endif
    var missed = edges
    for (ticket, edge) in entries[number].waiting where edges.contains(edge) {
      // Whoever was woken has left, with all it waited for, which may be here too.
      guard isParked(ticket), let wait = waits[ticket.place] else { continue }
      missed.remove(edge)
      tell(wait, wait.what(edge, of: key), waking: &ready)
    }
    if edges.contains(.failure), tellPartner(of: number, waking: &ready) { missed.remove(.failure) }
    let isInVain = !isLast && missed == edges && entries[number].latched.isSuperset(of: missed)
    entries[number].latched.formUnion(missed)
    return isInVain ? quieten(number, key) : nil
  }

  /// A source that is known to be ready need not be told of. Whoever waits for it the next time has the
  /// kernel asked again, which tells of what has come meanwhile.
  private mutating func quieten(_ number: Int, _ key: RegistrationKey) -> Subscription? {
    entries[number].vain += 1
    let before = entries[number].subscribed
    guard entries[number].vain >= Self.mostInVain, before.contains(.source),
      entries[number].latched.contains(.source)
    else { return nil }
    // Its end is told all the same.
    entries[number].subscribed = before.subtracting(.source).union(.readHangUp)
    return Subscription(key: key, edges: entries[number].subscribed, before: before, isAlarm: true)
  }

  /// Tells those who wait for the partner of one that has failed; whether there were any.
  private mutating func tellPartner(of number: Int, waking ready: inout [Wake]) -> Bool {
    guard let partner = index(entries[number].partner) else { return false }
    var isTold = false
    for (ticket, _) in entries[partner].waiting {
      guard isParked(ticket), let wait = waits[ticket.place] else { continue }
      tell(wait, .failed, waking: &ready)
      isTold = true
    }
    return isTold
  }

  private mutating func tell(_ wait: Sleeper, _ what: ReadySet, waking ready: inout [Wake]) {
    guard wait.stays else {
      let last: ReadySet = isLast(wait.wanted) ? .last : []
      unpark(wait.ticket)
      return ready.append((wait.waiter, what.union(last), nil))
    }
    if wait.unanswered.isEmpty { ready.append((wait.waiter, [], wait.ticket)) }
    waits[wait.ticket.place]?.unanswered.formUnion(what)
  }

  /// Ends all waits for a descriptor early, since one of their tasks was cancelled; the others try, and wait
  /// again.
  mutating func interrupt(_ key: RegistrationKey, waking ready: inout [Wake]) {
    guard let number = index(key) else { return }
    while let (ticket, _) = entries[number].waiting.first, let waiter = unpark(ticket) {
      ready.append((waiter, [], nil))
    }
  }

  /// Those whose deadline has passed. One that has an event to answer answers it first, and then it is over:
  /// it holds up no deadline behind it, however many events come for it.
  mutating func expire(at now: Moment, waking ready: inout [Wake]) {
    while let (moment, place) = deadlines.first, moment <= now, let wait = waits[place] {
      if wait.unanswered.isEmpty {
        unpark(wait.ticket)
        ready.append((wait.waiter, [], nil))
      } else {
        deadlines.remove(place)
        waits[place]?.isOverdue = true
      }
    }
  }
}

// MARK: - Audit

#if DEBUG
extension Registrations {
  /// Every interest of those who are parked and have been told nothing that they have not answered.
  var parked: [Parked] {
    waits.compactMap { $0 }.filter(\.unanswered.isEmpty).flatMap { wait in
      [wait.wanted.first, wait.wanted.second].compactMap { $0 }.compactMap { interest in
        index(interest.key).map {
          Parked(wait: wait.ticket.number, interest: interest, told: entries[$0].told)
        }
      }
    }
  }
}
#endif
