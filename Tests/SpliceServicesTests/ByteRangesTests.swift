// Which bytes a request gets.

import Testing

@testable import SpliceServices

struct ByteRangesTests {
  @Test(
    arguments: [
      ("bytes=0-0", [0..<1]), ("bytes=0-", [0..<100]), ("bytes=-1", [99..<100]), ("bytes=-500", [0..<100]),
      ("bytes=99-99", [99..<100]), ("bytes=50-1000", [50..<100]),
      ("bytes=1-99999999999999999999999999", [1..<100]), ("BYTES=1-2", [1..<3]),
      ("bytes= 1-2 , 5-6", [1..<3, 5..<7]),
      ("bytes=,1-2,,5-6,", [1..<3, 5..<7]), ("bytes=5-6,1-2", [5..<7, 1..<3]), ("bytes=0-4,5-9", [0..<10]),
      ("bytes=0-9,5-14", [0..<15]), ("bytes=10-19,0-4,5-12", [0..<20]), ("bytes=0-1,200-300", [0..<2]),
      ("bytes=0-9,20-29,10-19", [0..<30]), ("bytes=-0,3-3", [3..<4]), ("bytes=0-,0-", [0..<100]),
    ] as [(String, [Range<UInt64>])])
  func `parts`(_ header: String, _ parts: [Range<UInt64>]) {
    #expect(ByteRanges(header, of: 100) == .parts(parts))
  }

  @Test(arguments: [
    "", "bytes", "bytes=", "bytes=-", "bytes=,", "bytes=a-b", "bytes=2-1", "bytes=1-2-3", "bytes=1",
    "items=0-1",
    "bytes=0-1;", "bytes=+1-2", "bytes=1 - 2", "bytes=0x1-2", "bytes=0-,0-,0-", "bytes=0-1,x", "bytes:0-1",
    "bytes=99999999999999999999999x-", "bytes=\u{661}-2",
    "bytes=" + (0..<17).map { "\($0 * 2)-\($0 * 2)" }.joined(separator: ","),
  ])
  func `not heeded`(_ header: String) { #expect(ByteRanges(header, of: 100) == .whole) }

  @Test(arguments: ["bytes=100-", "bytes=-0", "bytes=100-200,300-", "bytes=99999999999999999999999-"])
  func `unsatisfiable`(_ header: String) { #expect(ByteRanges(header, of: 100) == .unsatisfiable) }

  @Test func `an empty file has no bytes, and the largest has all`() {
    #expect(ByteRanges("bytes=0-", of: 0) == .unsatisfiable)
    #expect(ByteRanges("bytes=-5", of: 0) == .unsatisfiable)
    #expect(ByteRanges("bytes=0-18446744073709551615", of: .max) == .parts([0..<UInt64.max]))
    #expect(ByteRanges("bytes=0-,0-,0-", of: .max) == .whole)
  }

  /// Whatever was asked for: inside, apart, and every byte that was asked for.
  @Test func `parts are apart, and nothing is left out`() {
    var random = SystemRandomNumberGenerator()
    for _ in 0..<20_000 {
      let size = UInt64.random(in: 1...40, using: &random)
      let asked = (0..<Int.random(in: 1...6, using: &random)).map { _ in
        let first = UInt64.random(in: 0..<50, using: &random)
        return (first, first + UInt64.random(in: 0..<10, using: &random))
      }
      let header = "bytes=" + asked.map { "\($0)-\($1)" }.joined(separator: ",")
      var want: Set<UInt64> = []
      for (first, last) in asked where first < size { want.formUnion(first...min(last, size - 1)) }
      switch ByteRanges(header, of: size) {
      case .whole:
        #expect(asked.reduce(0) { $0 + ($1.0 < size ? min($1.1, size - 1) - $1.0 + 1 : 0) } > 2 * size)
      case .unsatisfiable: #expect(want.isEmpty)
      case .parts(let parts):
        #expect(Set(parts.flatMap { Array($0) }) == want)
        for (one, other) in parts.indices.flatMap({ one in parts.indices.map { (one, $0) } })
        where one < other {
          let (one, other) = (parts[one], parts[other])
          #expect(one.upperBound < other.lowerBound || other.upperBound < one.lowerBound, "\(header)")
        }
      }
    }
  }
}
