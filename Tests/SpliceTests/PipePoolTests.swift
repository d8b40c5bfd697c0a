// Pipes that are borrowed while bytes are in flight.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct PipePoolTests {
  /// Without a ring to be had it is a pipe in memory, of 64 slots.
  @Test func `a pool may lend nothing`() async throws {
    let pool = PipePool(pipes: 0)
    var pipe = SplicePipe(from: pool, capacity: 1000)
    #expect(pipe.capacity == 4096)
    var (one, other) = (
      PipeSegment(copying: ([1, 2, 3] as [UInt8]).span.bytes),
      PipeSegment(copying: ([4, 5] as [UInt8]).span.bytes)
    )
    #expect(try pipe.splice(from: &one) == .bytes(3))
    #expect(try pipe.splice(from: &other) == .bytes(2))
    #expect(pipe.hasRoom && pipe.count == 5)
    var taken = 5
    while case .bytes(let count) = try pipe.write(bytes(4096)) { taken += count }
    #expect(!pipe.hasRoom && pipe.count == taken && taken > 200_000)

    // By reference from another pipe in memory, and on to a file.
    let content = bytes(500_000, seed: 4)
    var ends = try SplicePipe(.memory).split()
    _ = try ends.writer.write(content)
    var source = ends.reader
    _ = consume ends.writer
    var through = SplicePipe(from: pool)
    let sink = try TemporaryFile()
    try await through.forward(from: &source, to: sink.open(.writeOnly))
    #expect(try sink.contents == content)
  }

  /// What is shown to one that gets no ring is in its memory; what it refused, it has not borrowed for.
  @Test func `a pooled pipe may be teed to, and may refuse`() throws {
    var shown = SplicePipe(from: PipePool(pipes: 0))
    for storage in SplicePipe.Storage.allCases {
      var pipe = try SplicePipe(storage)
      let content = bytes(5000, seed: 8)
      try pipe.writeAll(content.span.bytes)
      #expect(try pipe.tee(to: &shown) == .bytes(5000))
      #expect(try shown.contents() == content && pipe.count == 5000)
    }
    // A full one is no end.
    while case .bytes = try shown.write(bytes(4096)) {}
    var more = try SplicePipe()
    try more.writeAll(bytes(10).span.bytes)
    #expect(try more.tee(to: &shown) == .wouldBlock)
    let pool = PipePool(budget: 128 << 10)
    var empty = SplicePipe(from: pool)
    #expect(throws: Errno.noBufferSpace) { try empty.writeAll(bytes(300_000).span.bytes) }
    #expect(empty.count == 0 && pool.counters.lent == 0)
  }

  /// Its writer waits for the reader, and neither for ever nor at full speed.
  @Test func `a split pipe may get no ring`() async throws {
    let content = bytes(1_000_000, seed: 9)
    let ends = try Ends.unix()
    let near = try ends.near.duplicate()
    let feeding = onThread {
      let near = Descriptor(owning: near)
      try near.writeAll(content)
      try near.halfClose()
    }
    let sink = try TemporaryFile()
    let far = Locked<FileDescriptor>(try ends.far.duplicate())
    let moved = try await SplicePipe(from: PipePool(pipes: 0)).split().run(
      reading: { reader in try await reader.drain(to: sink.open(.writeOnly)) },
      writing: { writer in try await writer.fill(from: Descriptor(owning: far.withLock { $0 })) })
    try feeding.join()
    #expect(moved.read == 1_000_000 && moved.written == 1_000_000)
    #expect(try sink.contents == content)
  }

  /// All of the bytes go into what a pool lends, where memory would be too small.
  @Test func `a large header fits into a lent pipe`() throws {
    var pipe = SplicePipe(from: PipePool())
    let header = bytes(512 << 10)
    try pipe.writeAll(header.span.bytes)
    #expect(try pipe.contents() == header)
  }

  @Test func `a pipe is borrowed while bytes are in flight, and comes back empty`() throws {
    let pool = PipePool()
    let content = bytes(500_000)
    let file = try TemporaryFile(content).open(.readOnly)
    let target = try TemporaryFile()
    var pipe = SplicePipe(from: pool, capacity: 64 << 10)
    #expect(pool.counters == PipePool.Counters())
    try pipe.forward(from: file, to: target.open(.writeOnly), waitingIn: .poll)
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

  @Test func `a pipe that was made small is enlarged when there is room`() throws {
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

  @Test func `a ring is not lent to a larger pipe than it was made for`() throws {
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

  @Test func `a connection that only has small messages holds no pipe`() throws {
    let pool = PipePool()
    var left = try Ends.unix()
    var right = try Ends.unix()
    let (one, two) = (left.giveFar(), right.giveFar())
    let stop = try StopFlag()
    let relay = onThread { () -> String in
      var duplex = Duplex(from: pool)
      do {
        try duplex.run(
          between: Descriptor(owning: one), and: Descriptor(owning: two),
          waitingIn: BlockingWait(orStoppedBy: stop))
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

  @Test func `past the budget pipes are smaller, and then bytes are copied`() throws {
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
      try third.forward(from: source.open(.readOnly), to: target.open(.writeOnly), waitingIn: .poll)
        == 200_000
    )
    #expect(try target.contents == content)
    #expect(third.receivedBy.copy == 200_000)
    #expect(try third.write(bytes(10)) == .bytes(10))
    #expect(try third.contents() == bytes(10))
    #expect(try first.tee(to: &third) == .bytes(65_536))
    #expect(pool.counters.smaller == 1 && pool.counters.refused > 0)
    #expect(try first.contents() + second.contents() == Array(content[..<(96 << 10)]))
  }

  @Test func `only a few pipes stay idle`() throws {
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
