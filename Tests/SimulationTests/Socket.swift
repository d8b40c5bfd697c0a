// A stream socket of ours, as TCP has it: two queues, an end in each direction, a reset, an urgent mark, and
// what poll says of them.
//
// What is not obvious is as the kernel does it: writable means that a third of the queue is free, and that it
// became so is told only after a send that found no room; a receive takes all that was asked for or all that
// is there; splice stops at urgent data, and recv goes past it; after a reset what is queued is still given,
// then the error once, then the end.

#if CSPLICE_SIMULATION
  import CSplice
  import Glibc

  final class Socket: File {
    enum State { case fresh, connecting, connected, gone }
    var state = State.fresh
    /// It was said that it is connected.
    private(set) var isKnown = false
    /// Unix sockets may give less than there is.
    var isUnix = false
    var peer: Peer?
    /// The socket on the other side of the relay.
    weak var mate: Socket?
    /// A client, whose end is wrong while there is nobody to have ended.
    var needsMate = false

    // From the peer.
    /// What the peer says.
    var inbound = Stream(payload: 0)
    private(set) var arrived = 0, taken = 0
    var inCapacity = 1 << 20
    /// Bytes between two boundaries in the queue, which become slots of their own.
    var fragment = 4096
    private(set) var endArrived = false
    /// The end was read.
    private(set) var endTaken = false
    /// Urgent data stands before this byte.
    private var urgentMark: Int?

    // To the peer.
    /// What the peer is to be sent.
    var expected = Stream(payload: 0)
    private(set) var accepted = 0, read = 0
    var outCapacity = 1 << 20
    /// A send has found no room, so room is to be told of.
    private var wantsRoom = false
    private(set) var isShutDown = false

    private(set) var error: Int32 = 0
    private(set) var wasReset = false
    private var resetAt: Int64 = 0
    var address: [UInt8] = []

    /// When bytes were accepted last on this side, or read by the peer.
    private(set) var lastMoved: Int64 = 0
    /// The peer of a unix socket has closed its own: what it said before can be read, and nothing can be
    /// sent.
    private(set) var hasLeft = false
    private(set) var closedAt: Int64 = 0
    /// Since when something could have been done for the direction that begins here.
    private var heldSince: Int64?

    override var type: UInt32 { 0o140000 }

    var unread: Int { arrived - taken }
    private var queued: Int { accepted - read }
    private var isWritable: Bool { (outCapacity - queued) * 3 >= outCapacity }
    private var isReadable: Bool { unread > 0 || (endArrived && !endTaken) || error != 0 }
    private var isOurs: Bool { number >= 0 && (state == .connected || hasLeft) }

    override func poll(_ asked: UInt32) -> UInt32 {
      switch state {
      case .fresh: return Events.output | Events.hangUp
      case .connecting: return 0
      case .gone:
        return Events.input | Events.output | Events.hangUp | Events.readHangUp
          | (error != 0 ? Events.error : 0)
      case .connected: break
      }
      var events: UInt32 = 0
      if unread > 0 || endArrived { events |= Events.input }
      if endArrived { events |= Events.readHangUp }
      if endArrived && isShutDown { events |= Events.hangUp }
      if isShutDown || isWritable {
        events |= Events.output
      } else if asked & Events.output != 0 {
        wantsRoom = true
      }
      if urgentMark != nil { events |= Events.urgent }
      if error != 0 { events |= Events.error }
      return events
    }

    // MARK: What the peer does

    var room: Int { state == .connected ? max(0, inCapacity - unread) : 0 }

    func arrive(_ count: Int) {
      arrived += count
      wake(Events.input)
    }

    func arriveEnd() {
      endArrived = true
      wake()
    }

    /// The peer of a unix socket closes its own; with something unread that is an error, but what it said
    /// before stays.
    func leave() {
      guard isUnix, state == .connected else { return }
      (state, endArrived, hasLeft) = (.gone, true, true)
      if queued > 0 { error = ECONNRESET }
      wake()
    }

    func arriveUrgent() {
      if isUnix { return }
      urgentMark = arrived
      wake(Events.input | Events.urgent)
    }

    /// A reset, or a connection that was refused.
    func fail(with errno: Int32) {
      let wasConnected = state == .connected
      (state, error) = (.gone, endArrived && wasConnected ? EPIPE : errno)
      (wasReset, resetAt) = (wasConnected, world.now)
      wake()
    }

    /// Connecting once more asks what has come of it.
    func connectAgain() -> Int32 {
      switch state {
      case .connecting: return EALREADY
      case .connected:
        let wasKnown = isKnown
        isKnown = true
        return wasKnown ? EISCONN : 0
      case .gone: return error != 0 ? takeError() : ECONNABORTED
      case .fresh: return 0
      }
    }

    func connected() {
      guard state == .connecting else { return }
      state = .connected
      wake()
    }

    func peerRead(_ count: Int) {
      read += count
      lastMoved = world.now
      world.lastNews = world.now
      if wantsRoom, isWritable {
        wantsRoom = false
        wake(Events.output)
      }
    }

    // MARK: What we do

    /// The error that is owed, once.
    func takeError() -> Int32 {
      defer { error = 0 }
      return error
    }

    /// What can be read, up to so many bytes: a count, or what the call answers instead.
    private func available(upTo limit: Int, splicing: Bool) -> Int {
      if let mark = urgentMark, unread > 0 || endArrived {
        if mark > taken { return min(limit, mark - taken) }
        // Splice takes a stream with its end behind urgent data for ended.
        if splicing { return endArrived ? 0 : -Int(EAGAIN) }
        urgentMark = nil
      }
      if unread > 0 { return min(limit, unread) }
      if error != 0 { return -Int(takeError()) }
      if endArrived || state == .gone {
        endTaken = true
        return 0
      }
      return state == .connected ? -Int(EAGAIN) : -Int(ENOTCONN)
    }

    private func took(_ count: Int) {
      taken += count
      heldSince = nil
      peer?.poke()
    }

    /// That it is connected was told by epoll, or by a second connect: whoever uses it knows.
    private func isUsed() {
      guard state == .connected, !isKnown else { return }
      isKnown = true
      world.connected?(self)
    }

    func receive(into bytes: UnsafeMutableRawPointer, upTo limit: Int) -> Int {
      isUsed()
      var count = available(upTo: limit, splicing: false)
      guard count > 0 else { return count }
      if isUnix, world.dice.chance(20) { count = 1 + world.dice.below(count) }
      inbound.copy(from: taken, count: count, into: bytes)
      took(count)
      return count
    }

    /// Splice: a slot for each fragment.
    func receive(into pipe: PipeBuffer, upTo limit: Int) -> Int {
      isUsed()
      if pipe.isFull { return -Int(EAGAIN) }
      let count = available(upTo: limit, splicing: true)
      guard count > 0 else { return count }
      var (moved, at) = (0, taken)
      while moved < count, !pipe.isFull {
        // A boundary every so many bytes of the stream.
        let piece = inbound.piece(at: at, count: min(count - moved, fragment - at % fragment))
        pipe.append(piece)
        moved += piece.count
        at += piece.count
        if moved < count, world.dice.below(1000) == 0 { break }
      }
      took(moved)
      return moved
    }

    /// How much a send takes, or what it answers.
    private func takes(_ count: Int) -> Int {
      if error != 0 { return -Int(takeError()) }
      if isShutDown || state == .gone { return -Int(EPIPE) }
      guard state == .connected else { return -Int(ENOTCONN) }
      let free = outCapacity - queued
      if free < count { wantsRoom = true }
      return free <= 0 ? -Int(EAGAIN) : min(free, count)
    }

    private func accept(_ count: Int) {
      accepted += count
      lastMoved = world.now
      mate?.heldSince = nil
      peer?.poke()
    }

    private func mustBe(_ isRight: Bool, _ count: Int, _ bytes: @autoclosure () -> String) {
      if !isRight {
        world.fail(
          "\(self) is sent \(count) bytes at \(accepted) that do not belong there: \(bytes()), after a head of \(expected.head.count), \(expected.payload)"
        )
      }
    }

    func send(_ pieces: [UnsafeRawBufferPointer]) -> Int {
      isUsed()
      let total = pieces.reduce(0) { $0 + $1.count }
      let count = takes(total)
      guard count > 0 else { return count }
      var left = count
      for bytes in pieces where left > 0 {
        let part = min(left, bytes.count)
        if part > 0 {
          mustBe(
            expected.matches(bytes.baseAddress!, count: part, at: accepted), part,
            "\(Array(bytes.prefix(100)))")
          accept(part)
        }
        left -= part
      }
      return count
    }

    func send(_ pipe: PipeBuffer, upTo limit: Int) -> Int {
      isUsed()
      if pipe.slots.isEmpty { return -Int(EAGAIN) }
      let count = takes(min(limit, pipe.count))
      guard count > 0 else { return count }
      var left = count
      while left > 0 {
        let piece = pipe.take(upTo: left)
        mustBe(expected.matches(piece, at: accepted), piece.count, "\(piece.content)")
        accept(piece.count)
        left -= piece.count
      }
      return count
    }

    func shutDown() -> Int32 {
      guard state == .connected else { return -ENOTCONN }
      isShutDown = true
      world.note("\(self) is told the end")
      mustHaveEnded()
      peer?.poke()
      return 0
    }

    /// The peer is about to see a clean end, which stands for: this was all.
    private func mustHaveEnded() {
      if needsMate, mate == nil { world.fail("\(self) sees a clean end, and was never served") }
      guard let mate, !wasReset else { return }
      guard mate.endArrived, !mate.wasReset || mate.endTaken, payloadAccepted == mate.payloadArrived,
        accepted >= expected.head.count
      else {
        world.fail(
          "\(self) sees a clean end after \(payloadAccepted) bytes, and of \(mate) \(mate.payloadArrived) have come"
            + "\(mate.endArrived ? "" : " and no end")\(mate.wasReset ? " and a reset" : "")")
      }
    }

    override func closed() {
      closedAt = world.now
      if state == .connecting { state = .gone }
      guard state != .fresh else { return }
      let isClean = !resetsOnClose && unread == 0
      if state == .connected, isClean, !isShutDown { mustHaveEnded() }
      state = .gone
      peer?.lose(isClean: isClean)
      peer?.poke()
    }

    // MARK: What must hold

    var payloadArrived: Int { max(0, arrived - inbound.head.count) }
    private var payloadTaken: Int { max(0, taken - inbound.head.count) }
    var payloadAccepted: Int { max(0, accepted - expected.head.count) }

    /// What could be done now for the direction that begins here; nil when nothing can.
    private var undone: String? {
      guard isOurs, let mate, mate.isOurs, !mate.isShutDown, !mate.hasLeft else { return nil }
      let inFlight = payloadTaken - mate.payloadAccepted
      if inFlight > 0 || mate.accepted < mate.expected.head.count {
        return mate.isWritable ? "\(mate) takes bytes, and \(inFlight) are in flight" : nil
      }
      if isReadable { return "\(self) has \(unread) bytes\(endArrived ? " and the end" : "")" }
      return endTaken ? "\(self) has ended" : nil
    }

    func inspect(isAsleep: Bool) {
      if number >= 0, wasReset, let mate, mate.number >= 0, mate.state != .connecting,
        !world.confirms
          || world.now - max(mate.lastMoved, resetAt) > (mate.queued == 0 ? 60_000_000 : 5_060_000_000)
      {
        if isAsleep { world.fail("asleep, and \(self) was reset; \(world.state)") }
        if heldSince == nil { heldSince = world.now }
      } else if let undone {
        if isAsleep { world.fail("asleep, and \(undone); \(world.state)") }
        if heldSince == nil { heldSince = world.now }
      } else {
        heldSince = nil
      }
      if let since = heldSince, world.now - since > world.patience {
        world.fail(
          "for \((world.now - since) / 1000) µs nothing was done, and \(undone ?? "it was reset"); \(world.state)"
        )
      }
    }

    var summary: String {
      "in \(arrived)-\(taken)\(endArrived ? "." : "")\(wasReset ? "!" : "") out \(accepted)-\(read) of \(outCapacity)\(isShutDown ? "." : "")"
    }
  }

  /// A socket that listens.
  final class Listener: File {
    /// Clients that wait to be taken, and since when.
    private(set) var queue: [Socket] = []
    private(set) var isListening = false
    private(set) var waitsSince: Int64?
    var address: [UInt8] = []
    /// Those that came, and were taken.
    var onAccept: ((Socket) -> Void)?

    override var type: UInt32 { 0o140000 }

    override func poll(_ asked: UInt32) -> UInt32 {
      isListening ? (queue.isEmpty ? 0 : Events.input) : Events.output | Events.hangUp
    }

    func listen() { isListening = true }

    /// Clients are refused from now on, and those that wait are reset.
    func shutDown() {
      isListening = false
      for socket in queue { socket.peer?.lose(isClean: false) }
      (queue, waitsSince) = ([], nil)
      wake()
    }

    override func closed() {
      shutDown()
      onAccept = nil
    }

    func add(_ socket: Socket) -> Bool {
      guard isListening else { return false }
      queue.append(socket)
      if waitsSince == nil { waitsSince = world.now }
      wake(Events.input)
      return true
    }

    func take() -> Socket? {
      guard !queue.isEmpty else { return nil }
      let first = queue.removeFirst()
      waitsSince = queue.isEmpty ? nil : world.now
      return first
    }
  }
#endif
