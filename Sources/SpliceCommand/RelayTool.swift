// `splice relay LISTEN UPSTREAM...`: its flags, and the plan they make.

import ArgumentParser
import Glibc
import Logging
import SpliceServices

struct RelayTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relay",
    abstract: "Forward connections to upstreams.",
    discussion: """
      LISTEN is PORT (on 127.0.0.1), HOST:PORT, unix:PATH or systemd (sockets it has opened); an UPSTREAM is HOST:PORT or unix:PATH.

      splice relay 8080 backend:80
      """)

  @Argument(help: "Where clients come.", transform: ServerAddress.init(listening:))
  var listen: ServerAddress

  @Argument(
    help: "Where they are forwarded to, one after the other.", transform: ServerAddress.init(upstream:))
  var upstream: [ServerAddress]

  @Option(help: "Whose turn it is: round-robin or least-connections.")
  var balance = Relay.Balance.roundRobin

  @Option(
    help: ArgumentHelp(
      "Check upstreams so often; one that is down is not tried, and when all are, clients are reset at once.",
      valueName: "time"))
  var healthInterval: Span?

  @Option(help: ArgumentHelp("So many successes in a row bring an upstream up.", valueName: "n"))
  var healthRise = 2

  @Option(help: ArgumentHelp("So many failures in a row bring one down.", valueName: "n"))
  var healthFall = 3

  @Option(
    help: ArgumentHelp("How long each upstream has to answer, with all its addresses.", valueName: "time"))
  var connectTimeout = Span(.seconds(5), word: "5s")

  @Option(help: ArgumentHelp("End a connection on which nothing moved for so long.", valueName: "time"))
  var idleTimeout: Span?

  @Option(
    help: ArgumentHelp(
      "After one side has ended, end the other once it was idle for so long.", valueName: "time"))
  var halfCloseTimeout: Span?

  @Option(
    help: ArgumentHelp(
      "Maximum simultaneous connections; others queue. (default: from the limit of open descriptors)",
      valueName: "n"))
  var maxConnections: Int?

  @Option(
    help: ArgumentHelp(
      "Ask a silent peer for a sign of life after so long, and give it up after three times that.",
      valueName: "time"))
  var keepalive: Span?

  @Option(help: ArgumentHelp("Clients begin with a PROXY header: v1, v2 or any.", valueName: "version"))
  var proxyIn: ProxyIn?

  @Option(
    help: ArgumentHelp(
      "Tell upstreams the client's address in a PROXY header: v1 or v2.", valueName: "version"))
  var proxyOut: Relay.ProxyVersion?

  @Option(help: ArgumentHelp("At most so much a second, each direction of a connection.", valueName: "size"))
  var rateLimit: Size?

  @Option(
    help: ArgumentHelp(
      "Copy what clients send to an endpoint too, which may be slow, fail and come back.",
      valueName: "endpoint"),
    transform: Endpoint.init(parsing:))
  var tapUpstream: [Endpoint] = []

  @Option(
    help: ArgumentHelp("The same of what clients are sent.", valueName: "endpoint"),
    transform: Endpoint.init(parsing:))
  var tapDownstream: [Endpoint] = []

  @Option(
    help: ArgumentHelp("Pipes of at most so many bytes at once; past it bytes are copied.", valueName: "size")
  )
  var pipeBudget: Size?

  @Option(help: ArgumentHelp("Threads that serve.", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("How long connections may go on once the relay is to end.", valueName: "time"))
  var drainTimeout = Span(.seconds(30), word: "30s")

  @OptionGroup var serving: ServingOptions

  func validate() throws {
    for (number, flag) in [
      (maxConnections, "--max-connections"), (threads, "--threads"), (healthRise, "--health-rise"),
      (healthFall, "--health-fall"),
    ] {
      if let number, number < 1 { throw ValidationError("\(flag) is at least 1") }
    }
    for tap in tapUpstream + tapDownstream {
      switch tap.place {
      case .zero, .digest: throw ValidationError("'\(tap.word)' cannot be a tap")
      default: break
      }
    }
  }

  func run() {
    var options = Relay.Options()
    options.balance = balance
    options.healthInterval = healthInterval?.duration
    options.healthRise = healthRise
    options.healthFall = healthFall
    options.connectTimeout = connectTimeout.duration
    options.idleTimeout = idleTimeout?.duration
    options.halfCloseTimeout = halfCloseTimeout?.duration
    options.maxConnections = maxConnections
    options.keepalive = keepalive?.duration
    options.proxyIn = proxyIn?.versions ?? []
    options.proxyOut = proxyOut
    options.rateLimit = rateLimit?.bytes
    if let pipeBudget { options.pipeBudget = Int(clamping: pipeBudget.bytes) }
    options.threads = threads ?? max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    options.drainTimeout = drainTimeout.duration
    let plan = RelayPlan(
      listen: listen, upstreams: upstream, options: options, tapUpstream: tapUpstream,
      tapDownstream: tapDownstream, serving: serving)
    Glibc.exit(plan.run().rawValue)
  }
}

/// Versions that are accepted.
enum ProxyIn: String, ExpressibleByArgument, CaseIterable {
  case v1, v2, any

  var versions: Set<Relay.ProxyVersion> {
    switch self {
    case .v1: [.v1]
    case .v2: [.v2]
    case .any: [.v1, .v2]
    }
  }
}

extension Relay.Balance: ExpressibleByArgument {}
extension Relay.ProxyVersion: ExpressibleByArgument {}
