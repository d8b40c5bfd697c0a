// One client, from its first byte to the line in the log.

import Logging
import Splice
import SystemPackage

/// One client and its upstream.
struct Connection: ClientTask {
  private let shared: Relay.Shared
  private let client: SocketAddress
  private let executor: EpollExecutor
  private let begun = ContinuousClock.now

  init(_ shared: Relay.Shared, client: SocketAddress, on executor: EpollExecutor) {
    self.shared = shared
    self.client = client
    self.executor = executor
  }

  /// How it came to its end.
  fileprivate enum Ending {
    case ended(Duplex.Ending)
    case failed(Duplex.Failure)
    case badHeader(Opening.Refused)
    case noUpstream(Upstreams.Unavailable)
  }

  /// Both directions, and what is known of them at the end. In memory of its own: a task's is given out by
  /// the kilobyte.
  private final class Account {
    let client: Watched
    var duplex: Duplex
    var upstream: ServerAddress?
    /// Bytes of a header of ours at the front of what the upstream accepts.
    var header = 0
    /// The address the client stands for.
    var onBehalfOf: SocketAddress?
    /// Until it is put into the pipe to the upstream.
    var opening = Opening()
    var ending: Ending?

    init(_ client: consuming Watched, from pool: PipePool) {
      self.client = client
      duplex = Duplex(from: pool)
    }

    /// Accepted by the upstream, and by the client.
    var sent: UInt64 { duplex.forward.delivered - min(duplex.forward.delivered, UInt64(header)) }
    var received: UInt64 { duplex.backward.delivered }
  }

  /// Serves it to its end. Both sockets are told before to reset their peer when they are closed, and this is
  /// taken back once both directions have ended. So whatever ends it before that, also the end of the
  /// process, is a reset on both sides: a stream that was cut off does not look like one that ended.
  ///
  /// What an idle connection waits in is small, and not deep: the rest has returned by then.
  func serve(_ descriptor: consuming Descriptor) async {
    let account = account(of: descriptor)
    if await begin(account), let link = await connect(account) {
      let flows = flows(account, link)
      do throws(Duplex.Failure) {
        end(
          account, link,
          try await account.duplex.run(
            flows, between: account.client.descriptor, and: link.socket.descriptor))
      } catch {
        await confirm(error, account.client.descriptor, link.socket.descriptor)
        account.ending = .failed(error)
      }
      count(account, link)
    }
    say(account)
  }

  @inline(never)
  private func account(of descriptor: consuming Descriptor) -> Account {
    Account(Watched(descriptor, by: executor), from: shared.pool)
  }

  /// Reads the header that a client has to begin with; whether it did.
  private func begin(_ account: Account) async -> Bool {
    if shared.options.proxyIn.isEmpty { return true }
    do throws(Opening.Refused) {
      account.opening = try await Opening(
        of: account.client.descriptor, accepting: shared.options.proxyIn,
        within: shared.options.headerTimeout,
        waitingOn: executor)
      account.onBehalfOf = account.opening.header?.source
      return true
    } catch { account.ending = .badHeader(error) }
    return false
  }

  /// Finds an upstream, and puts in what that is sent first.
  private func connect(_ account: Account) async -> Upstreams.Link? {
    do throws(Upstreams.Unavailable) {
      let link = try await shared.upstreams.connect(watchedBy: executor)
      account.upstream = link.upstream.address
      do throws(Errno) {
        try putOpening(account)
        return link
      } catch { account.ending = .failed(Duplex.Failure(direction: .forward, error: .pipe(error))) }
    } catch { account.ending = .noUpstream(error) }
    return nil
  }

  @inline(never)
  private func flows(_ account: Account, _ link: Upstreams.Link) -> Duplex.Flows {
    account.duplex.begin(
      between: account.client.descriptor, and: link.socket.descriptor, options: shared.flows(link.upstream),
      watchedBy: shared.options.taps, waitingOn: executor)
  }

  /// Both directions have ended, unless one of them was idle for too long: then their sockets end, and are not
  /// reset, when they are closed.
  @inline(never)
  private func end(_ account: Account, _ link: Upstreams.Link, _ ending: Duplex.Ending) {
    account.ending = .ended(ending)
    if ending.otherWasIdle { return }
    do throws(SpliceError) {
      try account.client.descriptor.endOnClosing()
      try link.socket.descriptor.endOnClosing()
    } catch { account.ending = .failed(Duplex.Failure(direction: nil, error: error)) }
  }

  /// For how long a peer that is about to be reset may confirm nothing of what it was sent, and for how long
  /// it is waited for at all.
  private static let patience = (step: Duration.seconds(5), all: Duration.seconds(60))

  /// Where one peer has failed, the other one first gets what was sent to it: a reset would throw that away.
  private func confirm(
    _ failure: Duplex.Failure, _ client: borrowing Descriptor, _ upstream: borrowing Descriptor
  ) async {
    let end = ContinuousClock.now + Self.patience.all
    switch failure.isOfClient {
    case true?: await upstream.confirm(idle: Self.patience.step, until: end, waitingOn: executor)
    case false?: await client.confirm(idle: Self.patience.step, until: end, waitingOn: executor)
    case nil: break
    }
  }

  /// What the upstream is sent first: a header that tells of the client, and what came with the client's own.
  @inline(never)
  private func putOpening(_ account: Account) throws(Errno) {
    var bytes: [UInt8] = []
    if let version = shared.options.proxyOut {
      // A proxy that speaks for itself, or does not say, leaves the two ends of its connection.
      let destination = try? SocketAddress(of: account.client.descriptor)
      let ends = ProxyHeader(source: client, destination: destination)
      bytes = (account.opening.header.flatMap { $0.isSpecified ? $0 : nil } ?? ends).bytes(version)
    }
    account.header = bytes.count
    bytes += account.opening.payload
    account.opening = Opening()
    // The span lives as long as the call.
    try account.duplex.forward.writeAll(unsafe bytes.span.bytes)
  }

  @inline(never)
  private func count(_ account: Account, _ link: Upstreams.Link) {
    link.count(sent: account.sent, received: account.received)
  }

  @inline(never)
  private func say(_ account: Account) {
    guard let ending = account.ending else { return }
    shared.measures.count(ending)
    shared.logger.info("connection", metadata: describe(ending, account))
  }

  private func describe(_ ending: Ending, _ account: Account) -> Logger.Metadata {
    let seconds = (ContinuousClock.now - begun) / .seconds(1)
    var metadata: Logger.Metadata = [
      "client": "\(account.onBehalfOf ?? client)", "seconds": "\(Double(Int(seconds * 1000)) / 1000)",
      "sent": "\(account.sent)", "received": "\(account.received)",
    ]
    if let upstream = account.upstream { metadata["upstream"] = "\(upstream)" }
    let (who, why) = ending.words
    metadata["ended"] = "\(who)"
    metadata["why"] = "\(why)"
    return metadata
  }
}

extension Connection.Ending {
  /// Who ended it, and why.
  fileprivate var words: (who: String, why: String) {
    switch self {
    case .ended(let ending):
      (ending.first == .forward ? "client" : "upstream", ending.otherWasIdle ? "half-close timeout" : "end")
    case .failed(let failure): failure.words
    case .badHeader(let failure): ("client", "PROXY header: \(failure.reason)")
    case .noUpstream(.noneIsUp): ("relay", "no upstream is up")
    case .noUpstream(.last(.cancelled)): ("relay", "drain timeout")
    case .noUpstream(.last(let error)): (error.isLocal ? "relay" : "upstream", "connect: \(error.reason)")
    }
  }
}

extension Duplex.Failure {
  /// Whether the client failed, or the upstream; nil if neither did.
  fileprivate var isOfClient: Bool? {
    switch (error, direction) {
    case (.source, .forward), (.sink, .backward): true
    case (.source, .backward), (.sink, .forward): false
    default: nil
    }
  }

  /// Who failed, and how.
  fileprivate var words: (String, String) {
    switch (error, isOfClient) {
    case (.timedOut, _): ("relay", "idle timeout")
    case (.cancelled, _): ("relay", "drain timeout")
    case (_, true): ("client", error.reason)
    case (_, false): ("upstream", error.reason)
    default: ("relay", error.reason)
    }
  }
}

extension Measures {
  fileprivate func count(_ ending: Connection.Ending) {
    switch ending {
    case .ended(let ending): if ending.otherWasIdle { halfCloseTimeouts.increment() }
    case .failed(let failure): count(failure)
    case .badHeader(let failure): (failure.isTimeout ? headerTimeouts : badHeader).increment()
    case .noUpstream(.noneIsUp): noneUp.increment()
    case .noUpstream(.last(.cancelled)): drainTimeouts.increment()
    case .noUpstream(.last): notConnected.increment()
    }
  }

  private func count(_ failure: Duplex.Failure) {
    switch (failure.error, failure.direction) {
    case (.timedOut, _): idleTimeouts.increment()
    case (.cancelled, _): drainTimeouts.increment()
    case (.source(.connectionReset), .forward), (.sink(.connectionReset), .backward),
      (.sink(.brokenPipe), .backward):
      resetByClient.increment()
    case (.source(.connectionReset), .backward), (.sink(.connectionReset), .forward),
      (.sink(.brokenPipe), .forward):
      resetByUpstream.increment()
    default: break
    }
  }
}

extension SpliceError {
  /// Why, without who.
  var reason: String {
    switch self {
    case .source(let errno), .sink(let errno), .pipe(let errno): "\(errno)"
    case .truncated, .cancelled, .timedOut: "\(self)"
    }
  }
}
