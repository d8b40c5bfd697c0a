// `splice relay LISTEN UPSTREAM...`: its flags, and the plan they make.

#if Services
import ArgumentParser
import CSplice
import Logging
import Splice
import SpliceServices

struct RelayTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relay",
    abstract: "Forward connections to upstreams.",
    discussion: """
      LISTEN is PORT (on 127.0.0.1), HOST:PORT, unix:PATH or systemd (inherited sockets).
      An UPSTREAM is HOST:PORT or unix:PATH.

      splice relay 8080 backend:80
      """)

  @Argument(help: "Address to listen on.", transform: ServerAddress.init(listening:))
  var listen: ServerAddress

  @Argument(
    help: "Upstreams that connections are forwarded to.", transform: ServerAddress.init(upstream:))
  var upstream: [ServerAddress]

  @Option(help: "Balancing algorithm: round-robin or least-connections.")
  var balance = Relay.Balance.roundRobin

  @Option(
    help: ArgumentHelp(
      """
      Health-check interval; upstreams that are down are skipped. When all are down, clients are reset at once.
      """,
      valueName: "time"))
  var healthInterval: Span?

  @Option(help: ArgumentHelp("Successful checks in a row after which an upstream is up.", valueName: "n"))
  var healthRise = 2

  @Option(help: ArgumentHelp("Failed checks in a row after which an upstream is down.", valueName: "n"))
  var healthFall = 3

  @Option(
    help: ArgumentHelp(
      "Maximum time to connect to an upstream, all its addresses together.", valueName: "time"))
  var connectTimeout = Span(.seconds(5), word: "5s")

  @Option(
    help: ArgumentHelp(
      "Maximum time without a byte in either direction; then both sides are reset.", valueName: "time"))
  var idleTimeout: Span?

  @Option(
    help: ArgumentHelp(
      "Maximum idle time of one direction after the other has ended.", valueName: "time"))
  var halfCloseTimeout: Span?

  @Option(
    help: ArgumentHelp(
      "Maximum simultaneous connections; others queue. (default: from the limit of open descriptors)",
      valueName: "n"))
  var maxConnections: Int?

  @Option(
    help: ArgumentHelp(
      "TCP keepalive: idle time before the first probe; a peer is dropped after three times that without an answer.",
      valueName: "time"))
  var keepalive: Span?

  @Option(
    help: ArgumentHelp(
      "TCP user timeout: how long sent bytes may stay unacknowledged, also by a peer that does not read.",
      valueName: "time"))
  var userTimeout: Span?

  @Option(help: ArgumentHelp("Expect a PROXY header from clients: v1, v2 or any.", valueName: "version"))
  var proxyIn: ProxyIn?

  @Option(
    help: ArgumentHelp(
      "Send upstreams a PROXY header with the client's address: v1 or v2.", valueName: "version"))
  var proxyOut: Relay.ProxyVersion?

  @Option(help: ArgumentHelp("Maximum bytes a second, in each direction of a connection.", valueName: "size"))
  var rateLimit: Size?

  @Option(
    help: ArgumentHelp(
      "Also copy what clients send to this endpoint, which may be slow, fail and come back.",
      valueName: "endpoint"),
    transform: Endpoint.init(parsing:))
  var tapUpstream: [Endpoint] = []

  @Option(
    help: ArgumentHelp("Also copy what clients receive to this endpoint.", valueName: "endpoint"),
    transform: Endpoint.init(parsing:))
  var tapDownstream: [Endpoint] = []

  @Option(
    help: ArgumentHelp("Maximum memory of pipes; past it bytes are copied.", valueName: "size")
  )
  var pipeBudget: Size?

  @Flag(help: "Share the port with other processes that do the same, such as another relay.")
  var reusePort = false

  @Option(help: ArgumentHelp("Number of threads that serve connections.", valueName: "n"))
  var threads: Int?

  @Option(
    help: ArgumentHelp("Maximum time for connections to finish after SIGTERM or SIGINT.", valueName: "time"))
  var drainTimeout = Span(.seconds(30), word: "30s")

  @OptionGroup var serving: ServingOptions

  func validate() throws {
    if let keepalive, keepalive.duration > .seconds(TCPOptions.longestKeepalive) {
      throw ValidationError("--keepalive is at most \(TCPOptions.longestKeepalive)s")
    }
    for (number, flag) in [
      (maxConnections, "--max-connections"), (threads, "--threads"), (healthRise, "--health-rise"),
      (healthFall, "--health-fall"),
    ] {
      if let number, number < 1 { throw ValidationError("\(flag) is at least 1") }
    }
    if let threads, threads > 1024 { throw ValidationError("--threads is at most 1024") }
    if reusePort, !listen.hasPort { throw ValidationError("--reuse-port needs a PORT to listen on") }
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
    options.userTimeout = userTimeout?.duration
    options.proxyIn = proxyIn?.versions ?? []
    options.proxyOut = proxyOut
    options.rateLimit = rateLimit?.bytes
    options.reusePort = reusePort
    if let pipeBudget { options.pipeBudget = Int(clamping: pipeBudget.bytes) }
    options.threads = threads ?? max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    options.drainTimeout = drainTimeout.duration
    let plan = RelayPlan(
      listen: listen, upstreams: upstream, options: options, tapUpstream: tapUpstream,
      tapDownstream: tapDownstream, serving: serving)
    CSplice.exit(plan.run().rawValue)
  }
}

extension ServerAddress {
  fileprivate var hasPort: Bool { if case .tcp = self { true } else { false } }
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
#else
import ArgumentParser

/// The relay stands on other packages, without which the command is built in a quarter of the time.
struct RelayTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "relay", abstract: "Not in this build, which was made without the trait Services.")

  @Argument(parsing: .captureForPassthrough) var others: [String] = []

  func run() throws {
    throw ValidationError("the relay is not in this build: it was made without the trait Services")
  }
}
#endif
