// Sockets as a program has them: names, ports, paths, and everything that can be missing.

import Glibc
import SystemPackage
import TestSupport
import Testing

// What is public is enough.
import Splice

@Suite(.mayBlock) struct SocketsTests {
  private let soon = ContinuousClock.Instant.now + .seconds(60)

  /// A relay with progress, a rate limit, a tap and a graceful end.
  @Test func `a relay in twenty lines`() async throws {
    let origin = try Listener(host: "127.0.0.1", port: 0)
    let front = try Listener(host: "127.0.0.1", port: 0)
    let (port, entrance) = (try #require(origin.address.port), try #require(front.address.port))
    let progress = (sent: ByteMeter(), received: ByteMeter())
    let log = try FanOut()
    let tap = try log.attach(.skip)

    async let relayed: Void = {
      let client = try await front.accept(until: .now + .seconds(60))
      let server = try await Descriptor.connect(host: "localhost", port: port, until: .now + .seconds(60))
      var duplex = Duplex()
      try await duplex.run(
        between: client, and: server,
        options: Duplex.Options(
          forward: FlowOptions(pace: Pace(bytesPerSecond: 100 << 20), meter: progress.sent),
          backward: FlowOptions(meter: progress.received), idle: .seconds(60)),
        watchedBy: Duplex.Taps(forward: log))
      log.finish()
    }()
    async let served: [UInt8] = {
      let peer = try await origin.accept(until: .now + .seconds(60))
      var pipe = try SplicePipe(.memory)
      let file = try TemporaryFile()
      try await pipe.forward(from: peer, to: file.open(.writeOnly))
      try pipe.write(Array("seen".utf8))
      try await pipe.drain(to: peer)
      try await peer.finish(until: .now + .seconds(60))
      return try file.contents
    }()

    let client = try await Descriptor.connect(host: "127.0.0.1", port: entrance, until: soon)
    try client.writeAll(bytes(300_000))
    try client.halfClose()
    #expect(try client.readToEnd() == Array("seen".utf8))
    #expect(try await served == bytes(300_000))
    try await relayed
    #expect(progress.sent.passed.total == 300_000 && progress.received.passed.total == 4)
    #expect(tap.counters.delivered + tap.counters.skipped + UInt64(tap.counters.lag) == 300_000)
  }

  @Test(arguments: [true, false])
  func `a unix socket and its file`(_ isAbstract: Bool) async throws {
    let here = try TemporaryDirectory()
    let path = isAbstract ? "@\(here.path)" : here.path + "/s"
    do {
      let listener = try Listener(unix: path)
      #expect(throws: Errno.addressInUse) { _ = try Listener(unix: path) }
      let near = try await Descriptor.connect(unix: path, until: soon)
      let far = try await listener.accept(until: soon)
      try near.writeAll(bytes(1000))
      #expect(try far.read(exactly: 1000) == bytes(1000))
      let blocking = try Descriptor.connect(unix: path, waitingIn: BlockingWait(until: soon))
      let other = try listener.accept(waitingIn: BlockingWait(until: soon))
      try other.writeAll(bytes(10))
      #expect(try blocking.read(exactly: 10) == bytes(10))
    }
    // What was made has gone, and nothing else was there.
    #expect(access(path, F_OK) != 0)
    // A program that is being started holds what was open, until it is one.
    try waitUntil("nobody listens") {
      (try? Descriptor.connect(unix: path, waitingIn: BlockingWait(until: soon))) == nil
    }
    await #expect(throws: SpliceError.self) { _ = try await Descriptor.connect(unix: path, until: soon) }
  }

  @Test func `what is missing is said`() async throws {
    let closed = try #require(try Listener(host: "127.0.0.1", port: 0).address.port)
    await #expect(throws: SpliceError.sink(.connectionRefused)) {
      _ = try await Descriptor.connect(host: "127.0.0.1", port: closed, until: soon)
    }
    #expect(throws: SpliceError.sink(.connectionRefused)) {
      _ = try Descriptor.connect(host: "127.0.0.1", port: closed, waitingIn: BlockingWait(until: soon))
    }
    await #expect(throws: SocketAddress.Unresolved.self) {
      _ = try await Descriptor.connect(host: "nowhere.invalid", port: 1, until: soon)
    }
    #expect(throws: SocketAddress.Unresolved.self) { _ = try Listener(host: "nowhere.invalid", port: 1) }
    #expect(throws: Errno.noSuchFileOrDirectory) { _ = try Descriptor.open("/nowhere/at/all", .readOnly) }

    let listener = try Listener(host: "127.0.0.1", port: 0)
    await #expect(throws: SpliceError.timedOut) {
      _ = try await listener.accept(until: .now + .milliseconds(10))
    }
    #expect(throws: SpliceError.timedOut) {
      _ = try listener.accept(waitingIn: BlockingWait(until: .now + .milliseconds(10)))
    }
  }

  @Test func `an accept that is cancelled ends`() async throws {
    let task = Task {
      let listener = try Listener(host: "127.0.0.1", port: 0)
      _ = try await listener.accept()
    }
    task.cancel()
    await #expect(throws: SpliceError.cancelled) { try await task.value }
  }
}
