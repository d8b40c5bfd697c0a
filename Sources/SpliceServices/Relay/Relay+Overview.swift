// What a person sees of a relay at a glance.

import Splice

extension Relay: Administered {
  /// Connections, what passes, and each upstream.
  public var overview: Overview {
    let upstreams = shared.upstreams.all
    let passed = upstreams.map(\.passed)
    func sum(_ part: (PathCounts) -> UInt64) -> UInt64 {
      passed.reduce(0) { $0 + part($1.sent) + part($1.received) }
    }
    let pipes = shared.pool.counters
    let bytes = UInt64(max(0, pipes.bytes))
    return Overview(
      title: "relay", places: addresses.map { "\($0)" },
      charts: [
        .level("Connections", UInt64(max(0, connections))),
        .total("New connections", shared.serving.accepted.count),
        .total("To upstreams", passed.reduce(0) { $0 + $1.sent.total }, in: .bytes),
        .total("To clients", passed.reduce(0) { $0 + $1.received.total }, in: .bytes),
      ],
      shares: [
        Overview.Shares(
          "Bytes by path", in: .bytes,
          [Overview.Part("spliced", sum(\.splice)), Overview.Part("copied", sum(\.copy))]),
        Overview.Shares(
          "Pipe budget", in: .bytes,
          [
            Overview.Part("in pipes", bytes),
            Overview.Part("free", UInt64(max(0, shared.options.pipeBudget - pipes.bytes))),
          ]),
      ],
      tables: [
        Overview.Table(
          "Upstreams", ["address", "state", "connections", "sent", "received"],
          zip(upstreams, passed).map { upstream, passed in
            let isUp = upstream.isUp
            return [
              .text("\(upstream.address)"), .state(isUp, isUp ? "up" : "down"),
              .number(UInt64(max(0, upstream.active)), .count), .number(passed.sent.total, .bytes),
              .number(passed.received.total, .bytes),
            ]
          })
      ])
  }
}
