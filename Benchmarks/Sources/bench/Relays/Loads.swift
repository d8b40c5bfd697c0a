// What a relay is asked to do, and what one load of it cost. The load is `c-load`, which is the clients and the upstream; it
// prints what it did.

import Foundation

struct Load {
  let name: String
  /// Arguments of `c-load` after its ports; `{rate}` is half of what HAProxy did in the load before.
  let work: [String]
  let unit: (name: String, size: Double)
  let targets: [LoadTarget]
}

/// What ours should be beside a peer, or beside the best of them.
struct LoadTarget {
  enum Figure: String { case cpu = "CPU", calls, rate, p99 }
  enum Limit { case atMost(Double), atLeast(Double), notWorse, notBetter }
  let figure: Figure
  let limit: Limit
  /// The best one if nil.
  let peer: String?
}

/// What one load cost the relay, per unit, and how fast and late it was.
struct LoadCost {
  var cpu: Double
  var rate: Double
  var p99: Double
}

private let gibibyte = (name: "GiB", size: Double(1 << 30))
private let message = (name: "message", size: 1.0)
private let best: String? = nil

private func asked(_ name: String, _ clients: Int, _ size: Int) -> [Load] {
  [
    Load(
      name: "\(name), \(clients)", work: ["ask", "\(clients)", "\(size)", "0.5"], unit: message,
      targets: [
        LoadTarget(figure: .cpu, limit: .atMost(1.1), peer: best),
        LoadTarget(figure: .calls, limit: .atMost(1.005), peer: best),
      ]),
    Load(
      name: "\(name), \(clients), half", work: ["offer", "\(clients)", "\(size)", "0.6", "{rate}"],
      unit: message,
      targets: [LoadTarget(figure: .p99, limit: .atMost(1.5), peer: best)]),
  ]
}

private func bulk(_ clients: Int) -> Load {
  Load(
    name: "bulk, \(clients)", work: ["bulk", "\(clients)", "\(1 << 30)"], unit: gibibyte,
    targets: [
      LoadTarget(figure: .cpu, limit: .notWorse, peer: Relay.haproxy),
      LoadTarget(figure: .cpu, limit: .notWorse, peer: "c-relay-splice"),
      LoadTarget(figure: .cpu, limit: .atMost(0.55), peer: Relay.nginx),
      LoadTarget(figure: .cpu, limit: .notBetter, peer: Relay.lookedAt),
      LoadTarget(figure: .calls, limit: .atMost(1), peer: Relay.haproxy),
    ])
}

let loads: [Load] =
  [bulk(1), bulk(8)]
  + asked("100 bytes", 1, 100) + asked("100 bytes", 50, 100)
  + asked("4 KiB", 1, 4096) + asked("4 KiB", 50, 4096)
  + [
    Load(
      name: "connections", work: ["connect", "32", "100", "0.5"], unit: (name: "connection", size: 1),
      targets: [LoadTarget(figure: .rate, limit: .atLeast(0.9), peer: Relay.haproxy)])
  ]

/// What `c-load` says it did.
struct LoadReport {
  let units, seconds, p99: Double

  init(_ text: String) throws {
    let fields = text.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
    guard fields.count == 4, fields[0] > 0 else { throw Failure("c-load said: \(text)") }
    (units, seconds, p99) = (fields[0], fields[1], fields[3])
  }
}

/// `c-load` beside a relay. What it prints goes to a file.
struct LoadGenerator {
  let upstream: UInt16
  let pinning: (measured: String, ends: String)

  func cost(of load: Load, on relay: RunningRelay, rate: Double) throws -> LoadCost {
    let before = try relay.cpu()
    let report = try report(of: load, on: relay, rate: rate)
    let units = report.units / load.unit.size
    return LoadCost(cpu: (try relay.cpu() - before) / units, rate: units / report.seconds, p99: report.p99)
  }

  /// System calls per unit, counted by perf in the relay and its children while the load runs.
  func calls(of load: Load, on relay: RunningRelay, rate: Double) throws -> Double {
    let count = NSTemporaryDirectory() + "bench-relay-calls"
    defer { unsafe unlink(count) }
    let report = try report(
      of: load, on: relay, rate: rate,
      under: [
        "perf", "stat", "-e", "raw_syscalls:sys_enter", "-x", ",", "-o", count, "-p", "\(relay.processID)",
        "--",
      ])
    let text = try String(contentsOfFile: count, encoding: .utf8)
    guard let number = Meter.perf.parse(text) else { throw Failure("perf: no count in its report") }
    return Double(number) / (report.units / load.unit.size)
  }

  private func report(
    of load: Load, on relay: RunningRelay, rate: Double, under prefix: [String] = []
  ) throws -> LoadReport {
    let work = load.work.map { $0 == "{rate}" ? "\(Int(rate))" : $0 }
    let output = NSTemporaryDirectory() + "bench-relay-load"
    defer { unsafe unlink(output) }
    _ = try run([
      Program(
        argv: prefix + arguments(on: relay) + work,
        descriptors: [
          1: try raised(
            "open \(output)", unsafe open(output, O_WRONLY | O_CREAT | O_TRUNC, 0o600))
        ])
    ])
    return try LoadReport(try String(contentsOfFile: output, encoding: .utf8))
  }

  func arguments(on relay: RunningRelay) -> [String] {
    ["taskset", "-c", pinning.ends, "c-load", "\(relay.port)", "\(upstream)"]
  }
}
