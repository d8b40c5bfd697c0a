// Some connections on one executor, each the two directions of a `Duplex` between sockets, with deadlines
// beside them.

#if CSPLICE_SIMULATION
  import Splice
  import SystemPackage

  /// One of the connections, and what is known of its end.
  private final class Pair {
    let client, server: Socket
    let conversation: Conversation
    var limits = Duplex.Options()
    /// It is given up after so long, whatever it does: bytes may come in every batch until then.
    var deadline: Int64?
    var isCancelled = false
    var began: Int64 = 0

    init(_ client: Socket, _ server: Socket, _ conversation: Conversation) {
      (self.client, self.server, self.conversation) = (client, server, conversation)
    }

    /// When a byte was accepted last, either way, or read.
    var lastMoved: Int64 { max(began, client.lastMoved, server.lastMoved) }
    var wasReset: Bool { client.wasReset || server.wasReset }
    var hasLeft: Bool { client.hasLeft || server.hasLeft }
    /// What one said that has left is to arrive, unless the other one has gone as well.
    var lostWords: Bool {
      [client, server].contains {
        $0.hasLeft && !$0.mate!.wasReset && !$0.mate!.hasLeft && $0.mate!.payloadAccepted < $0.payloadArrived
      }
    }
    /// Everything has arrived on both sides, and so have both ends, unless there is nobody left to be told.
    var isWhole: Bool {
      [client, server].allSatisfy {
        $0.endArrived && ($0.isShutDown || $0.wasReset || $0.hasLeft)
          && $0.mate!.payloadArrived == $0.payloadAccepted
      }
    }
  }

  extension World {
    func runDuplexes() throws {
      let executor = try EpollExecutor(name: "simulated")
      let pool = PipePool(budget: dice.pick([32 << 20, 32 << 20, 1 << 20, 65536, 4096]), idle: dice.below(4))
      scarcity = dice.pick([0, 0, 5, 30])
      let count = dice.number(in: 1...dice.pick([1, 3, 6]))
      // Beside sources that never end, for a while.
      let time: Int64? = dice.chance(10) ? 60_000_000 : nil
      for number in 0..<count {
        begin(
          pair(number, isEndless: time != nil && number % 2 == 0 ? time : nil), number, pool, on: executor)
      }
      for number in 0..<dice.below(3) {
        keep(
          deadline: "deadline \(number)", after: Int64(dice.magnitude(in: 10_000...Int(time ?? 60_000_000))),
          on: executor)
      }
      runThreads()
    }

    private func pair(_ number: Int, isEndless: Int64?) -> Pair {
      let client = newSocket("client \(number)", payload: 2 * number)
      let server = newSocket("server \(number)", payload: 2 * number + 1)
      (client.state, server.state) = (.connected, .connected)
      for socket in [client, server] {
        socket.isUnix = dice.chance(15)
        _ = open(socket)
      }
      let isSilent = isEndless == nil && dice.chance(15), isHalfClosed = dice.chance(50)
      // The time of the first look, which is a quarter of the limit.
      let look =
        isEndless == nil && !isSilent && dice.chance(10)
        ? Int64(dice.magnitude(in: 100_000...5_000_000)) : nil
      let conversation =
        look.map { Conversation(stuckUntil: $0 * Int64(dice.number(in: 1...3)), &dice) }
        ?? (isEndless != nil
          ? Conversation(endless: &dice)
          : (isSilent
            ? Conversation(silentAfter: dice.magnitude(in: 1...5_000_000), halfClosed: isHalfClosed, &dice)
            : Conversation(&dice, isBroad: isBroad)))
      let pair = Pair(client, server, conversation)
      func some() -> Duration { .nanoseconds(dice.magnitude(in: 1_000_000...100_000_000)) }
      if let look {
        pair.limits = Duplex.Options(idle: .nanoseconds(4 * look))
      } else if isSilent {
        pair.limits =
          isHalfClosed
          ? Duplex.Options(idle: dice.chance(50) ? some() : nil, halfClose: some())
          : Duplex.Options(idle: some())
      } else if dice.chance(20) {
        pair.limits = Duplex.Options(
          idle: dice.chance(50) ? some() : nil, halfClose: dice.chance(50) ? some() : nil)
      }
      if let isEndless, dice.chance(50) {
        pair.deadline = Int64(dice.magnitude(in: 100_000...Int(isEndless)))
      }
      if isEndless != nil { (client.inCapacity, server.outCapacity) = (6_291_456, 6_291_456) }
      (client.expected.payload, server.expected.payload) = (2 * number + 1, 2 * number)
      self.pair(client, server)
      add(client, conversation, isClient: true)
      add(server, conversation, isClient: false)
      if let isEndless { schedule(after: isEndless) { client.peer?.stop() } }
      return pair
    }

    private func begin(_ pair: Pair, _ number: Int, _ pool: PipePool, on executor: EpollExecutor) {
      let name = "connection \(number) (\(pair.conversation.name))"
      note(
        "\(name): \(pair.conversation.client) | \(pair.conversation.server), idle \(String(describing: pair.limits.idle)), half-close \(String(describing: pair.limits.halfClose))"
      )
      begins(name)
      inspections.append { [self] _ in mustNotBeLate(pair, name) }
      nonisolated(unsafe) let pair = pair
      let task = Task(executorPreference: executor) { [self] in
        pair.began = now
        await run(pair, name, pool, executor)
        if ended(name) { executor.shutdown() }
      }
      if dice.chance(5) {
        order(after: Int64(dice.magnitude(in: 1000...20_000_000))) { [self] in
          note("\(name) is cancelled")
          pair.isCancelled = true
          task.cancel()
        }
      }
    }

    private func run(_ pair: Pair, _ name: String, _ pool: PipePool, _ executor: EpollExecutor) async {
      let first = Descriptor(stream: FileDescriptor(rawValue: pair.client.number), isUnix: pair.client.isUnix)
      let second = Descriptor(
        stream: FileDescriptor(rawValue: pair.server.number), isUnix: pair.server.isUnix)
      let deadline = pair.deadline.map { now + $0 }
      if let deadline { deadlines.append((name, deadline)) }
      defer { deadlines.removeAll { $0.name == name } }
      var duplex = Duplex(capacity: dice.pick([1 << 20, 65536, 4096]), from: pool)
      do throws(Duplex.Failure) {
        let ending = try await duplex.run(
          between: first, and: second, options: pair.limits,
          until: deadline.map { .now + .nanoseconds($0 - now) }, waitingOn: executor)
        if ending.otherWasIdle {
          mustBeDue(pair, pair.limits.halfClose, name)
          cut(first, second)
        } else if !pair.isWhole {
          fail("\(name) has ended, and not everything has arrived; \(state)")
        }
      } catch {
        switch error.error {
        case .timedOut where deadline.map { $0 <= now } == true: break
        case .timedOut: mustBeDue(pair, pair.limits.idle, name)
        case .cancelled where pair.isCancelled: break
        default:
          if !pair.wasReset, !pair.hasLeft { fail("\(name) failed: \(error)") }
          // Unless a limit has cut that short.
          let isPatient = pair.limits.idle == nil && pair.limits.halfClose == nil && deadline == nil
          if isPatient, !pair.isCancelled, pair.lostWords {
            fail("\(name) failed: \(error), and what was said before has not arrived; \(state)")
          }
        }
        cut(first, second)
      }
      if duplex.forward.delivered != UInt64(pair.server.accepted)
        || duplex.backward.delivered != UInt64(pair.client.accepted)
      {
        fail("\(name) counted \(duplex.forward.delivered) and \(duplex.backward.delivered); \(state)")
      }
    }

    /// As a server does with what was cut off.
    private func cut(_ first: borrowing Descriptor, _ second: borrowing Descriptor) {
      first.withFileDescriptor { the($0.rawValue, Socket.self).resetsOnClose = true }
      second.withFileDescriptor { the($0.rawValue, Socket.self).resetsOnClose = true }
    }

    private func mustBeDue(_ pair: Pair, _ limit: Duration?, _ name: String) {
      guard let limit else { fail("\(name) has timed out without a limit") }
      // What a peer takes after the look is not seen by it.
      let since = now - pair.lastMoved
      if since < limit.nanoseconds, since > 200_000 {
        fail(
          "\(name) has timed out \((now - pair.lastMoved) / 1000) µs after a byte, with a limit of \(limit)"
        )
      }
    }

    private func mustNotBeLate(_ pair: Pair, _ name: String) {
      guard pair.client.number >= 0, let idle = pair.limits.idle?.nanoseconds, pair.began > 0 else { return }
      // Looked at four times in the time, so it may take a quarter more.
      if now - pair.lastMoved > idle + idle / 4 + patience {
        fail("\(name) is idle for \((now - pair.lastMoved) / 1000) µs, with a limit of \(idle / 1000)")
      }
    }

    private func keep(deadline name: String, after time: Int64, on executor: EpollExecutor) {
      begins(name)
      let task = Task(executorPreference: executor) { [self] in
        let end = now + time
        deadlines.append((name, end))
        _ = try? await executor.wait(for: nil, or: nil, until: .now + .nanoseconds(time))
        deadlines.removeAll { $0.name == name }
        if now < end { fail("\(name) came \(end - now) ns early") }
        if ended(name) { executor.shutdown() }
      }
      _ = task
    }
  }
#endif
