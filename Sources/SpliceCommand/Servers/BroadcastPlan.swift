// A broadcast, planned and carried out: open the source, listen, say so, serve until the source has ended or a
// signal comes, let viewers have what is left.

#if Services
import Logging
import Splice
import SpliceServices
import SystemPackage

/// What is to be done.
struct BroadcastPlan: Sendable {
  let source: BroadcastSource
  let http, plain: [ServerAddress]
  let options: Broadcast.Options
  let serving: ServingOptions

  /// Does it, and answers with the status to exit with.
  func run() -> Status {
    Server.run("broadcast", serving, help: Broadcast.metricsHelp) { server in
      let open = try openSource(stoppedBy: server.stop)
      let broadcast: Broadcast
      let admin: AdminServer?
      do {
        broadcast = try Broadcast(
          of: described(open), http: http, plain: plain, options: options, metrics: server.metrics,
          logger: server.logger, stoppedBy: server.stop)
        admin = try server.adminServer(of: broadcast)
      } catch {
        // A program that was to be the source is not left behind.
        open?.closeSource()
        _ = open?.reap(mayLoseReader: true, OpenEndpoint.Options(poll: BlockingWait(until: .now)))
        throw error
      }
      server.announce(places(of: broadcast), admin)
      let status = server.run(broadcast, admin, reopen: broadcast.reopenRecording)
      guard status == .done else { return status }
      return outcome(of: broadcast, server.log) ?? open.map { confirmEnd(of: $0, server.log) } ?? .done
    }
  }

  /// The source as the broadcast knows it.
  private func described(_ open: OpenEndpoint?) -> Broadcast.Source {
    switch source {
    case .origin(let origin): return .http(origin)
    case .endpoint(let endpoint):
      guard let source = open?.takeSource() else { return .listening(endpoint.listening ?? .inherited) }
      return .descriptor(source, name: endpoint.word.escaped)
    }
  }

  /// Nil when it listens or is an origin, which the broadcast sees to.
  private func openSource(stoppedBy stop: StopFlag?) throws(Failure) -> OpenEndpoint? {
    guard case .endpoint(let source) = source, source.listening == nil else { return nil }
    let options = OpenEndpoint.Options(poll: BlockingWait(orStoppedBy: stop), isolatesPrograms: true)
    let open = try source.begin(.source, options)
    try OpenEndpoint.settle([open], options)
    try OpenEndpoint.runPrograms([open], options)
    return open
  }

  /// Where it listens, and for whom.
  private func places(of broadcast: Broadcast) -> [String] {
    broadcast.sourceAddresses.map { "\($0): listening for senders" }
      + broadcast.httpAddresses.map { "http://\($0)\(options.path): listening" }
      + broadcast.plainAddresses.map { "\($0): listening" }
  }

  /// What was wrong with one that has ended, if anything, which is said.
  private func outcome(of broadcast: Broadcast, _ log: LogWriter) -> Status? {
    if !broadcast.isRecorded, let path = options.recording?.path.string, Signals.ending == nil {
      let missed = broadcast.notRecorded
      log.write("splice: \(path.escaped): record: \(missed > 0 ? "misses \(missed) bytes" : "has not ended")")
      return .failedUnderWay
    }
    guard let failure = broadcast.sourceFailure else { return nil }
    let reason =
      switch failure {
      case .source(let errno), .sink(let errno), .pipe(let errno): "\(errno)"
      default: "\(failure)"
      }
    log.write("splice: \(source.word.escapedName): read: \(reason)")
    return .failedUnderWay
  }

  /// Whether a program that was the source has ended well, where we have not ended it.
  private func confirmEnd(of open: OpenEndpoint, _ log: LogWriter) -> Status {
    let wasEnded = Signals.ending != nil
    let options = OpenEndpoint.Options(
      poll: BlockingWait(until: .now + .seconds(5)), idle: Span(.seconds(5), word: "5s"))
    open.closeSource()
    guard let failure = open.reap(mayLoseReader: true, options), !wasEnded else { return .done }
    log.write(failure.message)
    return failure.status
  }
}

extension Endpoint {
  /// Where senders come to, of one that listens.
  var listening: ServerAddress? {
    switch place {
    case .tcpListen(let host, let port): .tcp(host: host, port: port)
    case .unixListen(let path): .unix(path)
    default: nil
    }
  }
}
#endif
