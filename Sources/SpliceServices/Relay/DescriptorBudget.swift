// How many connections a relay serves at once: as many as it has descriptors and local ports for. Pure.
//
// A connection needs two sockets. Pipes need two descriptors each, and as bytes are copied where there is no
// pipe, their number is bounded so that they never take a socket's place.

/// What a relay needs descriptors for beside connections and pipes.
struct DescriptorNeeds: Sendable, Hashable {
  let threads, listeners: Int
  /// Addresses of upstreams.
  let places: Int
  /// Of what else is in this process: admin pages, taps.
  let others: Int

  /// With fewer a relay does not begin: the runtime, too, ends a process that cannot open what it needs. An
  /// epoll, a bell and a heartbeat for each thread; the signals, the log, the maintenance and the runtime,
  /// and one connection.
  var least: Int { 3 * threads + listeners + others + 24 }

  /// What comes and goes, and can wait: a check and a query of the resolver for each address; visitors of the
  /// admin pages, up to 64.
  private var passing: Int { 3 * places + 76 }

  /// How many are kept: what is needed, and of the rest no more than half for what comes and goes.
  func kept(of limit: Int) -> Int { least + min(passing, max(0, limit - least) / 2) }
}

/// How the descriptors of a process are shared out among the connections and the pipes of a relay.
struct DescriptorBudget: Sendable, Hashable {
  /// The most connections at once.
  let connections: Int
  /// The most pipes at once, lent and idle.
  let pipes: Int
  /// Whether there is a descriptor for each of them.
  let isEnough: Bool

  /// - Parameters:
  ///   - limit: Descriptors that the process may have open.
  ///   - needs: What others are for.
  ///   - wish: Connections that were asked for; nil for as many as there can be.
  ///   - ports: Connections for which there are local ports; nil when they need none.
  ///   - pipeBytes: The most bytes that pipes may have.
  init(limit: Int, needs: DescriptorNeeds, wish: Int?, ports: Int?, pipeBytes: Int) {
    let room = limit - needs.kept(of: limit)
    // A third of the room, two ends each; no more than there are bytes for in pipes of the kernel's usual
    // size.
    let pipes = max(1, min(room / 6, pipeBytes / Self.usualPipe))
    let most = max(1, min((room - 2 * pipes) / 2, ports ?? .max))
    connections = wish ?? most
    isEnough = connections <= most
    self.pipes = pipes
  }

  private static let usualPipe = 64 << 10
}
