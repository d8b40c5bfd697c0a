// What a relay needs for connections that are merely there, and what the kernel's limit on a user's pipes costs it.

import Foundation

/// Eight thousand connections that have spoken once: the memory of each, the pipes held, the processor time of five seconds.
func idleTable(pinning: (measured: String, ends: String)) throws -> String {
  let many = 8000
  var text = """
    | \(many) idle connections | resident, each | pipes held | CPU of 5 s |
    |---|---|---|---|

    """
  for relay in relays where relay.name != "socat" {
    do {
      text += try idleLine(of: relay, many, pinning) + "\n"
    } catch {
      say("idle: \(relay.name): \(error)")
    }
  }
  return text
}

private func idleLine(
  of relay: Relay, _ many: Int, _ pinning: (measured: String, ends: String)
) throws -> String {
  let (listener, upstream) = try listen()
  close(listener)
  let running = try RunningRelay(relay, to: upstream, prefix: ["taskset", "-c", pinning.measured])
  defer { running.stop() }
  let generator = LoadGenerator(upstream: upstream, pinning: pinning)
  _ = try generator.cost(of: loads[2], on: running, rate: 1)
  let (before, pipes) = (running.resident, running.pipes)

  let output = NSTemporaryDirectory() + "bench-relay-idle"
  defer { unsafe unlink(output) }
  let (input, end) = try pipePair()
  let load = try spawn(
    Program(
      argv: generator.arguments(on: running) + ["hold", "\(many)", "100"],
      descriptors: [
        0: input, 1: try raised("open \(output)", unsafe open(output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)),
      ]))
  defer {
    close(end)
    waitpid(load, nil, 0)
  }
  try waitUntil("\(many) connections") {
    (try? String(contentsOfFile: output, encoding: .utf8))?.hasPrefix("\(many)") ?? false
  }
  let start = try running.cpu()
  sleep(5)
  let used = try running.cpu() - start
  let each = Double(running.resident - before) / Double(many) / 1024
  return "| \(relay.name) | \(each.fixed) KiB | \(running.pipes - pipes) | \((used * 1000).fixed) ms |"
}

/// Two thousand busy connections as a user whose pipes are limited, and as root, whose are not.
func budgetTable(pairs: Int, pinning: (measured: String, ends: String)) throws -> String {
  let (listener, upstream) = try listen()
  close(listener)
  let generator = LoadGenerator(upstream: upstream, pinning: pinning)
  func load(_ work: String...) -> Load {
    Load(name: "", work: work, unit: (name: "message", size: 1), targets: [])
  }
  let pin = ["taskset", "-c", pinning.measured]
  let unlimited = try RunningRelay(relays[0], to: upstream, prefix: pin)
  defer { unlimited.stop() }
  let limited = try RunningRelay(
    relays[0], to: upstream,
    prefix: ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"] + pin)
  defer { limited.stop() }
  let most = try generator.cost(of: load("ask", "2000", "65536", "2"), on: unlimited, rate: 0).rate
  let half = load("offer", "2000", "65536", "2", "{rate}")
  var ratios: [Double] = []
  var controls: [Double] = []
  var costs: [Double] = []
  for round in 0..<pairs {
    var pair = [LoadCost](repeating: LoadCost(cpu: 0, rate: 0, p99: 0), count: 3)
    for turn in 0..<3 {
      let index = round.isMultiple(of: 2) ? turn : 2 - turn
      pair[index] = try generator.cost(of: half, on: index == 1 ? limited : unlimited, rate: most / 2)
    }
    ratios.append(pair[1].p99 / pair[0].p99)
    controls.append(pair[2].p99 / pair[0].p99)
    costs.append(pair[1].cpu / pair[0].cpu)
  }
  guard let ratio = Interval(medianOf: ratios), let control = Interval(medianOf: controls),
    let cpu = Interval(medianOf: costs)
  else { throw Failure("budget: no rounds") }
  return """
    | 2,000 busy connections, 64 KiB there and back, half of what is possible | p99 | control | CPU | target |
    |---|---|---|---|---|
    | as an unprivileged user, over as root | \(ratio.text) | \(control.text) | \(cpu.text) \
    | p99 <= 1.3: \(Judgement(ratio, atMost: 1.3)) |

    """
}
