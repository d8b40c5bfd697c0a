// How many connections a relay serves at once: as many as it has descriptors and local ports for. Pure.
//
// A connection needs two sockets. Pipes need two descriptors each, and as bytes are copied where there is no pipe, their number is bounded so
// that they never take a socket's place.

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
  ///   - reserve: Those that are for other things: listeners, threads, checks, admin pages.
  ///   - wish: Connections that were asked for; nil for as many as there can be.
  ///   - ports: Connections for which there are local ports; nil when they need none.
  ///   - pipeBytes: The most bytes that pipes may have.
  init(limit: Int, reserve: Int, wish: Int?, ports: Int?, pipeBytes: Int) {
    let room = limit - min(reserve, limit / 2)
    // A third of the room, two ends each; no more than there are bytes for in pipes of the kernel's usual size.
    let pipes = max(1, min(room / 6, pipeBytes / Self.usualPipe))
    let most = max(1, min((room - 2 * pipes) / 2, ports ?? .max))
    connections = wish ?? most
    isEnough = connections <= most
    self.pipes = pipes
  }

  private static let usualPipe = 64 << 10

  /// With fewer a relay does not begin: the runtime, too, ends a process that cannot open what it needs.
  static func least(threads: Int, listeners: Int) -> Int { 3 * max(1, threads) + listeners + 24 }

  /// What a relay keeps for other things than connections and pipes.
  static func reserve(threads: Int, listeners: Int, places: Int) -> Int {
    // An epoll, a bell and a heartbeat for each thread; a check and a query of the resolver for each address of an upstream; the admin pages have up to
    // 64 visitors, and the log, taps and libraries some.
    3 * threads + listeners + 3 * places + 100
  }
}
