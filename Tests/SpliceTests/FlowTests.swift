// Flows over real pipes, sockets and files: every byte arrives, in order, once; or it is still in the pipe.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

/// How a flow waits: every behaviour is tested both ways.
enum Waiting: String, CaseIterable, Sendable { case async, blocking }

/// A way a flow goes: every behaviour is tested over each.
struct Way: CaseIterable, CustomStringConvertible, Sendable {
  let waiting: Waiting
  let body: SplicePipe.Storage

  static let allCases = Waiting.allCases.flatMap { waiting in
    SplicePipe.Storage.allCases.map { Way(waiting: waiting, body: $0) }
  }

  var description: String { "\(waiting), \(body)" }

  func forward(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    upTo limit: UInt64 = .max, via: PathChoice = .automatic, pace: Pace? = nil,
    until deadline: ContinuousClock.Instant? = nil
  ) async throws(SpliceError) -> UInt64 {
    switch waiting {
    case .async:
      try await pipe.forward(
        from: source, to: sink, upTo: limit, options: FlowOptions(via: via, pace: pace), until: deadline)
    case .blocking:
      try pipe.forward(
        from: source, to: sink, upTo: limit, options: FlowOptions(via: via, pace: pace),
        waitingIn: BlockingWait(until: deadline))
    }
  }

  /// The path bytes go by; to and from descriptors a pipe in memory copies.
  func path(_ via: PathChoice) -> TransferPath { via == .copy || body == .memory ? .copy : .splice }

  /// What may be asked for, where splicing may not.
  func possible(_ via: PathChoice) -> PathChoice { body == .memory && via == .splice ? .automatic : via }
}

@Suite(.mayBlock) struct FlowTests {
  @Test(arguments: Way.allCases, Ends.Kind.allCases)
  func `random sizes between slow and bursty ends arrive whole`(_ way: Way, _ kind: Ends.Kind) async throws {
    for seed in UInt64(1)...4 {
      var random = Random(seed: seed)
      let content = bytes(Int.random(in: 0...3_000_000, using: &random), seed: seed)
      var source = try Ends.make(kind)
      var sink = try Ends.make(Ends.Kind.allCases.randomElement(using: &random)!)
      let capacity = [4096, 65536, 1 << 20].randomElement(using: &random)!
      let via = way.possible(PathChoice.allCases.randomElement(using: &random)!)

      let (near, far) = (source.giveNear(), sink.giveFar())
      let writer = onThread {
        var random = Random(seed: seed &* 31)
        let near = Descriptor(owning: near)
        var left = content[...]
        while !left.isEmpty {
          let size = Bool.random(using: &random) ? Int.random(in: 1...200, using: &random) : 200_000
          try near.writeAll(left.prefix(size))
          left = left.dropFirst(size)
          if Int.random(in: 0..<8, using: &random) == 0 { usleep(200) }
        }
      }
      let reader = onThread {
        var random = Random(seed: seed &* 17)
        let far = Descriptor(owning: far)
        var got: [UInt8] = []
        while got.count < content.count {
          got += try far.read(
            exactly: min(Int.random(in: 1...90_000, using: &random), content.count - got.count))
          if Int.random(in: 0..<8, using: &random) == 0 { usleep(200) }
        }
        return got
      }
      var pipe = try SplicePipe(way.body, capacity: capacity)
      let moved = try await way.forward(&pipe, from: source.far, to: sink.near, via: via)
      _ = try writer.join()
      #expect(moved == UInt64(content.count), "seed \(seed)")
      #expect(pipe.isBalanced && pipe.count == 0 && pipe.received == moved)
      #expect(try reader.join() == content, "seed \(seed)")
    }
  }

  @Test(arguments: Way.allCases, PathChoice.allCases)
  func `a file is copied whole`(_ way: Way, _ via: PathChoice) async throws {
    let content = bytes(5_000_001)
    let copy = try TemporaryFile()
    let source = try TemporaryFile(content).open(.readOnly)
    let sink = try copy.open(.writeOnly)
    var pipe = try SplicePipe(way.body)
    if way.possible(via) != via {
      await #expect(throws: SpliceError.source(.notSupported)) {
        _ = try await way.forward(&pipe, from: source, to: sink, via: via)
      }
    }
    #expect(try await way.forward(&pipe, from: source, to: sink, via: way.possible(via)) == 5_000_001)
    #expect(try copy.contents == content)
    #expect(pipe.receivedBy[way.path(via)] == 5_000_001)
  }

  @Test(arguments: Way.allCases)
  func `the limit ends a flow, and calling again goes on`(_ way: Way) async throws {
    let content = bytes(100_000)
    let copy = try TemporaryFile()
    let source = try TemporaryFile(content).open(.readOnly)
    let sink = try copy.open(.writeOnly)
    var pipe = try SplicePipe(way.body)
    #expect(try await way.forward(&pipe, from: source, to: sink, upTo: 33_333) == 33_333)
    #expect(try copy.contents == Array(content[..<33_333]))
    #expect(try await way.forward(&pipe, from: source, to: sink, upTo: 0) == 0)
    #expect(try await way.forward(&pipe, from: source, to: sink) == 66_667)
    #expect(try copy.contents == content)
  }

  @Test(arguments: Way.allCases)
  func `pipes in the kernel and in memory carry the same bytes`(_ way: Way) async throws {
    let content = bytes(500_000)
    let source = try TemporaryFile(content).open(.readOnly)
    let spare = try TemporaryFile()
    var pipe = try SplicePipe(way.body)
    await #expect(throws: SpliceError.sink(.noSpace)) {
      _ = try await way.forward(&pipe, from: source, to: try device("/dev/full"))
    }
    #expect(pipe.count > 0 && pipe.isBalanced && pipe.delivered == 0)
    let sink = try spare.open(.writeOnly)
    switch way.waiting {
    case .async: try await pipe.drain(to: sink)
    case .blocking: try pipe.drain(to: sink, waitingIn: .poll)
    }
    _ = try await way.forward(&pipe, from: source, to: sink)
    #expect(try spare.contents == content)
  }

  @Test(arguments: Way.allCases)
  func `a pace is not exceeded, and a flow at a pace stops`(_ way: Way) async throws {
    let began = ContinuousClock.now
    let source = try TemporaryFile(bytes(300_000)).open(.readOnly)
    let nowhere = try device("/dev/null")
    var pipe = try SplicePipe(way.body)
    #expect(
      try await way.forward(&pipe, from: source, to: nowhere, pace: Pace(bytesPerSecond: 1_000_000))
        == 300_000)
    // All but the first share, and what the clock rounds.
    #expect(ContinuousClock.now - began > .milliseconds(240))
    #expect(pipe.receivedBy[way.path(.automatic)] == 300_000)
    let zeros = try device("/dev/zero")
    await #expect(throws: SpliceError.timedOut) {
      _ = try await way.forward(
        &pipe, from: zeros, to: nowhere, pace: Pace(bytesPerSecond: 1), until: .now + .milliseconds(30))
    }
    #expect(pipe.isBalanced && pipe.received == 300_001)
  }

  @Test(arguments: Way.allCases)
  func `a peer that resets ends a flow with its error`(_ way: Way) async throws {
    // A source that resets is a failed source, and not an end.
    var source = try Ends.tcp()
    try source.far.writeAll(bytes(10))
    source.near = try device("/dev/null")
    var pipe = try SplicePipe(way.body)
    await #expect(throws: SpliceError.source(.connectionReset)) {
      _ = try await way.forward(&pipe, from: source.far, to: try device("/dev/null"))
    }
    // A sink that resets is a failed sink, and what it did not take is here.
    var sink = try Ends.tcp()
    try sink.near.writeAll(bytes(10))
    sink.far = try device("/dev/null")
    let file = try TemporaryFile(bytes(3_000_000)).open(.readOnly)
    await #expect(throws: SpliceError.self) { _ = try await way.forward(&pipe, from: file, to: sink.near) }
    #expect(pipe.isBalanced && pipe.count > 0)
  }

  @Test(arguments: Way.allCases)
  func `a sink that never reads meets the deadline`(_ way: Way) async throws {
    let sink = try Ends.unix()
    let content = bytes(4_000_000)
    let source = try TemporaryFile(content).open(.readOnly)
    var pipe = try SplicePipe(way.body)
    await #expect(throws: SpliceError.timedOut) {
      _ = try await way.forward(
        &pipe, from: source, to: sink.near, until: .now + .milliseconds(50))
    }
    #expect(pipe.isBalanced && pipe.count > 0)
    // What it had accepted and what is left are the file, from the beginning.
    let accepted = try sink.far.read(exactly: Int(pipe.delivered))
    #expect(try accepted + pipe.contents() == Array(content[..<Int(pipe.received)]))
  }

  @Test(arguments: Way.allCases)
  func `a source that says nothing meets the deadline`(_ way: Way) async throws {
    let source = try Ends.tcp()
    var pipe = try SplicePipe(way.body)
    await #expect(throws: SpliceError.timedOut) {
      _ = try await way.forward(
        &pipe, from: source.far, to: try device("/dev/null"), until: .now + .milliseconds(20))
    }
  }

  @Test(arguments: Way.allCases)
  func `tiny segments fill slots and still get through`(_ way: Way) async throws {
    // 100-byte frames with the smallest pipe: its one slot is full at 100 bytes of 4096.
    var source = try Ends.tcp()
    var sink = try Ends.unix()
    let content = bytes(40_000)
    let near = source.giveNear()
    let writer = onThread {
      let near = Descriptor(owning: near)
      for start in stride(from: 0, to: content.count, by: 100) {
        try near.writeAll(content[start..<start + 100])
      }
    }
    // Meanwhile, since each frame may occupy a page of the sink's buffer.
    let far = sink.giveFar()
    let reader = onThread { try Descriptor(owning: far).read(exactly: content.count) }
    var pipe = try SplicePipe(way.body, capacity: 4096)
    #expect(
      try await way.forward(&pipe, from: source.far, to: sink.near, via: way.possible(.splice)) == 40_000)
    _ = try writer.join()
    #expect(try reader.join() == content)
  }

  @Test(arguments: Way.allCases, PathChoice.allCases)
  func `urgent data neither ends nor stops the stream`(_ way: Way, _ via: PathChoice) async throws {
    var source = try Ends.tcp()
    var sink = try Ends.unix()
    let near = source.giveNear()
    let writer = onThread {
      let near = Descriptor(owning: near)
      for _ in 0..<20 {
        try near.writeAll(bytes(30_000))
        try near.withFileDescriptor { socket in
          var urgent: UInt8 = 0xff
          while send(socket.rawValue, &urgent, 1, CInt(MSG_OOB)) < 0 {
            guard errno == EAGAIN else { throw Errno(rawValue: errno) }
            usleep(100)
          }
        }
        try near.writeAll(bytes(30_000, seed: 2))
      }
    }
    let far = sink.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    var pipe = try SplicePipe(way.body)
    let moved = try await way.forward(
      &pipe, from: source.far, to: sink.near, via: way.possible(via), until: .now + .seconds(120))
    _ = try writer.join()
    try sink.near.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    let got = try reader.join()
    // The urgent byte is taken out of the stream by the kernel, or is an ordinary one.
    #expect(moved == UInt64(got.count))
    #expect((1_200_000...1_200_020).contains(moved))
  }

  @Test(arguments: SplicePipe.Storage.allCases, PathChoice.allCases)
  func `urgent data that has come with the last edge stops nothing`(
    _ body: SplicePipe.Storage, _ via: PathChoice
  ) async throws {
    var source = try Ends.tcp()
    let near = source.giveNear()
    let sleeper = LateRiser {
      let near = Descriptor(owning: near)
      try near.writeAll(bytes(30_000))
      var urgent: UInt8 = 0xff
      #expect(near.withFileDescriptor { send($0.rawValue, &urgent, 1, CInt(MSG_OOB)) } == 1)
      try near.writeAll(bytes(30_000, seed: 2))
      // Open still: no end comes after it.
      return near.release()
    }
    var pipe = try SplicePipe(body)
    let moved = try await pipe.forward(
      from: source.far, to: try device("/dev/null"), upTo: 60_000,
      options: FlowOptions(via: Way(waiting: .async, body: body).possible(via)), until: .now + .seconds(120),
      waitingOn: sleeper)
    #expect(moved == 60_000)
    _ = Descriptor(owning: try sleeper.written.join())
  }
}

/// Parks its flow, has everything come, and only then wakes it: one waking stands for every edge there was.
private struct LateRiser: Readiness {
  let written: Work<FileDescriptor>
  private let asleep = DispatchSemaphore(value: 0)
  private let executor = EpollExecutor.shared

  init(_ write: @escaping @Sendable () throws -> FileDescriptor) {
    written = onThread { [asleep] in
      asleep.wait()
      return try write()
    }
  }

  func attach(_ descriptor: FileDescriptor) -> RegistrationKey { executor.attach(descriptor) }
  func detach(_ key: RegistrationKey) { executor.detach(key) }
  func interrupt(_ key: RegistrationKey) { executor.interrupt(key) }

  func wait(
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> ReadySet {
    // Until a deadline that is over: the descriptor is watched from now on.
    _ = try await executor.wait(for: first, or: second, until: .now)
    asleep.signal()
    _ = try? written.join()
    return try await executor.wait(for: first, or: second, until: deadline)
  }
}
