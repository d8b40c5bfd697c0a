// One client, from its first byte to the line in the log.

import Logging
import Splice
import SystemPackage

/// One client and its upstream.
struct Connection: Sendable {
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
    case badHeader(String)
    case noUpstream(SpliceError)
  }

  /// What is known at the end.
  private struct Account {
    var upstream: Relay.Address?
    /// Accepted by the upstream, and by the client.
    var (sent, received) = (UInt64(0), UInt64(0))
    /// Whom the client stands for.
    var onBehalfOf: SocketAddress?
  }

  /// Serves it to its end. Whatever ends it before that is a reset on both sides: a stream that was cut off does not look like one that ended.
  func serve(_ descriptor: consuming Descriptor) async {
    var account = Account()
    let watched = Watched(descriptor, by: executor)
    let ending = await forward(watched.descriptor, &account)
    shared.logger.info("connection", metadata: describe(ending, account))
  }

  private func forward(_ descriptor: borrowing Descriptor, _ account: inout Account) async -> Ending {
    let opening: Opening
    do throws(Opening.Failure) {
      opening = try await Opening(
        of: descriptor, accepting: shared.options.proxyIn, within: shared.options.headerTimeout,
        waitingOn: executor)
    } catch {
      descriptor.resetUnlessFinished()
      return .badHeader(error.reason)
    }
    account.onBehalfOf = opening.header?.source
    var ending: Ending?
    var (sent, received, chosen) = (UInt64(0), UInt64(0), Relay.Address?.none)
    do throws(SpliceError) {
      try await shared.upstreams.withConnection(watchedBy: executor) { upstream, socket in
        chosen = upstream.address
        var duplex = Duplex(from: shared.pool)
        let head = proxyHeader(for: opening, descriptor)
        ending = await run(&duplex, head + opening.rest, descriptor, socket)
        sent = duplex.forward.delivered - min(duplex.forward.delivered, UInt64(head.count))
        received = duplex.backward.delivered
        if case .ended = ending { return }
        descriptor.resetUnlessFinished()
        socket.resetUnlessFinished()
      }
    } catch {
      descriptor.resetUnlessFinished()
      return .noUpstream(error)
    }
    (account.upstream, account.sent, account.received) = (chosen, sent, received)
    return ending ?? .noUpstream(.cancelled)
  }

  private func run(
    _ duplex: inout Duplex, _ head: [UInt8], _ client: borrowing Descriptor, _ upstream: borrowing Descriptor
  ) async -> Ending {
    let options = shared.options
    do throws(Duplex.Failure) {
      if !head.isEmpty {
        // The span lives as long as the call.
        do throws(Errno) { _ = try duplex.forward.write(unsafe head.span.bytes) } catch {
          throw Duplex.Failure(direction: .forward, error: .pipe(error))
        }
      }
      let limits = Duplex.Limits(
        idle: options.idleTimeout, halfClose: options.halfCloseTimeout,
        pace: options.rateLimit.map { Pace(bytesPerSecond: $0) })
      return .ended(
        try await duplex.run(between: client, and: upstream, within: limits, watchedBy: options.taps,
          waitingOn: executor))
    } catch { return .failed(error) }
  }

  /// What the upstream is told of the client.
  private func proxyHeader(for opening: Opening, _ descriptor: borrowing Descriptor) -> [UInt8] {
    guard let version = shared.options.proxyOut else { return [] }
    let header =
      opening.header ?? ProxyHeader(source: client, destination: try? SocketAddress(of: descriptor))
    return header.bytes(version)
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
    case .badHeader(let reason): ("client", "PROXY header: \(reason)")
    case .noUpstream(.cancelled): ("relay", "drain timeout")
    case .noUpstream(let error): ("upstream", "connect: \(error.reason)")
    }
  }
}

extension Duplex.Failure {
  /// Who failed, and how.
  fileprivate var words: (String, String) {
    switch (error, direction) {
    case (.timedOut, _): ("relay", "idle timeout")
    case (.cancelled, _): ("relay", "drain timeout")
    case (.source, .forward), (.sink, .backward): ("client", error.reason)
    case (.source, .backward), (.sink, .forward): ("upstream", error.reason)
    default: ("relay", error.reason)
    }
  }
}

extension SpliceError {
  /// Why, without who.
  fileprivate var reason: String {
    switch self {
    case .source(let errno), .sink(let errno), .pipe(let errno): "\(errno)"
    case .truncated, .cancelled, .timedOut: "\(self)"
    }
  }
}
