// One source, many sinks: see Rows.swift.

/// Standard output, and the descriptors from 3 on.
private func numbers(_ many: Int) -> [String] { (0..<many).map { $0 == 0 ? "1" : "\($0 + 2)" } }

/// GNU tee has standard output and names.
private func tee(_ many: Int) -> [Candidate] {
  [Candidate("tee", ["tee"] + numbers(many).dropFirst().map { "/dev/fd/\($0)" })]
}
private func cSplice(_ many: Int) -> [Candidate] {
  [64, 256].map { Candidate("c-fan-splice \($0)K", ["c-fan-splice", "\($0 << 10)"] + numbers(many)) }
}
private func cWrite(_ many: Int) -> [Candidate] {
  [64, 256].map { Candidate("c-fan-write \($0)K", ["c-fan-write", "\($0 << 10)"] + numbers(many)) }
}
private func fan(_ many: Int, slots: Int = 0) -> [Candidate] {
  let name = slots == 0 ? "mover fan" : "mover fan, \(slots) slots"
  return [Candidate(name, ["mover", "fan", "\(slots)"] + numbers(many))]
}
private func fan(_ many: Int, stalled policy: String) -> [Candidate] {
  let sinks = numbers(many + 1)
  return [
    Candidate(
      "and one stalled, \(policy)", ["mover", "fan", "0"] + sinks.dropLast() + ["\(policy):\(sinks[many])"])
  ]
}
private func crowd(_ many: Int, slots: Int) -> [Candidate] {
  [Candidate("\(slots) slots", ["mover", "crowd", "\(slots)", "\(many)"])]
}
private func command(_ many: Int) -> [Candidate] {
  [Candidate("splice - - fd:", ["splice", "-", "-"] + numbers(many).dropFirst().map { "fd:\($0)" })]
}

private func job(_ sink: Sink, _ many: Int, stalled: Int = 0) -> Job {
  .spread(.pipe, sink, bytes: 1 << 30, many: many, stalled: stalled)
}

let rowsToMany: [Row] =
  [1, 2, 4].flatMap { many in
    [
      Row("fan-pipe-\(many)", job(.pipe, many), tee(many), fan(many), Target(throughput: 5)),
      Row("fan-pipe-\(many)", job(.pipe, many), cSplice(many), fan(many), Target(cpu: 1.15, calls: 1.05)),
    ]
  } + [
    Row("fan-command", job(.pipe, 2), tee(2), command(2), Target(throughput: 5))
  ]
  + [2, 4].map { many in
    Row("fan-command", job(.pipe, many), cSplice(many), command(many), Target(cpu: 1.5, throughput: 0.67))
  }
  + [1, 2, 4, 8].flatMap { many in
    [
      Row("fan-unix-\(many)", job(.unix, many), cWrite(many), fan(many), Target(cpu: 0.75)),
      Row("fan-tcp-\(many)", job(.tcp, many), cWrite(many), fan(many), Target(cpu: 1)),
    ]
  }
  + ["skip", "detach"].map { policy in
    Row(
      "fan-stalled", job(.unix, 7, stalled: 1), fan(7), fan(7, stalled: policy), Target(throughput: 0.95))
  } + [
    Row("fan-slots", job(.unix, 8), fan(8, slots: 16), fan(8, slots: 64))
  ]
  + [1, 100, 1000].map { many in
    Row(
      "fan-crowd-\(many)", .move(.pipe, .null, bytes: many > 100 ? 64 << 20 : 256 << 20),
      crowd(many, slots: 16),
      crowd(many, slots: 64))
  }
