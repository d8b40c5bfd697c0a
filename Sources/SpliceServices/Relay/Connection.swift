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
  fileprivate enum Ending: Error {
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
  ///
  /// One function for all that is waited for: each one that waits within another costs every connection that is idle a kilobyte.
  func serve(_ descriptor: consuming Descriptor) async {
    let client = Watched(descriptor, by: executor)
    var account = Account()
    let ending: Ending
    do throws(Ending) {
      let opening = try await open(client.descriptor)
      account.onBehalfOf = opening.header?.source
      let link: Upstreams.Link
      do throws(SpliceError) { link = try await shared.upstreams.connect(watchedBy: executor) } catch {
        throw .noUpstream(error)
      }
      account.upstream = link.address
      var duplex = Duplex(from: shared.pool)
      let head = proxyHeader(for: opening, client.descriptor)
      defer {
        account.sent = duplex.forward.delivered - min(duplex.forward.delivered, UInt64(head.count))
        account.received = duplex.backward.delivered
        link.count(sent: account.sent, received: account.received)
      }
      do throws(Duplex.Failure) {
        try duplex.begin(with: head + opening.rest)
        ending = .ended(
          try await duplex.run(
            between: client.descriptor, and: link.socket.descriptor, within: shared.limits,
            watchedBy: shared.options.taps, waitingOn: executor))
      } catch {
        link.socket.descriptor.resetUnlessFinished()
        throw .failed(error)
      }
    } catch {
      client.descriptor.resetUnlessFinished()
      ending = error
    }
    shared.logger.info("connection", metadata: describe(ending, account))
  }

  private func open(_ client: borrowing Descriptor) async throws(Ending) -> Opening {
    if shared.options.proxyIn.isEmpty { return Opening() }
    do throws(Opening.Failure) {
      return try await Opening(
        of: client, accepting: shared.options.proxyIn, within: shared.options.headerTimeout,
        waitingOn: executor)
    } catch { throw .badHeader(error.reason) }
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

extension Duplex {
  /// Puts in what the upstream is sent first.
  fileprivate mutating func begin(with bytes: [UInt8]) throws(Failure) {
    if bytes.isEmpty { return }
    // The span lives as long as the call.
    do throws(Errno) { _ = try forward.write(unsafe bytes.span.bytes) } catch {
      throw Failure(direction: .forward, error: .pipe(error))
    }
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
