// Everything that is left to chance, drawn from one seed.

/// Random numbers that are the same for the same seed (SplitMix64).
struct Dice {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 ^ 0x6a09_e667_f3bc_c909 }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  /// A number from 0 up to, and without, a limit.
  mutating func below(_ limit: Int) -> Int { limit <= 1 ? 0 : Int(next() >> 1) % limit }

  mutating func number(in range: ClosedRange<Int>) -> Int {
    range.lowerBound + below(range.upperBound - range.lowerBound + 1)
  }

  /// True so many times of a hundred.
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

  mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

  /// Small ones as often as large ones: each power of two in the range has the same weight.
  mutating func magnitude(in range: ClosedRange<Int>) -> Int {
    let (low, high) = (max(1, range.lowerBound), max(1, range.upperBound))
    let bits = number(in: 63 - low.leadingZeroBitCount...63 - high.leadingZeroBitCount)
    return min(high, max(low, (1 << bits) + below(1 << bits)))
  }

  mutating func shuffle<Element>(_ elements: inout [Element]) {
    for index in elements.indices.dropFirst() { elements.swapAt(index, below(index + 1)) }
  }
}
