// A world with one thread: a kernel, its time, and the far ends of its sockets, all of which act as a seed
// says.
//
// The thread that a test's executor starts is run by the test's own thread, so nothing happens beside it. Far
// ends act when their time has come: at the beginning of any system call, so that bytes arrive between a read
// that said EAGAIN and the wait that follows, and in epoll_wait, which is also where time passes when there
// is nothing to do. What happens is therefore a function of the seed alone.

#if CSPLICE_SIMULATION
  import CSplice
  import Dispatch
  import Glibc

  @testable import Splice

  final class World: @unchecked Sendable {
    // Sendable: one thread runs it.

    let seed: UInt64
    var dice: Dice
    /// Nanoseconds.
    private(set) var now: Int64 = 1_000_000_000
    /// System calls so far.
    private(set) var calls = 0

    /// Open files by number.
    private(set) var files: [File?] = [nil, nil, nil]
    /// Connections that are watched over: each socket of them, as the source of one direction.
    var sockets: [Socket] = []
    var peers: [Peer] = []

    /// What the far ends will do, and what the test will, which is only allowed while the executor waits.
    private var agenda = Agenda(), orders = Agenda()
    /// Done once, when nothing else will ever happen but that time passes.
    var atRest: (() -> Void)?
    /// Tasks that have not ended, by name.
    private(set) var unfinished: [String] = []
    /// Deadlines somebody waits for.
    var deadlines: [(name: String, time: Int64)] = []
    /// Answers a connect; nil refuses it at once.
    var connecting: ((Socket) -> Void)?
    /// Told once of each connection that we know to be made.
    var connected: ((Socket) -> Void)?
    /// Told of a receive.
    var received: ((Socket) -> Void)?
    /// Looks for whatever else must hold.
    var inspections: [(_ isAsleep: Bool) -> Void] = []
    /// Whether descriptors run out now and then.
    var scarcity = 0

    /// Chance of a stall, per ten thousand calls.
    private let stalls: Int
    private let cost: Int
    /// How long it takes to wake, at most.
    private let latency: Int
    /// Large queues, fast far ends and much to say: whole turns are moved at once.
    let isBroad: Bool
    private var bodies:
      [(
        body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
      )] = []
    private let kernel = UnsafeMutablePointer<csplice_kernel>.allocate(capacity: 1)
    private let onFailure: (String, [String]) -> Void
    private var trace: [String]?

    /// When there was something to tell of last.
    var lastNews: Int64 = 1_000_000_000
    /// Longer than any limit of ours. What wakes by the clock alone after so long does so for ever.
    private static let quiet: Int64 = 10_000_000_000
    /// No schedule makes more calls than this.
    static let mostCalls = 1_000_000
    /// Of two sockets, one of which was reset, the other is kept for five seconds while its peer still
    /// confirms something.
    var confirms = false
    /// How long a thing that can be done may be left undone, and a deadline unkept, beside how many
    /// connections there are.
    var patience: Int64 { 20_000_000 + 10_000_000 * Int64(sockets.count / 2) }

    init(seed: UInt64, isTraced: Bool, onFailure: @escaping (String, [String]) -> Void) {
      self.seed = seed
      dice = Dice(seed: seed)
      stalls = dice.pick([0, 0, 2, 20])
      cost = dice.pick([400, 1000, 3000])
      latency = dice.pick([1, 1000, 50_000])
      isBroad = dice.chance(35)
      trace = isTraced ? [] : nil
      self.onFailure = onFailure
      // The plain times of the library begin before those of any world, and files are read by the real
      // kernel.
      _ = (Moment.now, LocalPorts.range)
      kernel.initialize(to: .simulated(by: self))
      csplice_thread_set_kernel(kernel)
    }

    /// Ends it. Everything that used it must be gone.
    func end() {
      csplice_thread_set_kernel(nil)
      csplice_thread_set_owner(nil)
      csplice_thread_set_pipe_safe(false)
      // What refers to each other does so no more.
      for peer in peers { peer.socket.peer = nil }
      (peers, sockets) = ([], [])
      kernel.deinitialize(count: 1)
      kernel.deallocate()
    }

    /// The world of the thread.
    static var current: World {
      Unmanaged<World>.fromOpaque(csplice_thread_kernel().pointee.world).takeUnretainedValue()
    }

    // MARK: Failing

    /// Reports what went wrong, and stops this thread for ever: there is no way back out of a call of the
    /// kernel's.
    func fail(_ what: String) -> Never {
      onFailure(what, trace ?? [])
      while true { pause() }
    }

    var isTraced: Bool { trace != nil }

    func note(_ line: @autoclosure () -> String) {
      guard trace != nil else { return }
      let micros = (now - 1_000_000_000) / 1000
      trace?.append("\(micros / 1000).\(String(1000 + micros % 1000).dropFirst()) \(line())")
    }

    // MARK: Time

    /// A system call begins: it takes its time, and whatever has come by then has happened.
    func enter(bytes: Int = 0) {
      calls += 1
      now += Int64(cost / 2 + dice.below(cost)) + Int64(bytes / 16)
      if stalls > 0, dice.below(10_000) < stalls { now += Int64(dice.below(2_000_000)) }
      if calls > Self.mostCalls { fail("no end after \(calls) calls: \(unfinished)") }
      runAgenda()
      if calls & 63 == 0 { inspect(isAsleep: false) }
    }

    /// Looking at the clock takes time, too, so that a task that does nothing else gets somewhere.
    func readClock() -> Int64 {
      now += 50
      return now
    }

    func schedule(after delay: Int64, _ act: @escaping () -> Void) { agenda.add(now + delay, act) }

    /// For what calls into the library: done only while the executor waits, and no lock is held.
    func order(after delay: Int64, _ act: @escaping () -> Void) { orders.add(now + delay, act) }

    private func runAgenda() {
      while let act = agenda.takeDue(at: now) { act() }
    }

    /// Lets far ends do what they still can, once nobody of ours acts any more.
    func settle() {
      while let next = agenda.next {
        now = max(now, next)
        runAgenda()
      }
      (orders, connecting, connected, received, inspections, atRest) = (Agenda(), nil, nil, nil, [], nil)
    }

    // MARK: Waiting

    func wait(on epoll: Epoll, atMost count: Int, milliseconds: Int32) -> [Epoll.Told] {
      enter()
      while let act = orders.takeDue(at: now) { act() }
      inspect(isAsleep: false)
      let end = milliseconds < 0 ? nil : now + Int64(milliseconds) * 1_000_000
      while true {
        let told = epoll.harvest(atMost: count)
        if !told.isEmpty {
          lastNews = now
          return told
        }
        if milliseconds == 0 { return [] }
        inspect(isAsleep: true)
        let next = [agenda.next, orders.next].compactMap { $0 }.min()
        if let next, next <= end ?? .max {
          // The thread wakes a little later, and there may be more by then.
          now = max(now, next) + Int64(dice.below(latency))
          runAgenda()
          while let act = orders.takeDue(at: now) { act() }
        } else if let end, atRest == nil || next != nil || now < lastNews + Self.quiet {
          now = max(now, end) + Int64(dice.below(50_000))
          return []
        } else if let act = atRest {
          atRest = nil
          note("at rest")
          act()
        } else {
          fail("at rest, and these have not ended: \(unfinished); \(state)")
        }
      }
    }

    /// What must hold at any time, and what must hold when the executor sleeps.
    private func inspect(isAsleep: Bool) {
      for (name, time) in deadlines where now > time + patience { fail("the deadline \(name) has passed") }
      for socket in sockets { socket.inspect(isAsleep: isAsleep) }
      for inspection in inspections { inspection(isAsleep) }
    }

    /// Both ends of every conversation have said and seen everything, where nothing has cut it short.
    func mustBeOver() {
      for peer in peers where !peer.isOver { fail("\(peer.summary), and everybody else is done") }
    }

    var state: String {
      sockets.filter { $0.number >= 0 }.map { "\($0): \($0.summary)" }.joined(separator: "; ")
        + peers.filter { !$0.isOver }.map { "; \($0.summary)" }.joined()
    }

    // MARK: Tasks and threads

    func begins(_ task: String) { unfinished.append(task) }

    /// Whether it was the last.
    func ended(_ task: String) -> Bool {
      note("task \(task) has ended")
      unfinished.removeAll { $0 == task }
      return unfinished.isEmpty
    }

    func start(
      _ body: @escaping @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?,
      _ argument: UnsafeMutableRawPointer?
    ) { bodies.append((body, argument)) }

    /// Runs the threads that were started, one after the other, to their ends.
    func runThreads() {
      while !bodies.isEmpty {
        let (body, argument) = bodies.removeFirst()
        _ = body(argument)
      }
    }

    // MARK: Descriptors

    /// The lowest number that is free, or EMFILE.
    func open(_ file: File, mayFail: Bool = false) -> Int32 {
      if mayFail, scarcity > 0, dice.chance(scarcity) {
        note("EMFILE for \(file.name)")
        wasScarce = now
        return -EMFILE
      }
      let free = files.dropFirst(3).firstIndex { $0 == nil }
      if free == nil { files.append(nil) }
      let number = free ?? files.count - 1
      files[number] = file
      file.number = Int32(number)
      return file.number
    }

    /// When a descriptor was refused last.
    private(set) var wasScarce: Int64?

    func close(_ number: Int32) -> Int32 {
      guard let file = file(number) else { fail("close of \(number), which is not open") }
      note("close(\(file))")
      files[Int(number)] = nil
      file.leaveEpolls()
      file.closed()
      file.number = -1
      return 0
    }

    /// What a number is open on becomes something else.
    func replace(_ number: Int32, by file: File) {
      files[Int(number)] = file
      file.number = number
    }

    func file(_ number: Int32) -> File? {
      files.indices.contains(Int(number)) ? files[Int(number)] : nil
    }

    func the<Kind: File>(_ number: Int32, _ kind: Kind.Type = Kind.self) -> Kind {
      guard let file = file(number) as? Kind else {
        fail("\(number) is \(file(number)?.name ?? "closed"), and not \(Kind.self)")
      }
      return file
    }

    var leftOpen: [String] { files.compactMap { $0?.description } }
  }

  /// Things to be done, by their times; those of the same time in the order in which they were added.
  private struct Agenda {
    private var entries: [(time: Int64, act: () -> Void)] = []

    var next: Int64? { entries.last?.time }

    mutating func add(_ time: Int64, _ act: @escaping () -> Void) {
      // The latest first. Few are there at once.
      var index = entries.count
      while index > 0, entries[index - 1].time <= time { index -= 1 }
      entries.insert((time, act), at: index)
    }

    mutating func takeDue(at now: Int64) -> (() -> Void)? {
      guard let last = entries.last, last.time <= now else { return nil }
      return entries.removeLast().act
    }
  }
#endif
