// The far end of a connection: a plan, carried out step by step in its own time, and a reader that takes what
// comes.

#if CSPLICE_SIMULATION
  import Glibc

  final class Peer {
    enum Step: CustomStringConvertible {
      /// Send until so many bytes of payload have been said in all.
      case send(Int)
      /// Wait until so many bytes of payload have come in all.
      case expect(Int)
      /// Wait for the end of what comes.
      case expectEnd
      case pause(Int64)
      /// Stop reading, and go on reading.
      case stopReading, read
      case urgent
      /// Nothing more is said.
      case end
      /// Says nothing more, and does not end, until the other side does; or not even then.
      case hold, never

      var description: String {
        switch self {
        case .send(let total): "send \(total)"
        case .expect(let count): "expect \(count)"
        case .expectEnd: "expect the end"
        case .pause(let time): "pause \(time / 1000) µs"
        case .stopReading: "stop reading"
        case .read: "read"
        case .urgent: "urgent"
        case .end: "end"
        case .hold: "hold"
        case .never: "never"
        }
      }
    }

    let name: String
    let socket: Socket
    private unowned let world: World
    private let plan: [Step]
    private var at = 0
    private var isReading = true
    private var isScheduled = false
    private var isStopped = false
    /// A pause that ends then.
    private var pausesUntil: Int64?
    /// How long it takes to react, in nanoseconds, and how much it does at once.
    private let delay: ClosedRange<Int>
    private let chunk: Int

    private(set) var sawEnd = false, sawReset = false

    init(
      _ name: String, at socket: Socket, in world: World, plan: [Step], delay: ClosedRange<Int>, chunk: Int
    ) {
      (self.name, self.socket, self.world, self.plan) = (name, socket, world, plan)
      (self.delay, self.chunk) = (delay, chunk)
    }

    /// Everything was done, and everything was seen, if it looks.
    var isOver: Bool { isCutOff || (at == plan.count && (sawEnd || (!isReading && socket.state == .gone))) }
    /// It was reset, or has reset, or has left.
    var isCutOff: Bool { sawReset || socket.wasReset || socket.hasLeft }

    var received: Int { max(0, socket.read - socket.expected.head.count) }

    var summary: String {
      "\(name) at step \(at) of \(plan.count)\(at < plan.count ? " (\(plan[at]))" : "") has \(received)\(sawEnd ? ", the end" : "")\(isReading ? "" : ", does not read")"
    }

    /// Something has changed: acts soon, if there is something to do.
    func poke() {
      guard !isScheduled, canAct else { return }
      isScheduled = true
      let wait = pausesUntil.map { max(0, $0 - world.now) } ?? 0
      world.schedule(after: wait + Int64(world.dice.magnitude(in: delay))) { [self] in
        isScheduled = false
        act()
        poke()
      }
    }

    /// Our socket was closed.
    func lose(isClean: Bool) {
      if !isClean {
        world.note("\(name) is reset")
        sawReset = true
      }
    }

    /// Resets, unless our socket has been closed.
    func reset() {
      if socket.state == .gone { return }
      world.note("\(name) resets")
      socket.fail(with: ECONNRESET)
    }

    /// Closes its socket, which is a unix one: what it has said can still be read.
    func leave() {
      world.note("\(name) leaves")
      // Unlike a reset, this frees nobody who is stuck.
      socket.mate?.peer?.isReading = true
      socket.mate?.peer?.poke()
      socket.leave()
    }

    /// An endless source comes to its end: what it has said is all.
    func stop() {
      isStopped = true
      world.note("\(name) stops")
      poke()
    }

    private var unread: Int { socket.accepted - socket.read }
    private var isEndComing: Bool { socket.isShutDown || socket.closedAt > 0 && socket.state == .gone }

    private var canAct: Bool {
      if isCutOff || socket.state == .connecting { return false }
      return canRead || canStep
    }

    private var canRead: Bool { isReading && (unread > 0 || (isEndComing && !sawEnd)) }

    private var canStep: Bool {
      guard at < plan.count else { return false }
      if pausesUntil != nil { return true }
      switch plan[at] {
      case .send(let total): return left(of: total) == 0 || socket.room > 0 || socket.state == .gone
      // Behind an end that came too soon nothing follows.
      case .expect(let count): return received >= count || sawEnd
      case .expectEnd, .hold: return sawEnd
      case .never: return false
      default: return true
      }
    }

    private func left(of total: Int) -> Int {
      isStopped ? 0 : socket.inbound.head.count + total - socket.arrived
    }

    private func act() {
      if isCutOff { return }
      if canRead {
        if unread > 0 {
          socket.peerRead(min(unread, chunk == .max ? .max : 1 + world.dice.below(chunk)))
        } else {
          world.note("\(name) sees the end")
          sawEnd = true
        }
      }
      if let time = pausesUntil {
        if time > world.now { return }
        pausesUntil = nil
        at += 1
      } else if canStep {
        step()
      }
    }

    private func step() {
      switch plan[at] {
      case .send(let total):
        let count = min(left(of: total), socket.room, chunk == .max ? .max : 1 + world.dice.below(chunk))
        if socket.state == .gone, left(of: total) > 0 {
          // Nobody is there any more.
          lose(isClean: false)
          return
        }
        if count > 0 { socket.arrive(count) }
        if left(of: total) > 0 { return }
        world.note("\(name) has said \(total)")
      case .pause(let time):
        pausesUntil = world.now + time
        return
      case .stopReading: isReading = socket.mate?.hasLeft == true
      case .read: isReading = true
      case .urgent:
        world.note("\(name) says something urgent")
        socket.arriveUrgent()
      case .end:
        world.note("\(name) has ended")
        if socket.state != .gone { socket.arriveEnd() }
      case .expect, .expectEnd, .hold, .never: break
      }
      at += 1
    }
  }
#endif
