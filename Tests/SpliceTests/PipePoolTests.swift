// Pipes that are borrowed while bytes are in flight.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct PipePoolTests {
  @Test func aPipeIsBorrowedWhileBytesAreInFlightAndComesBackEmpty() throws {
    let pool = PipePool()
    let content = bytes(500_000)
    let file = try TemporaryFile(content).open(.readOnly)
    let target = try TemporaryFile()
    var pipe = SplicePipe(from: pool, capacity: 64 << 10)
    #expect(pool.counters == PipePool.Counters())
    try pipe.splice(from: file, to: target.open(.writeOnly), waitingIn: .poll)
    #expect(try target.contents == content)
    #expect(pipe.receivedBy.splice == 500_000)
    #expect(
      [pool.counters.made, pool.counters.idle, pool.counters.lent, pool.counters.bytes] == [
        1, 1, 0, 64 << 10,
      ])
    // The next one needs no new pipe.
    var next = SplicePipe(from: pool, capacity: 64 << 10)
    let again = try TemporaryFile(content).open(.readOnly)
    #expect(try next.splice(from: again) == .bytes(64 << 10))
    #expect(
      [pool.counters.made, pool.counters.reused, pool.counters.lent, pool.counters.idle] == [1, 1, 1, 0])
    // It is dirty, and so it is closed.
    _ = consume next
    #expect(
      [pool.counters.closed, pool.counters.lent, pool.counters.idle, pool.counters.bytes] == [1, 0, 0, 0])
  }

  @Test func aPipeThatWasMadeSmallIsEnlargedWhenThereIsRoom() throws {
    let pool = PipePool(budget: 96 << 10)
    let file = try TemporaryFile(bytes(500_000)).open(.readOnly)
    var large = SplicePipe(from: pool, capacity: 64 << 10)
    #expect(try large.splice(from: file) == .bytes(64 << 10))
    // What is left of the budget.
    var small = SplicePipe(from: pool, capacity: 64 << 10)
    #expect(try small.splice(from: file) == .bytes(32 << 10))
    #expect(pool.counters.bytes == 96 << 10)
    let nowhere = try device("/dev/null")
    try small.drain(to: nowhere, waitingIn: .poll)
    #expect(pool.counters.lent == 1)
    // It is dirty, and so it is closed, and its part of the budget is free.
    _ = consume large
    #expect(try small.splice(from: file) == .bytes(64 << 10))
    #expect([pool.counters.made, pool.counters.bytes] == [2, 64 << 10])
  }

  @Test func aRingIsNotLentToALargerPipeThanItWasMadeFor() throws {
    let pool = PipePool()
    let nowhere = try device("/dev/null")
    var large = SplicePipe(from: pool, capacity: 1 << 20)
    // An idle one of a mebibyte is in the pool from now on.
    let zeros = try device("/dev/zero")
    #expect(try large.splice(from: zeros, upTo: 100_000) == .bytes(100_000))
    try large.drain(to: nowhere, waitingIn: .poll)
    #expect(pool.counters.idle == 1)
    var pipe = SplicePipe(from: pool, capacity: 64 << 10)
    var ring = try PageRing(vouchingForTheReaderOf: pipe)
    ring.fill(upTo: .max) { output in while output.freeCapacity > 0 { output.append(7) } }
    do throws(Errno) {
      _ = try pipe.vmsplice(&ring)
      Issue.record("memory that may be used again is in a pipe that holds more than half of it")
    } catch { #expect(error == .invalidArgument) }
    #expect(pipe.count == 0 && ring.count == 64 << 10)
  }

  @Test func aConnectionThatOnlyHasSmallMessagesHoldsNoPipe() throws {
    let pool = PipePool()
    var left = try Ends.unix()
    var right = try Ends.unix()
    let (one, two) = (left.giveFar(), right.giveFar())
    let stop = try Stop()
    let relay = onThread { () -> String in
      var duplex = Duplex(from: pool)
      do {
        try duplex.run(
          between: Descriptor(owning: one), and: Descriptor(owning: two), waitingIn: Poll(orStoppedBy: stop))
        return "ended"
      } catch { return "\(error)" }
    }
    try left.near.writeAll(bytes(100))
    #expect(try right.near.read(exactly: 100) == bytes(100))
    #expect(pool.counters.made == 0)
    let big = bytes(300_000)
    let writing = onThread { [end = try left.near.duplicate()] in try Descriptor(owning: end).writeAll(big) }
    #expect(try right.near.read(exactly: 300_000) == big)
    try writing.join()
    #expect(pool.counters.made == 1)
    stop.stop()
    _ = try relay.join()
    #expect(pool.counters.lent == 0)
  }

  @Test func pastTheBudgetPipesAreSmallerAndThenBytesAreCopied() throws {
    let pool = PipePool(budget: 96 << 10)
    let content = bytes(200_000)
    let source = try TemporaryFile(content)
    var first = SplicePipe(from: pool, capacity: 64 << 10)
    var second = SplicePipe(from: pool, capacity: 64 << 10)
    var third = SplicePipe(from: pool, capacity: 64 << 10)
    let file = try source.open(.readOnly)
    #expect(try first.splice(from: file) == .bytes(64 << 10))
    #expect(try second.splice(from: file) == .bytes(32 << 10))
    let target = try TemporaryFile()
    #expect(
      try third.splice(from: source.open(.readOnly), to: target.open(.writeOnly), waitingIn: .poll) == 200_000
    )
    #expect(try target.contents == content)
    #expect(third.receivedBy.copy == 200_000)
    #expect(try third.write(bytes(10)) == .bytes(10))
    #expect(try third.contents() == bytes(10))
    #expect(throws: Errno.tooManyOpenFilesInSystem) { try first.tee(to: &third) }
    #expect(pool.counters.smaller == 1 && pool.counters.refused > 0)
    #expect(try first.contents() + second.contents() == Array(content[..<(96 << 10)]))
  }

  @Test func noMoreThanSomeStayIdle() throws {
    let pool = PipePool(idle: 2)
    let file = try TemporaryFile(bytes(10)).open(.readOnly)
    let null = try device("/dev/null", .writeOnly)
    var pipes = (0..<4).map { _ in Box(SplicePipe(from: pool)) }
    for index in pipes.indices {
      var pipe = pipes[index].take()
      var start: Int64 = 0
      _ = try pipe.splice(from: file, at: &start)
      pipes[index] = Box(pipe)
    }
    #expect(pool.counters.lent == 4)
    for box in pipes {
      var pipe = box.take()
      try pipe.drain(to: null, waitingIn: .poll)
    }
    #expect([pool.counters.idle, pool.counters.closed, pool.counters.lent] == [2, 2, 0])
  }
}
