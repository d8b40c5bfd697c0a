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
    let stop = Signals.begin()
    // Before anybody can know of it: until then SIGHUP ends it.
    _ = Signals.beginHangUp()
    let metrics = PrometheusMetrics(
      help: Broadcast.metricsHelp.merging(LogWriter.metricsHelp) { one, _ in one })
    let log: LogWriter
    do throws(Errno) { log = try serving.logWriter(metrics) } catch {
      StandardDescriptors.complain("splice: broadcast: log: \(error)")
      return .noSink
    }
    defer { log.finish() }
    let logger = serving.logger("splice.broadcast", to: log)
    let open: OpenEndpoint?
    do throws(Failure) { open = try openSource(stoppedBy: stop) } catch {
      if let status = Signals.status { return status }
      StandardDescriptors.complain(error.message)
      return error.status
    }
    do {
      let broadcast = try Broadcast(
        of: described(open),
        http: http, plain: plain, options: options, metrics: metrics, logger: logger, stoppedBy: stop)
      let admin = try serving.adminServer(of: broadcast, metrics, stoppedBy: stop)
      return serve(broadcast, admin, open, stoppedBy: stop, log, logger)
    } catch {
      if let status = Signals.status { return status }
      StandardDescriptors.complain("splice: \(error)")
      return .noSink
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

  private func serve(
    _ broadcast: Broadcast, _ admin: AdminServer?, _ open: OpenEndpoint?, stoppedBy stop: StopFlag?,
    _ log: LogWriter, _ logger: Logger
  ) -> Status {
    for address in broadcast.sourceAddresses { log.write("splice: \(address): listening for senders") }
    for address in broadcast.httpAddresses {
      log.write("splice: http://\(address)\(options.path): listening")
    }
    for address in broadcast.plainAddresses { log.write("splice: \(address): listening") }
    for address in admin?.addresses ?? [] { log.write("splice: \(address): admin") }
    let status = Server.run(
      (admin.map { [$0] } ?? []) + [broadcast], stoppedBy: stop, logger, reopen: broadcast.reopenRecording)
    guard status == .done else { return status }
    if !broadcast.isRecorded, let path = options.recording?.path.string, Signals.ending == nil {
      let missed = broadcast.notRecorded
      log.write("splice: \(path.escaped): record: \(missed > 0 ? "misses \(missed) bytes" : "has not ended")")
      return .failedUnderWay
    }
    if let failure = broadcast.sourceFailure {
      let reason =
        switch failure {
        case .source(let errno), .sink(let errno), .pipe(let errno): "\(errno)"
        default: "\(failure)"
        }
      log.write("splice: \(source.word.escapedName): read: \(reason)")
      return .failedUnderWay
    }
    return open.map { confirmEnd(of: $0, log) } ?? .done
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
