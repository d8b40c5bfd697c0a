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
    case badHeader(Opening.Failure)
    case noUpstream(Upstreams.Failure)
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
      do throws(Upstreams.Failure) { link = try await shared.upstreams.connect(watchedBy: executor) } catch {
        throw .noUpstream(error)
      }
      account.upstream = link.upstream.address
      var duplex = Duplex(from: shared.pool)
      var header = 0
      defer {
        account.sent = duplex.forward.delivered - min(duplex.forward.delivered, UInt64(header))
        account.received = duplex.backward.delivered
        link.count(sent: account.sent, received: account.received)
      }
      do throws(Duplex.Failure) {
        header = try begin(&duplex, opening, client.descriptor)
        ending = .ended(
          try await duplex.run(
            between: client.descriptor, and: link.socket.descriptor, within: shared.limits,
            watchedBy: shared.options.taps, countedBy: link.upstream.meters, waitingOn: executor))
      } catch {
        link.socket.descriptor.resetUnlessFinished()
        throw .failed(error)
      }
    } catch {
      client.descriptor.resetUnlessFinished()
      ending = error
    }
    say(ending, account)
  }

  @inline(never)
  private func say(_ ending: Ending, _ account: Account) {
    shared.measures.count(ending)
    shared.logger.info("connection", metadata: describe(ending, account))
  }

  private func open(_ client: borrowing Descriptor) async throws(Ending) -> Opening {
    if shared.options.proxyIn.isEmpty { return Opening() }
    do throws(Opening.Failure) {
      return try await Opening(
        of: client, accepting: shared.options.proxyIn, within: shared.options.headerTimeout,
        waitingOn: executor)
    } catch { throw .badHeader(error) }
  }

  /// Puts in what the upstream is sent first, and says how much of that is a header that tells of the client.
  @inline(never)
  private func begin(
    _ duplex: inout Duplex, _ opening: Opening, _ descriptor: borrowing Descriptor
  ) throws(Duplex.Failure) -> Int {
    var bytes: [UInt8] = []
    if let version = shared.options.proxyOut {
      let header =
        opening.header ?? ProxyHeader(source: client, destination: try? SocketAddress(of: descriptor))
      bytes = header.bytes(version)
    }
    let count = bytes.count
    bytes += opening.rest
    if bytes.isEmpty { return 0 }
    // The span lives as long as the call.
    do throws(Errno) { _ = try duplex.forward.write(unsafe bytes.span.bytes) } catch {
      throw Duplex.Failure(direction: .forward, error: .pipe(error))
    }
    return count
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
    case .noUpstream(.last(let error)): ("upstream", "connect: \(error.reason)")
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
