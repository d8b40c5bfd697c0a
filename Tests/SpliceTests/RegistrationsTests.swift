// The table behind the event loop, without an event loop: edges, generations, shared and late registrations.

import SystemPackage
import Testing

@testable import Splice

@Suite(.mayBlock) struct RegistrationsTests {
  private typealias Table = Registrations<String>
  private let three = FileDescriptor(rawValue: 3)
  private let four = FileDescriptor(rawValue: 4)

  private func subscriptions(_ parking: Table.Parking) -> [Table.Subscription]? {
    if case .parked(_, let subscriptions) = parking { subscriptions } else { nil }
  }

  private func ready(_ table: inout Table, _ key: RegistrationKey, _ edges: Edges) -> [String] {
    var ready: [Table.Wake] = []
    table.event(key, edges, isLast: false, waking: &ready)
    return ready.map { "\($0.0) \($0.1.contains(.first) ? "first" : "second")" }
  }

  @Test func `an edge wakes its waiter once`() {
    var table = Table()
    let key = table.attach(three)
    let parking = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil))
    #expect(subscriptions(parking) == [.init(key: key, edges: .source, before: [])])
    #expect(ready(&table, key, [.source]) == ["a first"])
    #expect(ready(&table, key, [.source]).isEmpty)
    #expect(table.isIdle)
  }

  @Test func `an edge before the wait is latched, and used up by one`() {
    var table = Table()
    let key = table.attach(three)
    #expect(ready(&table, key, [.source]).isEmpty)
    #expect(table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil)) == .ready(.first))
    guard case .parked = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil)) else {
      Issue.record("an edge was used twice")
      return
    }
  }

  @Test func `interest grows, and is asked for once`() {
    var table = Table()
    let key = table.attach(three)
    _ = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil))
    _ = ready(&table, key, [.source])
    let again = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil))
    #expect(subscriptions(again) == [])
    let more = table.park("b", for: Wait(Interest(key, as: .sink), nil, until: nil))
    #expect(subscriptions(more) == [.init(key: key, edges: [.source, .sink], before: .source)])
  }

  @Test func `a source that tells in vain is told of no more until somebody waits for it`() {
    var table = Table()
    let key = table.attach(three, expecting: [.source, .sink])
    _ = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil))
    var ready: [Table.Wake] = []
    table.event(key, .source, isLast: false, waking: &ready)
    // The first is latched, and the second is one that may be the last for long.
    for _ in 0..<2 { #expect(table.event(key, .source, isLast: false, waking: &ready) == nil) }
    let quiet = Table.Subscription(
      key: key, edges: [.sink, .readHangUp], before: [.source, .sink], isAlarm: true)
    #expect(table.event(key, .source, isLast: false, waking: &ready) == quiet)
    #expect(table.event(key, .sink, isLast: false, waking: &ready) == nil)
    // What is latched is good for one try, and then the kernel is asked again, which tells of what it has.
    #expect(table.park("b", for: Wait(Interest(key, as: .source), nil, until: nil)) == .ready(.first))
    let again = table.park("b", for: Wait(Interest(key, as: .source), nil, until: nil))
    #expect(
      subscriptions(again)
        == [.init(key: key, edges: [.source, .sink, .readHangUp], before: [.sink, .readHangUp])])
    // The end is never in vain, and an edge that somebody waits for is not either.
    table.event(key, .source, isLast: false, waking: &ready)
    for _ in 0..<9 { #expect(table.event(key, .source, isLast: true, waking: &ready) == nil) }
    #expect(ready.map(\.waiter) == ["a", "b"])
  }

  @Test func `two interests are one wait`() {
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(four))
    _ = table.park("a", for: Wait(Interest(one, as: .source), Interest(two, as: .sink), until: nil))
    #expect(ready(&table, two, [.sink]) == ["a second"])
    // The other one did not wait any more, so its edge is kept.
    #expect(ready(&table, one, [.source]).isEmpty)
    #expect(table.park("a", for: Wait(Interest(one, as: .source), nil, until: nil)) == .ready(.first))
  }

  @Test func `both interests may be in one descriptor`() {
    // As in a Duplex whose first descriptor is dry one way and full the other.
    var table = Table()
    let key = table.attach(three)
    _ = table.park("a", for: Wait(Interest(key, as: .source), Interest(key, as: .sink), until: nil))
    #expect(ready(&table, key, [.source, .sink]) == ["a first"])
    // Woken once; the other edge is kept.
    #expect(table.park("a", for: Wait(Interest(key, as: .sink), nil, until: nil)) == .ready(.first))
    #expect(table.isIdle)
  }

  @Test func `a late event for a number used again is dropped`() {
    var table = Table()
    let old = table.attach(three)
    guard
      case .parked(let ticket, _) = table.park("a", for: Wait(Interest(old, as: .source), nil, until: nil))
    else {
      Issue.record("nothing was there, and yet it was ready")
      return
    }
    let calledOff = [table.unpark(ticket), table.unpark(ticket)]
    #expect(calledOff == ["a", nil])
    let wasLast = table.detach(old)
    #expect(wasLast)
    let new = table.attach(three)
    #expect(new != old)
    _ = table.park("b", for: Wait(Interest(new, as: .source), nil, until: nil))
    #expect(ready(&table, old, [.source]).isEmpty)
    #expect(ready(&table, new, [.source]) == ["b first"])
  }

  @Test func `two flows on one descriptor share a registration`() {
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(three))
    #expect(one == two)
    _ = table.park("reader", for: Wait(Interest(one, as: .source), nil, until: nil))
    _ = table.park("writer", for: Wait(Interest(two, as: .sink), nil, until: nil))
    #expect(ready(&table, one, [.source, .sink]).sorted() == ["reader first", "writer first"])
    let last = [table.detach(one), table.detach(two)]
    #expect(last == [false, true])
  }

  @Test func `a descriptor that was never waited for needs no kernel`() {
    var table = Table()
    let key = table.attach(three)
    let mustTell = table.detach(key)
    #expect(!mustTell)
  }

  @Test func `the last edge is told as such, however late`() {
    // Data and end in one edge: whoever it wakes must ask until the end, since none will follow.
    var table = Table()
    let key = table.attach(three)
    _ = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil))
    var ready: [Table.Wake] = []
    table.event(key, [.source], isLast: true, waking: &ready)
    #expect(ready.map(\.1) == [[.first, .last]])
    table.event(key, [.source], isLast: false, waking: &ready)
    let parked = table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil))
    #expect(parked == .ready([.first, .last]))
  }

  @Test func `a file the kernel does not watch is always ready`() {
    var table = Table()
    let key = table.attach(three)
    table.markAlwaysReady(key)
    #expect(table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil)) == .ready(.first))
    let mustTell = table.detach(key)
    #expect(!mustTell)
  }

  @Test func `an interruption ends all waits for a descriptor`() {
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(four))
    _ = table.park("a", for: Wait(Interest(one, as: .source), Interest(two, as: .sink), until: nil))
    _ = table.park("b", for: Wait(Interest(one, as: .sink), nil, until: nil))
    _ = table.park("c", for: Wait(Interest(two, as: .source), nil, until: nil))
    var ready: [Table.Wake] = []
    table.interrupt(one, waking: &ready)
    #expect(ready.map(\.0) == ["a", "b"] && ready.allSatisfy { $0.1 == [] })
    #expect(self.ready(&table, two, [.source, .sink]) == ["c first"])
  }

  @Test func `deadlines expire in their time`() {
    var table = Table()
    let key = table.attach(three)
    let start = ContinuousClock.now
    func after(_ time: Duration) -> Moment { Moment(start + time) }
    _ = table.park("late", for: Wait(Interest(key, as: .source), nil, until: after(.seconds(9))))
    _ = table.park("soon", for: Wait(Interest(key, as: .source), nil, until: after(.seconds(1))))
    var ready: [Table.Wake] = []
    table.expire(at: after(.zero), waking: &ready)
    #expect(ready.isEmpty)
    table.expire(at: after(.seconds(2)), waking: &ready)
    #expect(ready.map(\.0) == ["soon"])
    #expect(table.earliest == after(.seconds(9)))
  }

  // MARK: Waits that stay

  private func parked(
    _ table: inout Table, _ first: Interest?, until deadline: Moment? = nil
  ) -> Table.Ticket? {
    if case .parked(let ticket, _) = table.park("a", for: Wait(first, nil, until: deadline), stays: true) {
      return ticket
    }
    return nil
  }

  @Test func `a wait that stays is told of each event, and is parked still`() throws {
    var table = Table()
    let key = table.attach(three)
    let parking = parked(&table, Interest(key, as: .source))
    let ticket = try #require(parking)
    for _ in 0..<2 {
      var told: [Table.Wake] = []
      table.event(key, [.source], isLast: false, waking: &told)
      // A second one before it has answered is told with the first.
      table.event(key, [.source], isLast: false, waking: &told)
      #expect(told.map(\.parked) == [ticket])
      let answers = [table.answer(ticket), table.answer(ticket)]
      #expect(answers == [.first, []])
      let after = table.renew(ticket, for: Wait(Interest(key, as: .source), nil, until: nil))
      let renewed = try #require(after)
      #expect(renewed.ready == [] && renewed.subscriptions == [])
    }
    // It turns to the other direction, whose edge came meanwhile.
    var told: [Table.Wake] = []
    table.event(key, [.source, .sink], isLast: false, waking: &told)
    let answer = table.answer(ticket)
    #expect(told.count == 1 && answer == .first)
    let after = table.renew(ticket, for: Wait(Interest(key, as: .sink), nil, until: nil))
    let renewed = try #require(after)
    #expect(renewed.ready == .first)
    #expect(renewed.subscriptions == [.init(key: key, edges: [.source, .sink], before: .source)])
    let left = table.unpark(ticket)
    #expect(left == "a" && table.isIdle)
    let (answers, isRenewed) = (
      table.answer(ticket), table.renew(ticket, for: Wait(nil, nil, until: nil)) != nil
    )
    #expect(answers == nil && !isRenewed)
  }

  @Test func `what was told and not answered is latched again, however the wait ends`() throws {
    for ending in ["unparked", "interrupted"] {
      for isTold in [false, true] {
        var table = Table()
        let key = table.attach(three)
        let parking = parked(&table, Interest(key, as: .source))
        let ticket = try #require(parking)
        var told: [Table.Wake] = []
        if isTold { table.event(key, [.source], isLast: true, waking: &told) }
        var ready: [Table.Wake] = []
        if ending == "unparked" { table.unpark(ticket) } else { table.interrupt(key, waking: &ready) }
        #expect(ready.allSatisfy { $0.ready == [] })
        let answer = table.answer(ticket)
        #expect(answer == nil)
        let next = table.park("b", for: Wait(Interest(key, as: .source), nil, until: nil))
        #expect((next == .ready([.first, .last])) == isTold, "\(ending)")
      }
    }
  }

  @Test func `two events of one batch are one answer`() throws {
    // Both directions of a Duplex: the first one's step ends the wait, and the second's edge must not go with
    // it.
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(four))
    let wait = Wait(Interest(one, as: .source), Interest(two, as: .source), until: nil)
    guard case .parked(let ticket, _) = table.park("a", for: wait, stays: true) else {
      Issue.record("nothing was there, and yet it was ready")
      return
    }
    var told: [Table.Wake] = []
    table.event(one, [.source], isLast: false, waking: &told)
    table.event(two, [.source], isLast: true, waking: &told)
    #expect(told.map(\.parked) == [ticket])
    let answer = table.answer(ticket)
    #expect(answer == [.first, .second, .last])
  }

  // MARK: Failures of a partner

  @Test func `a failure is told to the wait for the partner`() throws {
    for stays in [false, true] {
      var table = Table()
      let (one, two) = (table.attach(three), table.attach(four))
      table.pair(one, two)
      let wait = Wait(Interest(one, as: .sink), nil, until: nil)
      guard case .parked(let ticket, let subscriptions) = table.park("a", for: wait, stays: stays) else {
        Issue.record("nothing was there, and yet it was ready")
        return
      }
      // Nobody waits for the second otherwise, so the kernel has to be asked for it by itself.
      #expect(
        subscriptions == [
          .init(key: one, edges: .sink, before: []),
          .init(key: two, edges: .failure, before: [], isAlarm: true),
        ])
      var ready: [Table.Wake] = []
      table.event(two, [.source, .sink], isLast: false, waking: &ready)
      #expect(ready.isEmpty)
      table.event(two, [.source, .sink, .failure], isLast: true, waking: &ready)
      #expect(ready.count == 1)
      if stays {
        let answer = table.answer(ticket)
        #expect(answer == .failed)
        table.unpark(ticket)
      } else {
        #expect(ready[0].ready == .failed)
      }
      #expect(table.isIdle)
      // Told once, and what was told to nobody is there for the next one.
      table.event(two, .failure, isLast: true, waking: &ready)
      #expect(table.park("b", for: wait) == .ready(.failed))
      // A use that is over has no partner.
      _ = table.detach(two)
      guard case .parked = table.park("c", for: wait) else {
        Issue.record("nothing was there, and yet it was ready")
        return
      }
    }
  }

  @Test func `a descriptor that is not open is not waited for`() {
    var table = Table()
    let key = table.attach(FileDescriptor(rawValue: -1))
    #expect(table.park("a", for: Wait(Interest(key, as: .source), nil, until: nil)) == .ready(.first))
    let mustTell = table.detach(key)
    #expect(!mustTell)
  }

  // MARK: Deadlines of waits that stay

  @Test func `a wait that has an event to answer holds up nobody's deadline`() throws {
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(four))
    let now = Moment.now
    let parking = parked(&table, Interest(one, as: .source), until: now)
    let busy = try #require(parking)
    _ = table.park("silent", for: Wait(Interest(two, as: .source), nil, until: now))
    var ready: [Table.Wake] = []
    table.event(one, [.source], isLast: false, waking: &ready)
    table.expire(at: now, waking: &ready)
    #expect(ready.map(\.waiter) == ["a", "silent"] && table.earliest == nil)
    // It answers, and then its own deadline has come, unless it has another one by now.
    let answer = table.answer(busy)
    #expect(answer == .first)
    let isOver = [
      table.endIfOverdue(busy, until: now + .seconds(1)), table.endIfOverdue(busy, until: now),
      table.endIfOverdue(busy, until: now),
    ]
    #expect(isOver == [false, true, false] && table.isIdle)
  }

  @Test func `a deadline waits for the answer`() throws {
    var table = Table()
    let key = table.attach(three)
    let parking = parked(&table, Interest(key, as: .source), until: .now)
    let ticket = try #require(parking)
    var ready: [Table.Wake] = []
    table.event(key, [.source], isLast: false, waking: &ready)
    table.expire(at: .now, waking: &ready)
    #expect(ready.map(\.parked) == [ticket])
    let answer = table.answer(ticket)
    #expect(answer == .first)
    // With a later deadline it is not expired at all, and with none it waits for ever.
    let later = table.renew(ticket, for: Wait(Interest(key, as: .source), nil, until: .now + .seconds(60)))
    #expect(later != nil)
    table.expire(at: .now, waking: &ready)
    #expect(ready.count == 1 && table.earliest != nil)
    let never = table.renew(ticket, for: Wait(Interest(key, as: .source), nil, until: nil))
    #expect(never != nil)
    #expect(table.earliest == nil && table.isParked(ticket))
  }

  // MARK: Pauses

  @Test func `a pause is ended by interruption and by failure`() throws {
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(four))
    table.pair(one, two)
    let end = Moment.now + .seconds(60)
    func pause(_ table: inout Table) -> Table.Ticket? {
      guard case .parked(let ticket, []) = table.park("a", for: Wait(pausing: one, until: end), stays: true)
      else { return nil }
      return ticket
    }
    var ready: [Table.Wake] = []
    let first = pause(&table)
    let ticket = try #require(first)
    // Bytes and room are for later.
    table.event(one, [.source, .sink], isLast: false, waking: &ready)
    #expect(ready.isEmpty)
    // The failure of either is told, and latched again when the pause ends before it is answered.
    for key in [one, two] {
      table.event(key, [.source, .sink, .failure], isLast: true, waking: &ready)
      #expect(ready.map(\.parked) == [ticket])
      ready = []
      let answer = table.answer(ticket)
      #expect(answer?.contains(.failed) == true)
    }
    table.event(two, [.failure], isLast: true, waking: &ready)
    table.interrupt(one, waking: &ready)
    #expect(ready.map(\.parked) == [ticket, nil] && table.isIdle && table.earliest == nil)
    let again = table.park("b", for: Wait(pausing: one, until: end))
    #expect(again == .ready(.failed))
  }

  // MARK: Refusals

  @Test func `what the kernel was not asked for is asked for again`() {
    var table = Table()
    let (one, two) = (table.attach(three), table.attach(four))
    _ = table.park("a", for: Wait(Interest(two, as: .source), nil, until: nil))
    let both = Wait(Interest(one, as: .source), Interest(two, as: .sink), until: nil)
    guard case .parked(let ticket, let asked) = table.park("b", for: both) else {
      Issue.record("ready")
      return
    }
    table.unpark(ticket)
    for subscription in asked.reversed() { table.forget(subscription) }
    #expect(subscriptions(table.park("b", for: both)) == asked && asked.count == 2)
  }
}
