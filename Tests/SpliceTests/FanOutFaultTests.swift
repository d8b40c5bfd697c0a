// Sinks that fail, vanish, crawl and come too late: which bytes each of them got is known, and nobody else is
// hurt.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

extension FanOut.Sink {
  /// Serves a descriptor on a task of its own, until the stream or the descriptor ends.
  fileprivate func serve(
    _ waiting: Waiting, to descriptor: FileDescriptor
  ) -> Task<SpliceError?, Never> {
    Task(executorPreference: MayBlock.threads) {
      do throws(SpliceError) {
        let descriptor = Descriptor(owning: descriptor)
        switch waiting {
        case .async: try await self.drain(to: descriptor)
        case .blocking: try self.drain(to: descriptor, waitingIn: .poll)
        }
        return nil
      } catch { return error }
    }
  }
}

@Suite(.mayBlock) struct FanOutFaultTests {
  private let content = bytes(3_000_000, seed: 21)

  /// What becomes of the descriptors at the far end of a sink.
  enum Fault: CaseIterable {
    case closed, shut, reset

    /// A connection, whose far end goes in this way.
    func make() throws -> Ends {
      switch self {
      case .closed: return try .pipe()
      case .shut: return try .unix()
      case .reset:
        let ends = try Ends.tcp()
        // Else all of the stream might be on its way already.
        for end in [
          ends.near.withFileDescriptor { $0.rawValue }, ends.far.withFileDescriptor { $0.rawValue },
        ] {
          var size: CInt = 65_536
          setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, 4)
          setsockopt(end, SOL_SOCKET, SO_RCVBUF, &size, 4)
        }
        return ends
      }
    }

    func strike(_ far: consuming Descriptor) throws {
      switch self {
      case .closed: break
      case .shut: _ = far.withFileDescriptor { shutdown($0.rawValue, CInt(SHUT_RDWR)) }
      case .reset:
        try far.withFileDescriptor { number throws(Errno) in try Syscall.setReset(onClosing: number, true) }
      }
    }
  }

  /// Whatever it did not accept is still there, and goes on where it stopped, to another descriptor.
  @Test(arguments: Way.allCases, Fault.allCases)
  func `what a vanished peer did not take goes to the next`(_ way: Way, _ fault: Fault) async throws {
    let fan = try FanOut(way.body)
    let (good, bad) = (try fan.attach(), try fan.attach(comesAgain: true))
    let file = try TemporaryFile()
    let written = good.serve(way.waiting, to: try file.open(.writeOnly).release())
    var peer = try fault.make()
    let far = peer.giveFar()
    let striking = onThread {
      let far = Descriptor(owning: far)
      let got = try far.read(exactly: 100_000)
      try fault.strike(far)
      return got
    }
    let failing = bad.serve(way.waiting, to: peer.giveNear())
    var source = try Ends.unix()
    let near = source.giveNear()
    let stream = content
    let feeding = onThread { try Descriptor(owning: near).writeAll(stream) }
    let sourceEnd = source.giveFar()
    let flow = Task(executorPreference: MayBlock.threads) {
      try await fan.run(way.waiting, from: Descriptor(owning: sourceEnd))
      fan.finish()
    }

    // The flow stands still meanwhile: a sink that is waited for is waited for.
    #expect([.sink(.brokenPipe), .sink(.connectionReset)].contains(await failing.value))
    #expect(try striking.join() == Array(content[..<100_000]))
    let taken = Int(bad.counters.delivered)
    #expect(taken >= 100_000)
    var next = try Ends.unix()
    let nextFar = next.giveFar()
    let reading = onThread { try Descriptor(owning: nextFar).readToEnd() }
    let rest = bad.serve(way.waiting, to: next.giveNear())
    #expect(await rest.value == nil)
    #expect(try reading.join() == Array(content[taken...]))
    try feeding.join()
    try await flow.value
    #expect(await written.value == nil)
    #expect(try file.contents == content)
    #expect(bad.counters.delivered == UInt64(content.count) && bad.counters.lag == 0)
  }

  /// A peer that has said all it has to say may still listen.
  @Test(arguments: Way.allCases)
  func `a half-closed peer gets everything`(_ way: Way) async throws {
    let fan = try FanOut(way.body)
    let peers = try [Ends.Kind.tcp, .unix].map { kind in
      var peer = try Ends.make(kind)
      try peer.far.halfClose()
      let far = peer.giveFar()
      return (
        onThread { try Descriptor(owning: far).readToEnd() },
        try fan.attach().serve(way.waiting, to: peer.giveNear())
      )
    }
    let part = Array(content[..<40_000])
    let source = try TemporaryFile(part)
    try await fan.run(way.waiting, from: source.open(.readOnly))
    fan.finish()
    for (reading, serving) in peers {
      #expect(await serving.value == nil)
      #expect(try reading.join() == part)
    }
  }

  /// Byte by byte, with the stream at its full speed beside it.
  @Test(arguments: Way.allCases)
  func `what a crawling reader misses is counted`(_ way: Way) async throws {
    let fan = try FanOut(way.body, alignedTo: 188)
    let (good, slow) = (try fan.attach(), try fan.attach(.skip))
    let file = try TemporaryFile()
    let written = good.serve(way.waiting, to: try file.open(.writeOnly).release())
    var peer = try Ends.unix()
    let far = peer.giveFar()
    let crawling = onThread {
      let far = Descriptor(owning: far)
      var got: [UInt8] = []
      for _ in 0..<1000 { got += try far.read(exactly: 1) }
      return got + (try far.readToEnd())
    }
    let serving = slow.serve(way.waiting, to: peer.giveNear())
    let source = try TemporaryFile(content)
    try await fan.run(way.waiting, from: source.open(.readOnly))
    fan.finish()
    #expect(await [written.value, serving.value] == [nil, nil])
    #expect(try file.contents == content)
    let got = try crawling.join()
    let counters = slow.counters
    #expect(got.count == Int(counters.delivered))
    #expect(counters.delivered + counters.skipped == UInt64(content.count))
    #expect(try #require(parts(of: got, in: content, from: 0, alignedTo: 188)).count <= counters.gaps + 1)
  }

  /// An error on the way past `finish()`, say: what may not be whole never ends as if it were.
  @Test(arguments: Way.allCases)
  func `a fan-out that goes away has ended nothing`(_ way: Way) async throws {
    var fan: FanOut? = try FanOut(way.body)
    let sinks = [try #require(fan).attach(), try #require(fan).attach(.skip)]
    let serving = try sinks.map { sink in
      sink.serve(way.waiting, to: try TemporaryFile().open(.writeOnly).release())
    }
    try await fan?.run(way.waiting, from: TemporaryFile(bytes(10)).open(.readOnly))
    fan = nil
    for task in serving { #expect(await task.value == .pipe(.badMessage)) }
  }

  /// Nobody is waited for any more: the stream runs at the speed of its source, past those that remain.
  @Test(arguments: Way.allCases)
  func `the last sink that is waited for may leave`(_ way: Way) async throws {
    let fan = try FanOut(way.body)
    var waited: FanOut.Sink? = try fan.attach()
    let stalled = try fan.attach(.skip)
    let source = try TemporaryFile(content)
    let flow = Task(executorPreference: MayBlock.threads) {
      try await fan.run(way.waiting, from: source.open(.readOnly))
      fan.finish()
    }
    try waitUntil("it is waited for") { waited?.counters.waits != 0 }
    #expect(fan.position < content.count)
    waited = nil
    try await flow.value
    #expect(fan.position == content.count)
    // It lagged when the source ended, and gets all that it has not missed.
    var peer = try Ends.unix()
    let far = peer.giveFar()
    let reading = onThread { try Descriptor(owning: far).readToEnd() }
    #expect(await stalled.serve(way.waiting, to: peer.giveNear()).value == nil)
    let got = try reading.join()
    #expect(got.count == Int(stalled.counters.delivered) && got == Array(content[..<got.count]))
    #expect(stalled.counters.skipped == UInt64(content.count - got.count) && stalled.counters.gaps == 1)
  }
}

extension FanOutFaultTests {
  /// The largest unit there can be leaves room for the rest of it, however small the pieces it comes in.
  @Test(arguments: SplicePipe.Storage.allCases) func `the largest unit comes in small pieces`(
    _ storage: SplicePipe.Storage
  ) async throws {
    #expect(throws: Errno.invalidArgument) { try FanOut(storage, alignedTo: 61_441) }
    struct Pieces: SpliceSource {
      var left: Int
      mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
        let count = min(left, 977)
        left -= count
        return count == 0 ? .endOfFile : try pipe.write([UInt8](repeating: 7, count: count))
      }
    }
    let fan = try FanOut(storage, alignedTo: 61_440)
    let (sink, got) = (try fan.attach(), try TemporaryFile())
    async let serving = sink.drain(to: got.open(.writeOnly))
    var source = Pieces(left: 200_000)
    #expect(try await fan.fill(from: &source) == 200_000)
    fan.finish()
    #expect(try await serving == 200_000)
    #expect(try got.contents == [UInt8](repeating: 7, count: 200_000))
  }
}

extension FanOut {
  fileprivate func run(_ waiting: Waiting, from source: borrowing Descriptor) async throws(SpliceError) {
    switch waiting {
    case .async: try await fill(from: source)
    case .blocking: try fill(from: source, waitingIn: .poll)
    }
  }
}

/// Each in a process of its own, which has its descriptors for itself.
@Suite struct FanOutLimitTests {
  @Test func `a thousand sinks come and go`() async {
    await #expect(processExitsWith: .success) {
      let open = { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
      // What the runtime and the library open once.
      let warm = try FanOut()
      let first = try warm.attach()
      let null = try Descriptor(owning: FileDescriptor.open("/dev/null", .writeOnly))
      warm.finish()
      try await first.drain(to: null)
      // Its timers have a descriptor for each clock.
      try await Task.sleep(for: .milliseconds(1))
      try await Task.sleep(nanoseconds: 1)
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      limit.rlim_cur = limit.rlim_max
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let before = try open()
      let content = bytes(1_000_000, seed: 1)
      do {
        let fan = try FanOut()
        let work = try (0..<1000).map { index in
          let sink = try fan.attach(index.isMultiple(of: 3) ? .skip : .wait)
          return Task {
            let null = try Descriptor(owning: FileDescriptor.open("/dev/null", .writeOnly))
            return try await sink.drain(to: null) + sink.counters.skipped
          }
        }
        let source = try Ends.unix()
        let near = try source.near.duplicate()
        let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
        try await fan.fill(from: source.far, upTo: 1_000_000)
        try feeding.join()
        fan.finish()
        for task in work { #expect(try await task.value == 1_000_000) }
      }
      // A task's own are let go a little after its value is there.
      for _ in 0..<10_000 where try open() != before { usleep(1000) }
      #expect(try open() == before)
    }
  }

  /// A disk that is full: who needs what was not written to it is let go, and got everything up to there.
  @Test func `a recording that ends early loses its readers where it ends`() async {
    await #expect(processExitsWith: .success) {
      // No file may be larger, which is said as EFBIG.
      let room = 1_000_000
      signal(SIGXFSZ, SIG_IGN)
      var limit = rlimit(rlim_cur: rlim_t(room), rlim_max: rlim_t(room))
      setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
      let content = bytes(3_000_000, seed: 21)
      for way in Way.allCases {
        let disk = try TemporaryFile()
        let fan = try FanOut(way.body)
        let good = try fan.attach()
        var peer = try Ends.unix()
        let far = peer.giveFar()
        let whole = onThread { try Descriptor(owning: far).readToEnd() }
        let written = good.serve(way.waiting, to: peer.giveNear())
        let (viewer, recorded) = try {
          let recorder = try fan.attach()
          let recording = try FanOut.Recording(disk.open(.readOnly), writtenBy: recorder)
          let end = try disk.open(.writeOnly).release()
          let task = Task {
            let failure = await recorder.serve(way.waiting, to: end).value
            return (failure, recorder.counters.delivered)
          }
          return (try fan.attach(.replay(recording)), task)
        }()
        var source = try Ends.unix()
        let near = source.giveNear()
        let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
        try await fan.run(way.waiting, from: source.far)
        fan.finish()
        try feeding.join()
        let (failure, kept) = await recorded.value
        #expect(failure == .sink(.fileTooLarge) && kept == room)
        #expect(await written.value == nil)
        #expect(try whole.join() == content)

        // Nobody has served it yet: all of the stream is before it.
        var next = try Ends.unix()
        let nextFar = next.giveFar()
        let reading = onThread { try Descriptor(owning: nextFar).readToEnd() }
        #expect(await viewer.serve(way.waiting, to: next.giveNear()).value == .pipe(.noBufferSpace))
        #expect(viewer.reason == .recordingLost && viewer.counters.delivered == room)
        #expect(try reading.join() == Array(content[..<room]))
      }
    }
  }

  @Test func `where no descriptor is left, a sink is attached all the same`() async {
    await #expect(processExitsWith: .success) {
      let fan = try FanOut()
      let (file, second) = (try TemporaryFile(), try TemporaryFile())
      let source = try TemporaryFile(bytes(500_000, seed: 2)).open(.readOnly)
      let end = try file.open(.writeOnly)
      let otherEnd = try second.open(.writeOnly).release()
      var taken: [FileDescriptor] = []
      while let next = try? FileDescriptor.open("/dev/null", .readOnly) { taken.append(next) }
      // Their bytes are in memory on their way.
      let (poor, other) = (try fan.attach(comesAgain: true), try fan.attach())
      // To wait for the stream and for a descriptor at once takes one: nothing is lost, and it goes on when
      // there is.
      #expect(throws: SpliceError.pipe(.tooManyOpenFiles)) {
        try poor.drain(to: end, waitingIn: .poll)
      }
      for one in taken { try one.close() }
      let flow = onThread { try fan.fill(from: source, waitingIn: .poll) }
      let serving = other.serve(.blocking, to: otherEnd)
      let first = onThread { try poor.drain(to: end, waitingIn: .poll) }
      #expect(try flow.join() == 500_000)
      fan.finish()
      #expect(try first.join() == 500_000)
      #expect(await serving.value == nil)
      #expect(try file.contents == second.contents && file.contents == bytes(500_000, seed: 2))
    }
  }
}
