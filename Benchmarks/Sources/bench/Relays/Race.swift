// All relays under all loads: every round runs each of them once, and ours once more (the control), in an order that
// turns from round to round; only ratios within a round are looked at. Calls are counted in a run of their own.

import Foundation

struct RaceRow {
  let load: Load
  let peer: String
  /// Ours over the peer's.
  let cpu, rate, p99: Interval
  let verdict: Verdict
  let calls: Both?
}

struct Race {
  let pairs: Int
  let generator: LoadGenerator
  let isCounting: Bool
  private var running: [RunningRelay] = []
  private var rates: [String: Double] = [:]

  init(pairs: Int, pinning: (measured: String, ends: String), isCounting: Bool) throws {
    (self.pairs, self.isCounting) = (pairs, isCounting)
    let (listener, upstream) = try listen(backlog: 1)
    close(listener)
    generator = LoadGenerator(upstream: upstream, pinning: pinning)
    for relay in relays + [relays[0]] {
      do {
        running.append(try RunningRelay(relay, to: upstream, prefix: ["taskset", "-c", pinning.measured]))
      } catch {
        say("\(relay.name): \(error)")
      }
    }
    guard running.count > 2, running[0].relay.name == Relay.ours else {
      stop()
      throw Failure("ours does not run, or nothing beside it")
    }
  }

  func stop() { for relay in running { relay.stop() } }

  /// A row for each peer, the control first.
  mutating func rows(of load: Load) throws -> [RaceRow] {
    // Half of what the slower of ours and HAProxy did when all asked as fast as they could, in the load before this one.
    let half = ([Relay.ours, Relay.haproxy].compactMap { rates[$0] }.min() ?? 2) / 2
    var costs = running.map { _ in [LoadCost]() }
    var isOut = running.map { _ in false }
    for round in 0..<pairs {
      for turn in running.indices {
        let forward = round.isMultiple(of: 2) ? turn : running.count - 1 - turn
        let index = (forward + round) % running.count
        guard !isOut[index] else { continue }
        do {
          costs[index].append(try generator.cost(of: load, on: running[index], rate: half))
        } catch {
          say("\(load.name): \(running[index].relay.name): \(error)")
          isOut[index] = true
        }
      }
    }
    guard !isOut[0], let control = ratios(costs[costs.count - 1], costs[0], \.cpu) else {
      throw Failure("\(load.name): ours failed")
    }
    rates = [:]
    for (index, relay) in running.enumerated().dropLast() where !isOut[index] {
      rates[relay.relay.name] = Interval(medianOf: costs[index].map(\.rate))?.median
    }
    let calls = running.indices.map { index in
      isCounting && !isOut[index]
        ? Interval(
          medianOf: (0..<3).compactMap { _ in
            try? generator.calls(of: load, on: running[index], rate: half)
          })?.median : nil
    }
    let peers = [running.count - 1] + (1..<running.count - 1)
    return peers.compactMap { index in
      guard !isOut[index], let cpu = ratios(costs[0], costs[index], \.cpu),
        let rate = ratios(costs[0], costs[index], \.rate), let p99 = ratios(costs[0], costs[index], \.p99)
      else { return nil }
      let both = calls[0].flatMap { ours in calls[index].map { (a: $0, b: ours) } }
      let name = index == running.count - 1 ? RaceRow.control : running[index].relay.name
      return RaceRow(
        load: load, peer: name, cpu: cpu, rate: rate, p99: p99, verdict: Verdict(cpu, control: control),
        calls: both)
    }
  }

  private func ratios(
    _ ours: [LoadCost], _ theirs: [LoadCost], _ figure: KeyPath<LoadCost, Double>
  ) -> Interval? {
    Interval(
      medianOf: zip(ours, theirs).map {
        $0[keyPath: figure] / max($1[keyPath: figure], .leastNonzeroMagnitude)
      })
  }
}
