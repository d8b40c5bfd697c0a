// Whether nothing has moved for some time, as a table; and what ends a `Duplex` early.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct IdleTimerTests {
  @Test(arguments: [
    // Bytes moved at each look, and at which look it is over.
    ([0, 0, 0, 0], 4), ([1, 1, 1, 1, 1], 5), ([0, 0, 0, 5, 5, 5, 5, 5], 8),
    ([0, 0, 1, 1, 1, 2, 2, 2, 2, 2], 10),
  ])
  func `it is over after four quiet looks`(_ moved: [UInt64], _ end: Int) {
    var idleTimer = IdleTimer(.seconds(1), .none)
    let answers = moved.map { idleTimer.mayGoOn(.init($0), nil) }
    #expect(answers == (1...moved.count).map { $0 < end })
  }

  /// What a unix socket has yet to give grows by memory, which may be twice or four times the bytes that have
  /// moved.
  @Test(arguments: [1, 2, 4]) func `counts of different units do not cancel out`(_ times: Int) {
    var idleTimer = IdleTimer(.seconds(1), .none)
    let answers = (1...8).map { idleTimer.mayGoOn(.init(UInt64($0 * 640), $0 * 640 * times), nil) }
    #expect(answers.allSatisfy { $0 })
  }

  @Test func `the next look is a quarter away`() throws {
    let idleTimer = IdleTimer(.seconds(40), .none)
    let look = try #require(idleTimer.nextLook(or: nil))
    #expect(look > .now + .seconds(9) && look <= .now + .seconds(10))
    let soon = Moment.now + .seconds(1)
    #expect(idleTimer.nextLook(or: soon) == soon)
    #expect(IdleTimer(nil, .none).nextLook(or: nil) == nil)
  }

  @Test func `a deadline is a deadline`() {
    var idleTimer = IdleTimer(.seconds(1), .none)
    let answers = (idleTimer.mayGoOn(.init(1), .now), idleTimer.mayGoOn(.init(2), .now + .seconds(60)))
    #expect(answers == (false, true))
    var never = IdleTimer(nil, .none)
    let goesOn = never.mayGoOn(.init(1), nil)
    #expect(!goesOn)
  }

  @Test(arguments: Waiting.allCases)
  func `who is idle is ended`(_ waiting: Waiting) async throws {
    let (left, right) = (try Pair(), try Pair())
    do throws(Duplex.Failure) {
      try await run(waiting, left, right, Duplex.Options(idle: .milliseconds(100)))
      Issue.record("it ended by itself")
    } catch { #expect(error == Duplex.Failure(direction: nil, error: .timedOut)) }
  }

  @Test(arguments: Waiting.allCases)
  func `who is left alone is waited for less`(_ waiting: Waiting) async throws {
    let (left, right) = (try Pair(), try Pair())
    try left.ends.near.writeAll(bytes(1000))
    try left.ends.near.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    let ending = try await run(waiting, left, right, Duplex.Options(halfClose: .milliseconds(100)))
    #expect(ending == Duplex.Ending(first: .forward, otherWasIdle: true))
    // The end was passed on after the last byte.
    #expect(try right.ends.far.readToEnd() == bytes(1000))
  }

  /// A socket has accepted everything at once, and its peer takes it bit by bit.
  @Test(arguments: Waiting.allCases)
  func `who still takes is not idle`(_ waiting: Waiting) async throws {
    let (left, right) = (try Pair(), try Pair())
    try right.ends.far.writeAll(bytes(150_000))
    try right.ends.far.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    let reading = takeBitByBit(150_000, from: try left.ends.near.duplicate())
    let ending = try await run(waiting, left, right, Duplex.Options(halfClose: .seconds(2)))
    let end = ContinuousClock.now
    #expect(ending == Duplex.Ending(first: .backward, otherWasIdle: true))
    #expect(try reading.join() < end)
  }

  @Test(arguments: Waiting.allCases)
  func `a pause of the pace is no silence`(_ waiting: Waiting) async throws {
    let (left, right) = (try Pair(), try Pair())
    try left.ends.near.writeAll(bytes(4))
    try left.ends.near.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    try right.ends.far.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    // A byte each half second.
    let limits = Duplex.Options(
      FlowOptions(pace: Pace(bytesPerSecond: 2)), idle: .milliseconds(50), halfClose: .milliseconds(50))
    let ending = try await run(waiting, left, right, limits)
    #expect(!ending.otherWasIdle)
    #expect(try right.ends.far.readToEnd() == bytes(4))
  }

  @discardableResult
  private func run(
    _ waiting: Waiting, _ left: Pair, _ right: Pair, _ limits: Duplex.Options
  ) async throws(Duplex.Failure) -> Duplex.Ending {
    var duplex = Duplex()
    return switch waiting {
    case .async: try await duplex.run(between: left.ends.far, and: right.ends.near, options: limits)
    case .blocking:
      try duplex.run(between: left.ends.far, and: right.ends.near, options: limits, waitingIn: .poll)
    }
  }

  /// Ends that fit into a tuple.
  private final class Pair {
    let ends: Ends
    init() throws { ends = try Ends.unix() }
  }
}
