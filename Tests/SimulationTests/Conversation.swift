// What two far ends have to say to each other. Each waits only for what the other says without waiting for it
// in turn, so a conversation always comes to its end where the bytes do.

#if CSPLICE_SIMULATION
  /// The plans of both sides.
  struct Conversation {
    var client: [Peer.Step] = [], server: [Peer.Step] = []
    /// How many bytes each says, if nothing cuts it short.
    private(set) var clientTotal = 0, serverTotal = 0
    /// One side resets then, unless it has come to its end.
    private(set) var resets: (byClient: Bool, after: Int64)?
    /// One side never ends by itself.
    private(set) var neverEnds = false
    /// How fast both sides react, in nanoseconds, if that is given.
    private(set) var delay: ClosedRange<Int>?
    /// Every byte is said at once, or in pieces no longer than this.
    var chunk = Int.max
    let name: String

    /// An ordinary one, of which it is known that both sides come to their ends, unless one resets.
    init(_ dice: inout Dice, isBroad: Bool) {
      let kind = isBroad && dice.chance(70) ? 100 : dice.below(100)
      switch kind {
      case 0..<25:
        name = "bulk and an answer in the middle"
        let (size, answer) = (Self.bulk(&dice), dice.pick([1, 1, 100, 20_000]))
        let serverSpeaks = dice.chance(30)
        let asks: [Peer.Step] = [.send(size), .expect(answer)]
        let answers: [Peer.Step] = [.expect(dice.pick([size / 2, size / 2, size, 1])), .send(answer)]
        (client, server) = serverSpeaks ? (answers, asks) : (asks, answers)
        (clientTotal, serverTotal) = serverSpeaks ? (answer, size) : (size, answer)
      case 25..<50:
        name = "question and answer"
        for _ in 0..<dice.number(in: 1...12) { exchange(&dice, upTo: 6000) }
      case 50..<65:
        name = "both at once"
        (clientTotal, serverTotal) = (Self.bulk(&dice), Self.bulk(&dice))
        (client, server) = ([.send(clientTotal)], [.send(serverTotal)])
      case 65..<75:
        name = "one way"
        let size = Self.bulk(&dice)
        if dice.chance(50) {
          (client, clientTotal) = ([.send(size)], size)
        } else {
          (server, serverTotal) = ([.send(size)], size)
        }
      case 75..<95:
        name = "a mixture"
        for _ in 0..<dice.number(in: 1...6) { exchange(&dice, upTo: 300_000) }
      case 95..<100: name = "nothing"
      default:
        name = "waves"
        for _ in 0..<dice.number(in: 1...4) { wave(&dice) }
      }
      if dice.chance(15) { insert(.urgent, &dice) }
      for _ in 0..<dice.pick([0, 0, 1, 3]) {
        insert(.pause(Int64(dice.magnitude(in: 1000...30_000_000))), &dice)
      }
      if dice.chance(15) { stopsReading(&dice) }
      end(&dice)
      if dice.chance(20) { reset(&dice) }
      // Pieces so small that there would be too many are for short ones.
      let most = max(clientTotal, serverTotal)
      chunk =
        isBroad
        ? .max : dice.pick([.max, .max, 1 << 20, 100_000, max(1448, most / 500), max(50, most / 2000)])
    }

    /// A source that does not end before it is stopped, which may say a little before each wait could come to
    /// its time, and now and then a byte the other way.
    init(endless dice: inout Dice) {
      name = "without end"
      delay = dice.pick([1...500, 10_000...500_000])
      chunk = dice.pick([.max, 1000])
      (client, clientTotal) = ([.send(1 << 50), .end], 1 << 50)
      for _ in 0..<dice.below(5) {
        serverTotal += dice.magnitude(in: 1...1000)
        server += [.pause(Int64(dice.magnitude(in: 10_000...20_000_000))), .send(serverTotal)]
      }
      server += [.expectEnd, .end]
    }

    /// One that comes to a halt, which a timeout is to end.
    init(silentAfter count: Int, halfClosed: Bool, _ dice: inout Dice) {
      name = "silence"
      (clientTotal, serverTotal) = (count, dice.below(3) * 1000)
      client = [.send(clientTotal)] + (halfClosed ? [.end] : [.hold, .end])
      server = [.expect(clientTotal), .send(serverTotal)] + (halfClosed ? [.never] : [.hold, .end])
      if !halfClosed, dice.chance(30) { server = [.stopReading, .never] }
      neverEnds = true
    }

    /// One says more than fits anywhere to the other, which neither reads nor says anything, and resets just
    /// when it is looked whether something has moved: nothing but that look is told of it.
    init(stuckUntil look: Int64, _ dice: inout Dice) {
      name = "stuck until a look"
      delay = 1...500
      let clientIsLoud = dice.chance(50)
      let (loud, quiet): ([Peer.Step], [Peer.Step]) = ([.send(30_000_000), .never], [.stopReading, .never])
      (client, server) = clientIsLoud ? (loud, quiet) : (quiet, loud)
      (clientTotal, serverTotal) = clientIsLoud ? (30_000_000, 0) : (0, 30_000_000)
      resets = (byClient: clientIsLoud, after: look + Int64(dice.below(200_000)))
      neverEnds = true
    }

    private static func bulk(_ dice: inout Dice) -> Int {
      dice.pick([dice.magnitude(in: 1...100_000), dice.magnitude(in: 10_000...8_000_000)])
    }

    private mutating func exchange(_ dice: inout Dice, upTo most: Int) {
      let (asked, answered) = (dice.magnitude(in: 1...most), dice.magnitude(in: 1...most))
      let serverFirst = dice.chance(30)
      clientTotal += serverFirst ? answered : asked
      serverTotal += serverFirst ? asked : answered
      let fromClient = Peer.Step.send(clientTotal), fromServer = Peer.Step.send(serverTotal)
      let byClient = Peer.Step.expect(serverTotal), byServer = Peer.Step.expect(clientTotal)
      if serverFirst {
        server += [fromServer, byServer]
        client += [byClient, fromClient]
      } else {
        client += [fromClient, byClient]
        server += [byServer, fromServer]
      }
    }

    /// Much from one side and little from the other, at about the same time.
    private mutating func wave(_ dice: inout Dice) {
      let (much, little) = (dice.number(in: 1_000_000...5_000_000), dice.magnitude(in: 1...1000))
      let clientIsLoud = dice.chance(70)
      clientTotal += clientIsLoud ? much : little
      serverTotal += clientIsLoud ? little : much
      client.append(.send(clientTotal))
      server.append(.send(serverTotal))
      for _ in 0..<dice.below(3) { insert(.pause(Int64(dice.magnitude(in: 100...3_000_000))), &dice) }
      if dice.chance(50) { client.append(.expect(serverTotal)) }
      if dice.chance(30) { server.append(.expect(clientTotal - dice.below(clientIsLoud ? much : 1))) }
    }

    private mutating func insert(_ step: Peer.Step, _ dice: inout Dice) {
      if dice.chance(50) {
        client.insert(step, at: dice.below(client.count + 1))
      } else {
        server.insert(step, at: dice.below(server.count + 1))
      }
    }

    /// For a while, which has an end by itself.
    private mutating func stopsReading(_ dice: inout Dice) {
      let steps: [Peer.Step] = [.stopReading, .pause(Int64(dice.magnitude(in: 100_000...50_000_000))), .read]
      if dice.chance(50) {
        client.insert(contentsOf: steps, at: 0)
      } else {
        server.insert(contentsOf: steps, at: 0)
      }
    }

    /// Both end: at once, after all that is to come, or the one after the other.
    private mutating func end(_ dice: inout Dice) {
      func last(_ total: Int, _ dice: inout Dice) -> [Peer.Step] {
        dice.pick([[.end], [.expect(total), .end]])
      }
      switch dice.below(3) {
      case 0:
        client += last(serverTotal, &dice)
        server += last(clientTotal, &dice)
      case 1:
        client += last(serverTotal, &dice)
        server += [.expectEnd, .end]
      default:
        server += last(clientTotal, &dice)
        client += [.expectEnd, .end]
      }
    }

    /// One side resets, at any time; the other may be stuck then, and stay so.
    private mutating func reset(_ dice: inout Dice) {
      resets = (byClient: dice.chance(50), after: Int64(dice.magnitude(in: 1000...30_000_000)))
      guard dice.chance(40) else { return }
      if dice.chance(50) { server.insert(.stopReading, at: 0) } else { client.insert(.stopReading, at: 0) }
    }
  }

  extension World {
    /// How fast far ends are: at once, as on loopback, or far away.
    private func delay() -> ClosedRange<Int> {
      isBroad
        ? dice.pick([1...500, 1000...100_000])
        : dice.pick([1...500, 1...5000, 1000...100_000, 100_000...5_000_000])
    }

    private func queueSize() -> Int {
      isBroad
        ? dice.pick([2_500_000, 6_291_456])
        : dice.pick([dice.magnitude(in: 1000...100_000), 212_992, 2_500_000, 6_291_456])
    }

    func newSocket(_ name: String, payload: Int) -> Socket {
      let socket = Socket(self, name)
      prepare(socket, name, payload: payload)
      return socket
    }

    /// Queues of its own, and somebody who says this payload.
    func prepare(_ socket: Socket, _ name: String, payload: Int) {
      socket.name = name
      (socket.inCapacity, socket.outCapacity) = (queueSize(), queueSize())
      socket.fragment = dice.pick([1448, 4096, 16384, 65536, 65536])
      socket.inbound = Stream(payload: payload)
    }

    /// The two sockets of one connection: what comes in at one is to go out at the other.
    func pair(_ client: Socket, _ server: Socket) {
      (client.mate, server.mate) = (server, client)
      sockets.removeAll { $0 === client }
      sockets += [client, server]
    }

    /// Somebody at the far end.
    func add(_ socket: Socket, _ conversation: Conversation, isClient: Bool, _ plan: [Peer.Step]? = nil) {
      let plan = plan ?? (isClient ? conversation.client : conversation.server)
      let peer = Peer(
        "peer of \(socket.name)", at: socket, in: self, plan: plan,
        delay: conversation.delay ?? delay(), chunk: conversation.chunk)
      socket.peer = peer
      peers.append(peer)
      peer.poke()
      if let resets = conversation.resets, resets.byClient == isClient {
        // A unix socket has no reset, but one that is closed.
        schedule(after: resets.after) { if socket.isUnix { peer.leave() } else { peer.reset() } }
      }
    }
  }
#endif
