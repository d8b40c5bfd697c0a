// Both directions in one task: neither waits for the other, ends are passed on, nothing is lost.

import Foundation
import Splice
import Synchronization
import SystemPackage
import TestSupport
import Testing

extension Waiting {
  func run(
    _ duplex: inout Duplex, between first: borrowing Descriptor, and second: borrowing Descriptor,
    options: Duplex.Options = Duplex.Options(), until deadline: ContinuousClock.Instant? = nil
  ) async throws(Duplex.Failure) {
    switch self {
    case .async: try await duplex.run(between: first, and: second, options: options, until: deadline)
    case .blocking:
      try duplex.run(
        between: first, and: second, options: options, waitingIn: BlockingWait(until: deadline))
    }
  }
}

@Suite(.mayBlock) struct DuplexTests {
  @Test(arguments: Waiting.allCases, [Ends.Kind.tcp, .unix])
  func `both directions arrive whole, and ends are passed on`(
    _ waiting: Waiting, _ kind: Ends.Kind
  ) async throws {
    var left = try Ends.make(kind)
    var right = try Ends.make(kind)
    let (sent, replied) = (bytes(3_000_000), bytes(2_000_000, seed: 2))
    func peer(_ socket: FileDescriptor, sends: [UInt8]) -> Work<[UInt8]> {
      onThread {
        let socket = Descriptor(owning: socket)
        let reader = onThread { [twin = try socket.duplicate()] in
          try Descriptor(owning: twin).readToEnd()
        }
        try socket.writeAll(sends)
        try socket.withFileDescriptor { try Syscall.shutdown($0, .writing) }
        // Half-closed, and still read to the other's end.
        return try reader.join()
      }
    }
    let client = peer(left.giveNear(), sends: sent)
    let server = peer(right.giveFar(), sends: replied)
    var duplex = Duplex()
    try await waiting.run(&duplex, between: left.far, and: right.near)
    #expect(duplex.forward.isBalanced && duplex.forward.delivered == UInt64(sent.count))
    #expect(duplex.backward.isBalanced && duplex.backward.delivered == UInt64(replied.count))
    #expect(try client.join() == replied)
    #expect(try server.join() == sent)
  }

  @Test(arguments: Waiting.allCases, Duplex.Direction.allCases)
  func `one direction moves while the other is blocked`(
    _ waiting: Waiting, _ blocked: Duplex.Direction
  ) async throws {
    var left = try Ends.unix()
    var right = try Ends.unix()
    // More than all buffers on the way hold together, so this direction blocks until somebody reads.
    let stuffing = bytes(8_000_000)
    let (stuffed, open) =
      blocked == .forward ? (left.giveNear(), right.giveFar()) : (right.giveFar(), left.giveNear())
    let moved = DispatchSemaphore(value: 0)
    let stuffer = onThread {
      let stuffed = Descriptor(owning: stuffed)
      let reader = onThread { [twin = try stuffed.duplicate()] in
        let got = try Descriptor(owning: twin).readToEnd()
        // All of the open direction has come, while nobody has read the blocked one.
        moved.signal()
        return got
      }
      try stuffed.writeAll(stuffing)
      try stuffed.withFileDescriptor { try Syscall.shutdown($0, .writing) }
      return try reader.join()
    }
    let other = onThread {
      let open = Descriptor(owning: open)
      try open.writeAll(bytes(2_000_000, seed: 2))
      try open.withFileDescriptor { try Syscall.shutdown($0, .writing) }
      moved.wait()
      return try open.readToEnd()
    }
    var duplex = Duplex(capacity: 65536)
    try await waiting.run(&duplex, between: left.far, and: right.near)
    #expect(try other.join() == stuffing)
    #expect(try stuffer.join() == bytes(2_000_000, seed: 2))
    let stuffedPipe = blocked == .forward ? duplex.forward.delivered : duplex.backward.delivered
    #expect(stuffedPipe == UInt64(stuffing.count))
  }

  @Test(arguments: Waiting.allCases)
  func `ping-pong of small messages is copied`(_ waiting: Waiting) async throws {
    var left = try Ends.tcp()
    var right = try Ends.tcp()
    let (near, far) = (left.giveNear(), right.giveFar())
    let client = onThread {
      let client = Descriptor(owning: near)
      let message = bytes(100)
      for _ in 0..<500 {
        try client.writeAll(message)
        guard try client.read(exactly: 100) == message else { return false }
      }
      return true
    }
    let echo = onThread {
      let echo = Descriptor(owning: far)
      for _ in 0..<500 { try echo.writeAll(try echo.read(exactly: 100)) }
    }
    var duplex = Duplex()
    try await waiting.run(&duplex, between: left.far, and: right.near)
    #expect(try client.join())
    try echo.join()
    #expect(duplex.forward.receivedBy.copy == 50_000 && duplex.forward.receivedBy.splice == 0)
    #expect(duplex.backward.deliveredBy.copy == 50_000)
  }

  @Test(arguments: Waiting.allCases)
  func `a failure says which direction and resumes`(_ waiting: Waiting) async throws {
    let left = try Ends.unix()
    let right = try Ends.unix()
    var duplex = Duplex()
    try left.near.writeAll(bytes(100))
    await #expect(throws: Duplex.Failure(direction: nil, error: .timedOut)) {
      try await waiting.run(&duplex, between: left.far, and: right.near, until: .now + .milliseconds(30))
    }
    #expect(try right.far.read(exactly: 100) == bytes(100))
    try left.near.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    try right.far.writeAll(bytes(70))
    try right.far.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    try await waiting.run(&duplex, between: left.far, and: right.near)
    #expect(try left.near.readToEnd() == bytes(70))
  }

  /// Who answers and closes before it has read has gone for what is written to it, and its answer arrives all
  /// the same, whichever of both descriptors is its own, and however slowly the other one takes it.
  @Test(arguments: Waiting.allCases, Duplex.Direction.allCases)
  func `what was said before leaving arrives`(_ waiting: Waiting, _ failing: Duplex.Direction) async throws {
    var asking = try Ends.narrow()
    var answering = try Ends.unix()
    let answer = bytes(100_000)
    try asking.near.writeAll(bytes(100))
    let (near, far) = (asking.giveNear(), answering.giveFar())
    let server = Descriptor(owning: far)
    try server.writeAll(answer)
    // A program that is being started may hold it open for a moment.
    try server.withFileDescriptor { try Syscall.shutdown($0, .both) }
    let client = onThread { try Descriptor(owning: near).read(exactly: 100_000) }
    var duplex = Duplex()
    await #expect(throws: Duplex.Failure(direction: failing, error: .sink(.brokenPipe))) {
      switch failing {
      case .forward: try await waiting.run(&duplex, between: asking.far, and: answering.near)
      case .backward: try await waiting.run(&duplex, between: answering.near, and: asking.far)
      }
    }
    #expect(try client.join() == answer)
    // What could not be handed over is still there.
    #expect(duplex.forward.count + duplex.backward.count == 100)
  }

  /// A look at the idle time, of which there are four in it, is not the end of the direction that is left.
  @Test(arguments: Waiting.allCases)
  func `a peer that is listened to alone has its time`(_ waiting: Waiting) async throws {
    var asking = try Ends.narrow()
    var answering = try Ends.unix()
    try asking.near.writeAll(bytes(100))
    let (near, far) = (asking.giveNear(), answering.giveFar())
    let server = Descriptor(owning: far)
    try server.writeAll(bytes(100_000))
    try server.withFileDescriptor { try Syscall.shutdown($0, .both) }
    let client = onThread {
      // A peer that is slow: past the first look, which is a matter of time.
      Thread.sleep(forTimeInterval: 1.3)
      return try Descriptor(owning: near).read(exactly: 100_000)
    }
    var duplex = Duplex()
    let options = Duplex.Options(idle: .seconds(4))
    await #expect(throws: Duplex.Failure(direction: .forward, error: .sink(.brokenPipe))) {
      try await waiting.run(&duplex, between: asking.far, and: answering.near, options: options)
    }
    #expect(try client.join() == bytes(100_000))
  }

  /// What only a pace holds back is still in the socket of the peer that was reset, and goes first.
  @Test(arguments: Waiting.allCases) func `a pace cuts no answer off`(_ waiting: Waiting) async throws {
    var asking = try Ends.tcp()
    var answering = try Ends.tcp()
    try asking.near.writeAll(bytes(100))
    try answering.near.writeAll(bytes(100))
    let (near, far) = (asking.giveNear(), answering.giveFar())
    do {
      let server = Descriptor(owning: far)
      try server.writeAll(bytes(60_000))
      // Closed with something unread, which is a reset.
    }
    let client = onThread { try Descriptor(owning: near).read(exactly: 60_000) }
    var duplex = Duplex()
    let options = Duplex.Options(FlowOptions(pace: Pace(bytesPerSecond: 300_000)))
    await #expect(throws: Duplex.Failure.self) {
      try await waiting.run(&duplex, between: asking.far, and: answering.near, options: options)
    }
    #expect(try client.join() == bytes(60_000))
  }

  /// The reset is there when the end of the other direction is to be passed on to the peer that has reset.
  @Test(arguments: Waiting.allCases) func `a reset behind an end is no clean end`(
    _ waiting: Waiting
  ) async throws {
    var asking = try Ends.tcp()
    var answering = try Ends.tcp()
    let (client, server) = (asking.giveNear(), answering.giveFar())
    try Syscall.shutdown(client, .writing)
    try Syscall.setReset(onClosing: client, true)
    try client.close()
    try server.close()
    var duplex = Duplex()
    await #expect(throws: Duplex.Failure.self) {
      try await waiting.run(&duplex, between: asking.far, and: answering.near)
    }
  }

  /// The client ends its half while an answer is held back, whose sender has been reset: the reset that is met by passing
  /// that end on lets the answer go first.
  @Test(arguments: Waiting.allCases)
  func `a reset met when an end is passed on cuts no answer off`(_ waiting: Waiting) async throws {
    var asking = try Ends.tcp()
    var answering = try Ends.tcp()
    try answering.near.writeAll(bytes(100))
    let (near, far) = (asking.giveNear(), answering.giveFar())
    do { try Descriptor(owning: far).writeAll(bytes(60_000)) }
    // Ended from the start, so that this end is passed on while the pace holds the answer back.
    try Syscall.shutdown(near, .writing)
    let client = onThread { try Descriptor(owning: near).read(exactly: 60_000) }
    var duplex = Duplex()
    let options = Duplex.Options(FlowOptions(pace: Pace(bytesPerSecond: 300_000)))
    await #expect(throws: Duplex.Failure.self) {
      try await waiting.run(&duplex, between: asking.far, and: answering.near, options: options)
    }
    #expect(try client.join() == bytes(60_000))
  }

  /// The reset of a peer that nobody reads from is told at the very time of a look, and so to nobody: the
  /// step after the look asks for it.
  @Test func `a reset that is told at a look is found`() async throws {
    var asking = try Ends.tcp()
    let answering = try Ends.narrow()
    try asking.near.writeAll(bytes(100_000))
    let near = asking.giveNear()
    try Syscall.setReset(onClosing: near, true)
    var duplex = Duplex(capacity: 4096)
    await #expect(throws: Duplex.Failure(direction: .backward, error: .sink(.connectionReset))) {
      try await duplex.run(
        between: asking.far, and: answering.far, options: Duplex.Options(idle: .milliseconds(400)),
        waitingOn: Deaf { try near.close() })
    }
  }

  /// A unix peer that closes with something unread is an error of its socket, and what it had said stays:
  /// whether that is met by a read, or told while the other side takes no more.
  @Test(arguments: Waiting.allCases, [4096, 1 << 20])
  func `a peer that leaves something unread has said everything`(
    _ waiting: Waiting, _ capacity: Int
  ) async throws {
    var asking = try Ends.narrow()
    var answering = try Ends.unix()
    let answer = bytes(100_000)
    try answering.near.writeAll(bytes(100))
    let (near, far) = (asking.giveNear(), answering.giveFar())
    do {
      let server = Descriptor(owning: far)
      try server.writeAll(answer)
    }
    let client = onThread { try Descriptor(owning: near).read(exactly: 100_000) }
    var duplex = Duplex(capacity: capacity)
    do throws(Duplex.Failure) {
      try await waiting.run(&duplex, between: asking.far, and: answering.near)
      Issue.record("it was not told")
    } catch {
      #expect(
        error == Duplex.Failure(direction: .forward, error: .sink(.connectionReset))
          || error == Duplex.Failure(direction: .backward, error: .source(.connectionReset)))
    }
    #expect(try client.join() == answer)
  }

  /// The kernel tells it behind the last byte, when the pipe still holds what the sink has yet to take.
  /// Also at the first try, which is made while the pipe holds a header.
  @Test(arguments: Waiting.allCases, [0, 100_000])
  func `what was said before something was left unread arrives first`(
    _ waiting: Waiting, _ size: Int
  ) async throws {
    var ends = try Ends.unix()
    var sink = try Ends.pipe(size: 4096)
    let (header, answer) = (bytes(10, seed: 2), bytes(size))
    try ends.far.writeAll(bytes(100))
    let number = ends.giveNear()
    do { try Descriptor(owning: number).writeAll(answer) }
    let (near, far) = (sink.giveNear(), sink.giveFar())
    let reading = onThread { try Descriptor(owning: far).readToEnd() }
    do {
      let writer = Descriptor(owning: near)
      var pipe = try SplicePipe()
      _ = try pipe.write(header)
      await #expect(throws: SpliceError.source(.connectionReset)) {
        switch waiting {
        case .async: try await pipe.forward(from: ends.far, to: writer)
        case .blocking: try pipe.forward(from: ends.far, to: writer, waitingIn: .poll)
        }
      }
    }
    #expect(try reading.join() == header + answer)
  }

  /// A short answer goes past the pipe, from socket to socket: that is where the kernel tells it then.
  @Test(arguments: Waiting.allCases)
  func `what was left unread behind a short answer is told by a later flow`(_ waiting: Waiting) async throws {
    var ends = try Ends.unix()
    let sink = try Ends.unix()
    try ends.far.writeAll(bytes(100))
    let number = ends.giveNear()
    do { try Descriptor(owning: number).writeAll(bytes(6)) }
    var pipe = try SplicePipe()
    for _ in 0..<2 {
      await #expect(throws: SpliceError.source(.connectionReset)) {
        switch waiting {
        case .async: try await pipe.forward(from: ends.far, to: sink.near)
        case .blocking: try pipe.forward(from: ends.far, to: sink.near, waitingIn: .poll)
        }
      }
    }
    #expect(try sink.far.read(exactly: 6) == bytes(6))
  }

  /// The kernel tells it once, and then says that the stream has ended: what was cut short then tells it all
  /// the same.
  @Test(arguments: Waiting.allCases)
  func `what was left unread is told by a later flow`(_ waiting: Waiting) async throws {
    var ends = try Ends.unix()
    let answer = bytes(100_000)
    try ends.far.writeAll(bytes(100))
    let number = ends.giveNear()
    do {
      let peer = Descriptor(owning: number)
      try peer.writeAll(answer)
    }
    var sink = try Ends.pipe(size: 4096)
    var pipe = try SplicePipe()
    // So that it asks its source while it holds something.
    _ = try pipe.write(bytes(10))
    func flow(until end: ContinuousClock.Instant?) async throws(SpliceError) {
      switch waiting {
      case .async: try await pipe.forward(from: ends.far, to: sink.near, until: end)
      case .blocking: try pipe.forward(from: ends.far, to: sink.near, waitingIn: BlockingWait(until: end))
      }
    }
    for _ in 0..<3 {
      await #expect(throws: SpliceError.timedOut) { try await flow(until: .now + .milliseconds(50)) }
    }
    let far = sink.giveFar()
    let reading = onThread { try Descriptor(owning: far).read(exactly: 100_010) }
    await #expect(throws: SpliceError.source(.connectionReset)) { try await flow(until: nil) }
    #expect(try reading.join() == bytes(10) + answer)
  }
}

/// Has something happen during the first wait, and hears nothing of it: each wait lasts until its deadline.
private final class Deaf: Readiness {
  private let executor = EpollExecutor.shared
  private let happening: Mutex<(@Sendable () throws -> Void)?>

  init(_ happening: @escaping @Sendable () throws -> Void) { self.happening = Mutex(happening) }

  func attach(_ descriptor: FileDescriptor) -> RegistrationKey { executor.attach(descriptor) }
  func detach(_ key: RegistrationKey) { executor.detach(key) }
  func interrupt(_ key: RegistrationKey) { executor.interrupt(key) }

  func wait(
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> ReadySet {
    try? happening.withLock { $0.take() }?()
    return try await executor.wait(for: nil, or: nil, until: deadline)
  }
}

extension Ends {
  /// A pair of which the far end takes little at once.
  fileprivate static func narrow() throws -> Ends {
    let ends = try Ends.unix()
    try ends.far.withFileDescriptor {
      try Syscall.setsockopt($0, level: SOL_SOCKET, option: SO_SNDBUF, to: 4096)
    }
    return ends
  }
}
