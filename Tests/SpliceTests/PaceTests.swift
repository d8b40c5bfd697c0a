// Pace: a bucket of time, as a table.

import Testing

@testable import Splice

@Suite struct PaceTests {
  let start = Moment.now

  @Test func `a share is given each twentieth of a second`() {
    let pace = Pace(bytesPerSecond: 1000)
    #expect(pace.allowance(at: start).count == 50)
    pace.took(50)
    #expect(pace.allowance(at: start).count == 0)
    let next = pace.allowance(at: start).next
    #expect(next == start + .milliseconds(50))
    #expect(pace.allowance(at: start + .milliseconds(49)).count == 0)
    #expect(pace.allowance(at: next).count == 50)
  }

  @Test func `over time it is exactly the rate`() {
    // Whatever the size of the pieces and however late each is taken.
    for rate in [UInt64(1), 7, 1000, 10 << 20, 1 << 40] {
      let pace = Pace(bytesPerSecond: rate)
      var (now, taken) = (start, 0.0)
      var random = SystemRandomNumberGenerator()
      while now - start < .seconds(100) {
        let allowed = pace.allowance(at: now).count
        pace.took(allowed)
        taken += Double(allowed)
        now =
          max(pace.allowance(at: now).next, now) + .microseconds(Int.random(in: 0...20_000, using: &random))
      }
      let expected = Double(rate) * 100
      #expect(abs(taken - expected) <= expected * 0.01 + 2, "\(rate): \(taken)")
    }
  }

  @Test func `silence gives no burst`() {
    let pace = Pace(bytesPerSecond: 1000)
    pace.took(pace.allowance(at: start).count)
    #expect(pace.allowance(at: start + .seconds(100)).count == 250)
  }

  @Test func `the slowest is a byte a second`() {
    let pace = Pace(bytesPerSecond: 0)
    #expect(pace.allowance(at: start).count == 1)
    pace.took(1)
    #expect(pace.allowance(at: start).next == start + .seconds(1))
  }
}
