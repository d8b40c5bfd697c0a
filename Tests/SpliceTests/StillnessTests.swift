// Whether nothing has moved for some time, as a table; and what ends a `Duplex` early.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct StillnessTests {
  @Test(arguments: [
    // Bytes moved at each look, and at which look it is over.
    ([0, 0, 0, 0], 4), ([1, 1, 1, 1, 1], 5), ([0, 0, 0, 5, 5, 5, 5, 5], 8),
    ([0, 0, 1, 1, 1, 2, 2, 2, 2, 2], 10),
  ])
  func itIsOverAfterFourQuietLooks(_ moved: [UInt64], _ end: Int) {
    var stillness = Stillness(.seconds(1), 0)
    let answers = moved.map { stillness.mayGoOn($0, nil) }
    #expect(answers == (1...moved.count).map { $0 < end })
  }

  @Test func theNextLookIsAQuarterAway() throws {
    let stillness = Stillness(.seconds(40), 0)
    let look = try #require(stillness.nextLook(or: nil))
    #expect(look > .now + .seconds(9) && look <= .now + .seconds(10))
    let soon = ContinuousClock.now + .seconds(1)
    #expect(stillness.nextLook(or: soon) == soon)
    #expect(Stillness(nil, 0).nextLook(or: nil) == nil)
  }

  @Test func aDeadlineIsADeadline() {
    var stillness = Stillness(.seconds(1), 0)
    let answers = (stillness.mayGoOn(1, .now), stillness.mayGoOn(2, .now + .seconds(60)))
    #expect(answers == (false, true))
    var never = Stillness(nil, 0)
    let goesOn = never.mayGoOn(1, nil)
    #expect(!goesOn)
  }

  @Test func whoIsIdleIsEnded() async throws {
    let (left, right) = (try Pair(), try Pair())
    var duplex = Duplex()
    do throws(Duplex.Failure) {
      try await duplex.run(
        between: left.ends.far, and: right.ends.near, within: Duplex.Limits(idle: .milliseconds(100)))
      Issue.record("it ended by itself")
    } catch { #expect(error == Duplex.Failure(direction: nil, error: .timedOut)) }
  }

  @Test func whoIsLeftAloneIsWaitedForLess() async throws {
    let (left, right) = (try Pair(), try Pair())
    try left.ends.near.writeAll(bytes(1000))
    try left.ends.near.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    var duplex = Duplex()
    let ending = try await duplex.run(
      between: left.ends.far, and: right.ends.near, within: Duplex.Limits(halfClose: .milliseconds(100)))
    #expect(ending == Duplex.Ending(first: .forward, otherWasIdle: true))
    // The end was passed on after the last byte.
    #expect(try right.ends.far.readToEnd() == bytes(1000))
  }

  /// Ends that fit into a tuple.
  private final class Pair {
    let ends: Ends
    init() throws { ends = try Ends.unix() }
  }
}
