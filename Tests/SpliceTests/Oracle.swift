// A campaign against an oracle: random operations in two worlds, until something tells them apart.

import Foundation
import TestSupport
import Testing

/// Where two worlds differ first, and how.
struct Difference {
  let index: Int
  let text: String
}

/// Compares sequences of 200 random operations, and reports the first that differs: shrunk to its shortest,
/// with its seed.
///
/// A script may ask for more rounds, and for other seeds.
func campaign<Operation>(
  rounds: Int, worker: Int, random make: (inout Random) -> Operation,
  difference: ([Operation]) throws -> Difference?
) throws {
  let environment = ProcessInfo.processInfo.environment
  let rounds = environment["SPLICE_ORACLE_ROUNDS"].flatMap(Int.init) ?? rounds
  let seed = environment["SPLICE_ORACLE_SEED"].flatMap(UInt64.init) ?? 1
  for round in 0..<rounds {
    let mine = seed &* 1_000_003 &+ UInt64(worker * rounds + round)
    var random = Random(seed: mine)
    let operations = (0..<200).map { _ in make(&random) }
    guard let found = try difference(operations) else { continue }
    let shortest = try shrink(Array(operations.prefix(found.index + 1)), difference)
    let text = try difference(shortest)?.text ?? found.text
    Issue.record("seed \(mine): \(text)\n\(shortest.map { "\($0)" }.joined(separator: "\n"))")
    return
  }
}

/// The shortest sequence that still differs, by leaving out whatever can be left out.
private func shrink<Operation>(
  _ operations: [Operation], _ difference: ([Operation]) throws -> Difference?
) throws -> [Operation] {
  var shortest = operations
  var index = shortest.count - 1
  while index >= 0 {
    var shorter = shortest
    shorter.remove(at: index)
    if let found = try difference(shorter) {
      shortest = Array(shorter.prefix(found.index + 1))
      index = min(index, shortest.count)
    }
    index -= 1
  }
  return shortest
}
