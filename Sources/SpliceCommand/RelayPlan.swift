// A relay, planned and carried out: listen, say so, serve until a signal comes, let those who are there finish.

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
    let metrics = PrometheusMetrics(help: Relay.metricsHelp.merging(LogWriter.metricsHelp) { one, _ in one })
    let log: LogWriter
    do throws(Errno) { log = try serving.logWriter(metrics) } catch {
      StandardDescriptors.complain("splice: relay: log: \(error)")
      return .noSink
    }
    defer { log.finish() }
    let logger = serving.logger("splice.relay", to: log)
    var options = options
    let taps: [Tap]
    do throws(Errno) {
      options.taps = try Duplex.Taps(forward: fan(for: tapUpstream), backward: fan(for: tapDownstream))
      taps = try begin(options.taps, logger)
    } catch {
      log.write("splice: relay: tap: \(error)")
      return .noSink
    }
    let relay: Relay
    let admin: AdminServer?
    do throws(ServerAddress.Failure) {
      relay = try Relay(
        on: [listen], to: upstreams, options: options, metrics: metrics, logger: logger, stoppedBy: stop)
      admin = try serving.adminServer(of: relay, metrics)
    } catch {
      if let status = Signals.status { return status }
      log.write("splice: \(error)")
      return error.isMisuse ? .usage : .noSink
    }
    for address in relay.addresses { log.write("splice: \(address): listening") }
    for address in admin?.addresses ?? [] { log.write("splice: \(address): admin") }
    advise(logger)
    // The admin pages end last.
    let status = Server.run((admin.map { [$0] } ?? []) + [relay], stoppedBy: stop, logger) {
      for tap in taps { tap.reopen() }
    }
    Tap.finish(taps)
    return status
  }

  /// What a careful operator would want to have set.
  private func advise(_ logger: Logger) {
    if options.idleTimeout == nil {
      logger.warning("no idle timeout: a silent connection is kept as long as its peers are (--idle-timeout)")
    }
  }

  private func fan(for taps: [Endpoint]) throws(Errno) -> FanOut? { taps.isEmpty ? nil : try FanOut() }

  private func begin(_ fans: Duplex.Taps, _ logger: Logger) throws(Errno) -> [Tap] {
    var taps: [Tap] = []
    for (fan, endpoints) in [(fans.forward, tapUpstream), (fans.backward, tapDownstream)] {
      guard let fan else { continue }
      for endpoint in endpoints { taps.append(try Tap(endpoint, on: fan, logger)) }
    }
    return taps
  }
}
