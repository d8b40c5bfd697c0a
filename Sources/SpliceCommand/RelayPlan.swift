// A relay, planned and carried out: listen, open the taps, say so, serve until a signal comes, let those who
// are there finish.

#if Services
import Logging
import ServiceLifecycle
import Splice
import SpliceServices
import SystemPackage

/// What is to be done.
struct RelayPlan: Sendable {
  let listen: ServerAddress
  let upstreams: [ServerAddress]
  let options: Relay.Options
  let tapUpstream, tapDownstream: [Endpoint]
  let serving: ServingOptions

  /// Does it, and answers with the status to exit with.
  func run() -> Status {
    let stop = Signals.begin()
    // Before anybody can know of the relay: until then SIGHUP ends it.
    _ = Signals.beginHangUp()
    let metrics = PrometheusMetrics(
      help: Relay.metricsHelp.merging(RelayTaps.metricsHelp) { one, _ in one }
        .merging(LogWriter.metricsHelp) { one, _ in one })
    let log: LogWriter
    do throws(Errno) { log = try serving.logWriter(metrics) } catch {
      StandardDescriptors.complain("splice: relay: log: \(error)")
      return .noSink
    }
    defer { log.finish() }
    let logger = serving.logger("splice.relay", to: log)
    let taps: RelayTaps
    do throws(Failure) {
      taps = try RelayTaps(upstream: tapUpstream, downstream: tapDownstream, metrics, logger)
    } catch {
      // At once, and not by the log's thread, which is given a moment at the end.
      StandardDescriptors.complain(error.message)
      return error.status
    }
    var options = options
    options.taps = taps.fans
    options.otherDescriptors = taps.descriptors + serving.descriptors
    let relay: Relay
    let admin: AdminServer?
    do throws(ServerAddress.Unusable) {
      relay = try Relay(
        on: [listen], to: upstreams, tapping: taps.addresses, options: options, metrics: metrics,
        logger: logger, stoppedBy: stop)
      admin = try serving.adminServer(of: TappedRelay(relay: relay, taps: taps), metrics, stoppedBy: stop)
    } catch {
      if let status = Signals.status { return status }
      StandardDescriptors.complain("splice: \(error)")
      return error.isMisuse ? .usage : .noSink
    }
    return serve(relay, admin, taps, stoppedBy: stop, log, logger)
  }

  /// Nothing speaks against the relay from here on.
  private func serve(
    _ relay: Relay, _ admin: AdminServer?, _ taps: RelayTaps, stoppedBy stop: StopFlag?, _ log: LogWriter,
    _ logger: Logger
  ) -> Status {
    defer { taps.finish() }
    do throws(Failure) { try taps.begin(stoppedBy: stop) } catch {
      StandardDescriptors.complain(error.message)
      return error.status
    }
    for address in relay.addresses { log.write("splice: \(address): listening") }
    for address in admin?.addresses ?? [] { log.write("splice: \(address): admin") }
    advise(logger)
    // The admin pages end last.
    return Server.run((admin.map { [$0] } ?? []) + [relay], stoppedBy: stop, logger, reopen: taps.reopen)
  }

  /// What a careful operator would want to have set.
  private func advise(_ logger: Logger) {
    if options.idleTimeout == nil {
      logger.warning("no idle timeout: a silent connection is kept as long as its peers are (--idle-timeout)")
    }
  }
}
#endif
