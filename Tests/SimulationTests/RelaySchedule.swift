// A thread of the relay as a whole: clients that come, upstreams that answer or do not, PROXY headers,
// descriptors that run out, the drain.

#if CSPLICE_SIMULATION
  import CoreMetrics
  import Logging
  import Splice

  @testable import SpliceServices

  /// A client, what it is to be told, and what may end it before its time.
  private final class Client {
    let socket: Socket
    let number: Int
    let conversation: Conversation
    /// What its server is sent before its bytes.
    var header: [UInt8] = []
    var isAccepted = false
    /// The task that serves it.
    var task: Int?
    /// A reset is not held against the relay.
    var mayBeCut: Bool { isCutOnPurpose || !isAnswered }
    /// Somebody resets, or refuses, or waits for ever, whatever the relay does.
    var isCutOnPurpose = false
    /// No address of an upstream has been tried yet, or one of them answers in time.
    var isAnswered = true
    /// When the first address of an upstream, which is a port here, was tried.
    var triedAt: [UInt16: Int64] = [:]

    init(_ socket: Socket, _ number: Int, _ conversation: Conversation) {
      (self.socket, self.number, self.conversation) = (socket, number, conversation)
      isCutOnPurpose = conversation.resets != nil || conversation.neverEnds
    }

    var address: SocketAddress {
      SocketAddress(ip: [10, 0, 0, UInt8(number + 1)], port: UInt16(1000 + number))
    }
  }

  /// What a relay is to do in a world, and what it has come to.
  private final class Relaying {
    let world: World
    private(set) var options: Relay.Options
    var listener: Listener?
    var clients: [Client] = []
    private var accepted: [Client] = []
    /// How many addresses an upstream has, at most.
    let mostAddresses: Int
    private var attempts: [(server: Socket, client: Client, answeredAt: Int64?)] = []
    var drainedAt: Int64?

    init(_ world: World) {
      self.world = world
      options = Self.options(&world.dice)
      mostAddresses = world.dice.pick([1, 1, 2, 4])
      // Long enough for some head starts.
      if mostAddresses > 1 { options.connectTimeout = min(options.connectTimeout * 20, .milliseconds(1500)) }
    }

    private static func options(_ dice: inout Dice) -> Relay.Options {
      func some() -> Duration { .nanoseconds(dice.magnitude(in: 5_000_000...200_000_000)) }
      var options = Relay.Options()
      options.connectTimeout = some()
      // Longer than it takes those who say it at all.
      options.headerTimeout = .nanoseconds(dice.magnitude(in: 50_000_000...500_000_000))
      options.drainTimeout = some()
      if dice.chance(20) { options.idleTimeout = some() }
      if dice.chance(20) { options.halfCloseTimeout = some() }
      options.proxyIn = dice.pick([[], [], [.v1], [.v2], [.v1, .v2]])
      options.proxyOut = dice.pick([nil, nil, .v1, .v2])
      options.pipeBudget = dice.pick([32 << 20, 32 << 20, 1 << 20, 65536, 4096])
      options.maxConnections = dice.pick([nil, nil, 1, 2])
      return options
    }

    /// Whether a connection may be ended by what the operator asked for.
    var hasLimits: Bool { options.idleTimeout != nil || options.halfCloseTimeout != nil }

    // MARK: Clients

    func prepare(_ number: Int) {
      let socket = world.newSocket("client \(number)", payload: 2 * number)
      socket.state = .connected
      socket.needsMate = true
      let isSilent = world.dice.chance(8)
      let conversation =
        isSilent
        ? Conversation(
          silentAfter: world.dice.magnitude(in: 1...2_000_000), halfClosed: world.dice.chance(50), &world.dice
        )
        : Conversation(&world.dice, isBroad: world.isBroad)
      let client = Client(socket, number, conversation)
      socket.address = client.address.bytes
      socket.expected.payload = 2 * number + 1
      var header: ProxyHeader?
      if let version = options.proxyIn.sorted(by: { $0.rawValue < $1.rawValue }).last {
        let said = ProxyHeader(
          source: SocketAddress(ip: [192, 168, 0, UInt8(number)], port: 7),
          destination: SocketAddress(ip: [10, 1, 1, 1], port: 443))
        socket.inbound.head = said.bytes(version)
        header = said
      }
      if let version = options.proxyOut {
        let known =
          header ?? ProxyHeader(source: client.address, destination: SocketAddress(World.ownAddress))
        client.header = known.bytes(version)
      }
      clients.append(client)
      world.schedule(after: Int64(world.dice.magnitude(in: 1...world.dice.pick([1000, 50_000_000])))) {
        [self] in come(client)
      }
    }

    private func come(_ client: Client) {
      guard let listener, listener.add(client.socket) else {
        client.isCutOnPurpose = true
        world.note("client \(client.number) is refused")
        return
      }
      world.note(
        "client \(client.number) comes: \(client.conversation.name), \(client.conversation.client) | \(client.conversation.server)"
      )
      // A header comes with the first bytes, or alone when there are none yet, and sometimes not at all.
      var plan = client.conversation.client
      if case .send? = plan.first {} else { plan.insert(.send(0), at: 0) }
      let isMute = !options.proxyIn.isEmpty && world.dice.chance(5)
      if isMute { client.isCutOnPurpose = true }
      world.add(client.socket, client.conversation, isClient: true, isMute ? [.never] : plan)
    }

    func accept(_ socket: Socket) {
      guard let client = clients.first(where: { $0.socket === socket }) else { return }
      client.isAccepted = true
      accepted.append(client)
    }

    // MARK: Upstreams

    /// Whose connection to an upstream this is: the one its task has read from, or else the first that has
    /// none yet, since tasks begin in the order in which their clients were taken.
    private func client() -> Client? {
      let task = World.task
      let own = clients.first { $0.task == task && $0.socket.number >= 0 }
      let found = own ?? accepted.first { $0.task == nil && $0.socket.number >= 0 }
      found?.task = task
      return found
    }

    func hasReceived(_ socket: Socket) {
      guard let client = clients.first(where: { $0.socket === socket }), client.task == nil else { return }
      client.task = World.task
    }

    func connect(_ server: Socket) {
      guard let client = client() else { world.fail("nobody's connection to an upstream") }
      let number = client.number
      world.prepare(server, "server \(number)", payload: 2 * number + 1)
      server.expected = Stream(head: client.header, payload: 2 * number)
      if client.triedAt.isEmpty { client.isAnswered = false }
      let port = SocketAddress(server.address).port ?? 0
      let triedAt = client.triedAt[port] ?? world.now
      client.triedAt[port] = triedAt
      // Of several addresses one is taken, which is known once it is.
      if mostAddresses == 1 {
        world.pair(client.socket, server)
      } else {
        attempts.append((server, client, nil))
      }
      func begin() {
        server.connected()
        if let index = attempts.firstIndex(where: { $0.server === server }) {
          attempts[index].answeredAt = world.now
        }
        if mostAddresses == 1, server.state == .connected {
          world.add(server, client.conversation, isClient: false)
        }
      }
      let delay = Int64(
        world.dice.magnitude(
          in: 1...world.dice.pick([1000, 1_000_000, 100_000_000, mostAddresses > 1 ? 2_000_000_000 : 1000])))
      let isBad = mostAddresses > 1 && world.dice.chance(40)
      switch isBad ? 88 + world.dice.below(12) : world.dice.below(100) {
      case 0..<15:
        begin()
        client.isAnswered = true
      case 15..<88:
        world.schedule(after: delay) { begin() }
        // It may be too late, too.
        if world.now + delay < triedAt + options.connectTimeout.nanoseconds / 2 { client.isAnswered = true }
      case 88..<92: server.fail(with: 111)
      case 92..<96:
        world.schedule(after: delay) { if server.state == .connecting { server.fail(with: 111) } }
      default: break
      }
    }

    /// This is the address that is taken.
    func take(_ server: Socket) {
      guard let index = attempts.firstIndex(where: { $0.server === server }) else { return }
      let client = attempts.remove(at: index).client
      world.pair(client.socket, server)
      world.add(server, client.conversation, isClient: false)
    }

    /// Where the names of upstreams lead: to one address each, or to some that others follow.
    func places(of address: ServerAddress) throws -> [SocketAddress] {
      guard mostAddresses > 1, case .tcp(_, let port) = address else { return try address.resolve() }
      return (0..<world.dice.number(in: 1...mostAddresses)).map { _ in
        SocketAddress(ip: [127, 0, 0, UInt8(world.dice.number(in: 1...9))], port: port)
      }
    }

    /// The resolver tells something new, now and then.
    func moveNames(_ upstreams: [Upstream]) {
      for upstream in upstreams where mostAddresses > 1 {
        for _ in 0..<world.dice.below(4) {
          world.order(after: Int64(world.dice.magnitude(in: 10_000...100_000_000))) { [self] in
            if let places = try? places(of: upstream.address) { upstream.places = places }
          }
        }
      }
    }

    // MARK: What must hold

    private var hasSeat: Bool { clients.count { $0.socket.number >= 0 } < options.maxConnections ?? .max }

    func inspect() {
      if let drainedAt,
        world.now > drainedAt + options.drainTimeout.nanoseconds + world.patience + 200_000_000
      {
        world.fail("the drain is not over after \((world.now - drainedAt) / 1000) µs; \(world.state)")
      }
      for (server, client, answeredAt) in attempts where server.number >= 0 && server.state == .connected {
        if let answeredAt, world.now > answeredAt + world.patience {
          world.fail("client \(client.number) waits, and \(server) has answered; \(world.state)")
        }
      }
      guard let listener, let since = listener.waitsSince else { return }
      // Where there was no descriptor, it is tried again after a tenth of a second.
      let tried = max(since, (world.wasScarce ?? 0) + 100_000_000, clients.map(\.socket.closedAt).max() ?? 0)
      if hasSeat, world.now > tried + world.patience {
        world.fail("a client is not taken for \((world.now - since) / 1000) µs")
      }
    }

    /// Nothing more will happen: every client has come to its end.
    func mustBeServed() {
      for client in clients where !client.conversation.neverEnds && (client.isAccepted || hasSeat) {
        guard let peer = client.socket.peer, !peer.isOver, !(client.mayBeCut && client.socket.number < 0)
        else { continue }
        world.fail("at rest, and \(peer.summary); \(world.state)")
      }
    }

    func mustNotBeCut() {
      for client in clients where !client.mayBeCut && !hasLimits && drainedAt == nil && world.wasScarce == nil
      {
        if let peer = client.socket.peer, peer.isCutOff {
          world.fail("\(peer.summary) was reset for no reason")
        }
      }
    }
  }

  extension World {
    /// The task that runs now.
    fileprivate static var task: Int { withUnsafeCurrentTask { $0?.hashValue ?? 0 } }

    func runRelay() throws {
      confirms = true
      let relaying = Relaying(self)
      note("\(relaying.options)")
      let upstreams = try (0..<dice.number(in: 1...2)).map {
        let address = ServerAddress.tcp(host: "127.0.0.1", port: UInt16(81 + $0))
        return (address, places: try relaying.places(of: address))
      }
      let shared = try Relay.Shared(
        upstreams, relaying.options, listeners: 1, NOOPMetricsHandler.instance,
        Logger(label: "", factory: { _ in SwiftLogNoOpLogHandler() }))
      let listeners = try Listeners(
        on: [.tcp(host: "127.0.0.1", port: 80)], sharedBy: 1, tcp: relaying.options.tcp, resetting: true)
      let executor = try EpollExecutor(name: "simulated")
      let thread = RelayThread(
        listeners.sockets[0], shared, shared.heartbeats[0], on: executor, ending: try Event())
      let listener = listeners.sockets[0][0].descriptor.withFileDescriptor { the($0.rawValue, Listener.self) }
      relaying.listener = listener
      listener.onAccept = { relaying.accept($0) }
      connecting = { relaying.connect($0) }
      connected = { relaying.take($0) }
      relaying.moveNames(shared.upstreams.all)
      received = { relaying.hasReceived($0) }
      inspections.append { _ in relaying.inspect() }
      scarcity = dice.pick([0, 0, 5, 30])
      for number in 0..<dice.number(in: 1...dice.pick([1, 3, 8])) { relaying.prepare(number) }
      func drain() {
        note("drains")
        relaying.mustNotBeCut()
        relaying.drainedAt = now
        shared.serving.drain()
      }
      atRest = {
        relaying.mustBeServed()
        drain()
      }
      if dice.chance(20) {
        order(after: Int64(dice.magnitude(in: 10_000...100_000_000))) { [self] in
          atRest = nil
          drain()
        }
      }
      begins("relay")
      Task(executorPreference: executor) { [self] in
        await thread.run()
        _ = ended("relay")
        executor.shutdown()
      }
      runThreads()
      settle()
    }
  }
#endif
