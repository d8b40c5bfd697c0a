// A number that many threads change.

import Synchronization

/// A count, or the bits of a number with a fraction.
final class AtomicCounter: Sendable {
  private let bits: Atomic<UInt64>

  init(_ bits: UInt64) { self.bits = Atomic(bits) }

  var count: UInt64 { bits.load(ordering: .relaxed) }
  func add(_ amount: UInt64) { bits.wrappingAdd(amount, ordering: .relaxed) }
  func set(_ bits: UInt64) { self.bits.store(bits, ordering: .relaxed) }

  var number: Double { Double(bitPattern: count) }

  /// Tried again when another thread came in between.
  func add(number amount: Double) {
    var old = count
    while true {
      let new = (Double(bitPattern: old) + amount).bitPattern
      let (isDone, now) = bits.weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
      if isDone { return }
      old = now
    }
  }
}

extension Double {
  /// As the exposition format has it.
  var exposition: String {
    if self == .infinity { return "+Inf" }
    if self == -.infinity { return "-Inf" }
    if isNaN { return "NaN" }
    return Int64(exactly: self).map { "\($0)" } ?? "\(self)"
  }
}
