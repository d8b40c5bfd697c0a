// A relay, planned and carried out: listen, open the taps, say so, serve until a signal comes, let those who
// are there finish.

#if Services
import Logging
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
    let help = Relay.metricsHelp.merging(RelayTaps.metricsHelp) { one, _ in one }
    return Server.run("relay", serving, help: help) { server in
      let taps = try RelayTaps(
        upstream: tapUpstream, downstream: tapDownstream, server.metrics, server.logger)
      var options = options
      options.taps = taps.fans
      options.otherDescriptors = taps.descriptors + serving.descriptors
      let relay = try Relay(
        on: [listen], to: upstreams, tapping: taps.addresses, options: options, metrics: server.metrics,
        logger: server.logger, stoppedBy: server.stop)
      let admin = try server.adminServer(of: TappedRelay(relay: relay, taps: taps))
      // Nothing speaks against the relay from here on.
      defer { taps.finish() }
      try taps.begin(stoppedBy: server.stop)
      server.announce(relay.addresses.map { "\($0): listening" }, admin)
      advise(server.logger)
      return server.run(relay, admin, reopen: taps.reopen)
    }
  }

  /// What a careful operator would want to have set.
  private func advise(_ logger: Logger) {
    if options.idleTimeout == nil {
      logger.warning("no idle timeout: a silent connection is kept as long as its peers are (--idle-timeout)")
    }
  }
}
#endif
