// One source, many sinks: what each gets is exactly known.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

extension FanOut {
  @discardableResult
  func fill(
    _ waiting: Waiting, from source: borrowing Descriptor
  ) async throws(SpliceError) -> UInt64 {
    switch waiting {
    case .async: try await fill(from: source)
    case .blocking: try fill(from: source, waitingIn: .poll)
    }
  }
}

extension FanOut.Sink {
  @discardableResult
  func drain(
    _ waiting: Waiting, to sink: borrowing Descriptor
  ) async throws(SpliceError) -> UInt64 {
    switch waiting {
    case .async: try await drain(to: sink)
    case .blocking: try drain(to: sink, waitingIn: .poll)
    }
  }
}

/// Where the parts of a stream that somebody got are in it; nil when they are nowhere, or not cut at the
/// alignment.
func parts(of got: [UInt8], in content: [UInt8], from start: Int, alignedTo alignment: Int) -> [Range<Int>]? {
  let stream = Data(content)
  return got.withUnsafeBytes { got in
    content.withUnsafeBytes { content in
      var parts: [Range<Int>] = []
      var (here, index) = (start, 0)
      while index < got.count {
        // Random bytes: so many of them are in one place.
        let clue = min(16, got.count - index)
        if memcmp(content.baseAddress! + here, got.baseAddress! + index, min(clue, content.count - here)) != 0
          || content.count - here < clue
        {
          let clue = Data(bytes: got.baseAddress! + index, count: clue)
          guard let place = stream.range(of: clue, in: here..<stream.count) else { return nil }
          here = place.lowerBound
        }
        var (low, high) = (1, min(content.count - here, got.count - index))
        // How far they go on alike.
        while low < high {
          let middle = (low + high + 1) / 2
          if memcmp(content.baseAddress! + here, got.baseAddress! + index, middle) == 0 {
            low = middle
          } else {
            high = middle - 1
          }
        }
        // What follows a gap may begin like what is missing, by chance.
        if index + low < got.count { low -= (here + low) % alignment }
        if low <= 0 { return nil }
        if let last = parts.last, last.upperBound == here {
          parts[parts.count - 1] = last.lowerBound..<here + low
        } else {
          parts.append(here..<here + low)
        }
        index += low
        here += low
      }
      return parts
    }
  }
}

@Suite(.mayBlock) struct FanOutTests {
  @Test(arguments: Way.allCases, Ends.Kind.allCases)
  func `every sink gets the stream`(_ way: Way, _ kind: Ends.Kind) async throws {
    let content = bytes(1_500_000, seed: 3)
    let fan = try FanOut(way.body)
    var source = try Ends.make(kind)
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let file = try TemporaryFile()
    var work: [Work<[UInt8]>] = []
    let served = try await withThrowingTaskGroup(of: UInt64.self) { tasks in
      for kind in Ends.Kind.allCases {
        var ends = try Ends.make(kind)
        let (near, far) = (ends.giveNear(), ends.giveFar())
        work.append(onThread { try Descriptor(owning: far).readToEnd() })
        let sink = try fan.attach()
        tasks.addTask { try await sink.drain(way.waiting, to: Descriptor(owning: near)) }
      }
      let sink = try fan.attach()
      tasks.addTask { try await sink.drain(way.waiting, to: file.open(.writeOnly)) }
      try await fan.fill(way.waiting, from: source.far)
      fan.finish()
      return try await tasks.reduce(into: []) { $0.append($1) }
    }
    try feeding.join()
    #expect(served == [1_500_000, 1_500_000, 1_500_000, 1_500_000])
    #expect(fan.position == 1_500_000)
    #expect(try file.contents == content)
    for work in work { #expect(try work.join() == content) }
  }

  @Test(arguments: Way.allCases)
  func `a stalled sink that may skip holds nobody up`(_ way: Way) async throws {
    let content = bytes(4_000_000, seed: 4)
    let fan = try FanOut(way.body, alignedTo: 188)
    let source = try TemporaryFile(content).open(.readOnly)
    let stalled = try Ends.unix()
    let good = try TemporaryFile()
    let (slow, fast) = (try fan.attach(.skip), try fan.attach())
    let near = try stalled.near.duplicate()
    let serving = Task(executorPreference: MayBlock.threads) {
      try await slow.drain(way.waiting, to: Descriptor(owning: near))
    }
    let writing = Task(executorPreference: MayBlock.threads) {
      try await fast.drain(way.waiting, to: good.open(.writeOnly))
    }
    try await fan.fill(way.waiting, from: source)
    fan.finish()
    #expect(try await writing.value == 4_000_000)
    #expect(try good.contents == content)
    let before = slow.counters
    #expect(before.skipped > 0 && before.gaps >= 1 && before.largestLag > 0 && fast.counters.skipped == 0)
    // What it did not miss, it still gets.
    let got = try stalled.far.read(exactly: 4_000_000 - Int(before.skipped))
    #expect(try await serving.value == UInt64(got.count))
    let found = try #require(parts(of: got, in: content, from: 0, alignedTo: 188))
    for part in found.dropLast() { #expect(part.lowerBound % 188 == 0 && part.upperBound % 188 == 0) }
    #expect(found.reduce(0) { $0 + $1.count } == got.count)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a limit is kept when a splice is continued`(_ body: SplicePipe.Storage) throws {
    let limit: UInt64 = 2_000_000
    let fan = try FanOut(body)
    let sink = try fan.attach(seesTheSame: true)
    let zero = Descriptor(owning: try Syscall.open("/dev/zero", flags: O_RDONLY))
    // Nobody drains the sink, so the deadline finds bytes in the inlet that were taken and not handed out.
    #expect(throws: SpliceError.timedOut) {
      try fan.fill(from: zero, upTo: limit, waitingIn: BlockingWait(until: .now + .milliseconds(50)))
    }
    #expect(fan.receivedBy.total > fan.position)
    let null = try Syscall.open("/dev/null", flags: O_WRONLY)
    let writing = onThread { try sink.drain(to: Descriptor(owning: null), waitingIn: BlockingWait()) }
    try fan.fill(from: zero, upTo: limit - fan.position, waitingIn: BlockingWait(until: .now + .seconds(60)))
    fan.finish()
    #expect(try writing.join() == limit)
    #expect(fan.position == limit && fan.receivedBy.total == limit)
  }

  @Test(arguments: Way.allCases)
  func `a stalled sink that may be let go is let go`(_ way: Way) async throws {
    let content = bytes(4_000_000, seed: 5)
    let fan = try FanOut(way.body)
    let source = try TemporaryFile(content).open(.readOnly)
    let stalled = try Ends.unix()
    let good = try TemporaryFile()
    let (slow, fast) = (try fan.attach(.detach()), try fan.attach())
    let near = try stalled.near.duplicate()
    let serving = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      do throws(SpliceError) {
        _ = try await slow.drain(way.waiting, to: Descriptor(owning: near))
        return nil
      } catch { return error }
    }
    let writing = Task(executorPreference: MayBlock.threads) {
      try await fast.drain(way.waiting, to: good.open(.writeOnly))
    }
    try await fan.fill(way.waiting, from: source)
    fan.finish()
    #expect(try await writing.value == 4_000_000)
    #expect(await serving.value == .pipe(.noBufferSpace))
    let counters = slow.counters
    guard case .tooSlow(let lag) = slow.reason else {
      Issue.record("let go: \(String(describing: slow.reason))")
      return
    }
    // What its task was handing to the socket at that moment has arrived since.
    #expect(lag > 0 && lag >= counters.lag)
    // A prefix, and it is known which.
    let got = try stalled.far.read(exactly: Int(counters.delivered))
    #expect(got == Array(content[..<got.count]))
  }

  /// Without a byte that goes by: also a tap that comes and goes while nothing is shown to it costs nothing.
  @Test(arguments: Way.allCases)
  func `a sink that leaves is forgotten at once`(_ way: Way) throws {
    let fan = try FanOut(way.body)
    func known() -> Int { fan.state.withLock { $0.branches.count } }
    let stays = try fan.attach()
    let before = known()
    let detached = try fan.attach(.skip)
    detached.detach()
    #expect(known() == before)
    do { _ = try fan.attach(.detach()) }
    #expect(known() == before)
    // Once, however often it is told to.
    detached.detach()
    stays.detach()
    #expect(known() == 0)
  }

  @Test func `of many sinks that have everything few hold a pipe`() async throws {
    let content = bytes(1_000_000, seed: 12)
    let fan = try FanOut()
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let sinks = try (0..<40).map { _ in try fan.attach() }
    let serving = try sinks.map { sink in
      let file = try TemporaryFile()
      return Task(executorPreference: MayBlock.threads) {
        _ = try await sink.drain(to: file.open(.writeOnly))
        return try file.contents
      }
    }
    try await fan.fill(from: source.far)
    try feeding.join()
    while sinks.contains(where: { $0.counters.delivered < 1_000_000 }) { await Task.yield() }
    #expect(fan.pool.counters.lent <= FanOut.keptPipes && fan.pool.counters.idle <= FanOut.keptPipes)
    fan.finish()
    for file in serving { #expect(try await file.value == content) }
  }

  /// A small message takes a slot of a pipe, as a page does.
  @Test(arguments: SplicePipe.Storage.allCases)
  func `where the slots of a pipe run out nothing is lost`(_ body: SplicePipe.Storage) throws {
    let content = bytes(14_000, seed: 14)
    let fan = try FanOut(body)
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread {
      let near = Descriptor(owning: near)
      for start in stride(from: 0, to: content.count, by: 7) {
        try near.writeAll(Array(content[start..<start + 7]))
      }
    }
    let sinks = try (0..<3).map { _ in try fan.attach() }
    // Nobody serves them yet, and they have room for all of it.
    try fan.fill(from: source.far, waitingIn: .poll)
    try feeding.join()
    fan.finish()
    for sink in sinks {
      let file = try TemporaryFile()
      try sink.drain(to: file.open(.writeOnly), waitingIn: .poll)
      #expect(try file.contents == content && sink.counters.waits == 0)
    }
  }

  /// Pipes are lent whole, or not at all: what has none goes through memory.
  @Test func `past the budget of pipes nothing is lost`() throws {
    let content = bytes(400_000, seed: 13)
    let fan = try FanOut(pieceSize: 1 << 20)
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let sinks = try (0..<80).map { _ in try fan.attach() }
    // Nobody serves them yet.
    try fan.fill(from: source.far, waitingIn: .poll)
    try feeding.join()
    fan.finish()
    #expect(fan.pool.counters.refused > 0 && fan.pool.counters.bytes <= FanOut.budget)
    for sink in sinks {
      let file = try TemporaryFile()
      try sink.drain(to: file.open(.writeOnly), waitingIn: .poll)
      #expect(try file.contents == content)
    }
    #expect(fan.pool.counters.lent <= FanOut.keptPipes)
  }

  /// What goes through memory is as dense as in a pipe that is written to.
  @Test func `small messages for those without a pipe are put together`() throws {
    let content = bytes(2000, seed: 15)
    let fan = try FanOut(pieceSize: 1 << 20)
    let source = try Ends.unix()
    let sinks = try (0..<70).map { _ in try fan.attach() }
    for byte in content {
      try source.near.writeAll([byte])
      try fan.fill(from: source.far, upTo: 1, waitingIn: .poll)
    }
    let last = sinks[69]
    #expect(
      last.branch.monitor.withState { $0.pipe.rings.kernel == nil && $0.pipe.rings.memory.ring.used <= 1 })
    fan.finish()
    let file = try TemporaryFile()
    try last.drain(to: file.open(.writeOnly), waitingIn: .poll)
    #expect(try file.contents == content)
  }

  @Test(arguments: Way.allCases)
  func `a sink that cannot keep up reads the recording`(_ way: Way) async throws {
    let content = bytes(6_000_000, seed: 6)
    let fan = try FanOut(way.body)
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let file = try TemporaryFile()
    let recorder = try fan.attach()
    let recording = try FanOut.Recording(file.open(.readOnly), writtenBy: recorder)
    let viewer = try fan.attach(.replay(recording))
    let recorded = Task(executorPreference: MayBlock.threads) {
      try await recorder.drain(way.waiting, to: file.open(.writeOnly))
    }
    var ends = try Ends.unix()
    let (sinkEnd, far) = (ends.giveNear(), ends.giveFar())
    let viewed = Task(executorPreference: MayBlock.threads) {
      try await viewer.drain(way.waiting, to: Descriptor(owning: sinkEnd))
    }
    let reading = onThread {
      var random = Random(seed: 9)
      var got: [UInt8] = []
      let far = Descriptor(owning: far)
      while got.count < content.count {
        // Stops for a while, and then takes what it gets.
        if Int.random(in: 0..<20, using: &random) == 0 { usleep(2000) }
        got += try far.read(
          exactly: min(Int.random(in: 1...100_000, using: &random), content.count - got.count))
      }
      // To the end: a viewer who hangs up before it is said would be one that has gone.
      return try got + far.readToEnd()
    }
    try await fan.fill(way.waiting, from: source.far)
    fan.finish()
    try feeding.join()
    #expect(try await recorded.value == 6_000_000)
    #expect(try await viewed.value == 6_000_000)
    #expect(try reading.join() == content)
    #expect(viewer.counters.skipped == 0 && viewer.counters.lag == 0)
  }

  @Test(arguments: Way.allCases)
  func `when all sinks have gone, the source is read no further`(_ way: Way) async throws {
    let fan = try FanOut(way.body)
    let source = try Ends.unix()
    var sink: FanOut.Sink? = try fan.attach()
    try source.near.writeAll(bytes(10))
    let far = try source.far.duplicate()
    let running = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      do throws(SpliceError) {
        try await fan.fill(way.waiting, from: Descriptor(owning: far))
        return nil
      } catch { return error }
    }
    try waitUntil("the first bytes") { fan.position >= 10 }
    // It waits for a silent source, and hears of it all the same.
    #expect(sink?.counters.lag == 10)
    sink = nil
    #expect(await running.value == .sink(.brokenPipe))
  }

  /// One that was let go has gone as well as one that left, and a silent source keeps nobody from hearing of
  /// it.
  @Test(arguments: Way.allCases, [false, true])
  func `when all sinks were let go, the source is read no further`(
    _ way: Way, _ losesRecording: Bool
  ) async throws {
    let fan = try FanOut(way.body)
    let file = try TemporaryFile()
    let source = try Ends.unix()
    let far = try source.far.duplicate()
    var recorder: FanOut.Sink? = try fan.attach()
    let recording = try FanOut.Recording(file.open(.readOnly), writtenBy: #require(recorder))
    let viewer = try fan.attach(.replay(recording))
    let content = bytes(600_000, seed: 3)
    let near = try source.near.duplicate()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let running = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      do throws(SpliceError) {
        try await fan.fill(way.waiting, from: Descriptor(owning: far))
        return nil
      } catch { return error }
    }
    // The viewer's own pipe is full by then, and what it needs next is not recorded.
    let writing = recorder.map { recorder in
      Task(executorPreference: MayBlock.threads) {
        var hand = try SplicePipe(.memory, capacity: 1 << 20)
        while recorder.counters.delivered < 600_000 {
          _ = try recorder.fill(&hand, waitingIn: .poll)
          try hand.discard()
        }
      }
    }
    try await writing?.value
    try feeding.join()
    #expect(fan.position == 600_000)
    if losesRecording {
      // Nothing was written to the file.
      recorder = nil
      var pipe = try SplicePipe(.memory, capacity: 1 << 20)
      #expect(throws: SpliceError.pipe(.noBufferSpace)) {
        while true {
          _ = try viewer.fill(&pipe, waitingIn: .poll)
          try pipe.discard()
        }
      }
      #expect(viewer.reason == .recordingLost)
    } else {
      fan.invalidate()
    }
    #expect(await running.value == .sink(.brokenPipe))
    _ = recorder
  }

  @Test(arguments: SplicePipe.Storage.allCases, [1, 188])
  func `Swift code is a source too`(_ body: SplicePipe.Storage, _ alignment: Int) async throws {
    let content = bytes(700_001, seed: 7)
    let fan = try FanOut(body, alignedTo: alignment)
    let files = (try TemporaryFile(), try TemporaryFile())
    let (one, two) = (try fan.attach(), try fan.attach())
    let first = Task(executorPreference: MayBlock.threads) {
      try await one.drain(to: files.0.open(.writeOnly))
    }
    let second = Task(executorPreference: MayBlock.threads) {
      try await two.drain(to: files.1.open(.writeOnly))
    }
    let parts = AsyncStream<PipeSegment> { stream in
      for start in stride(from: 0, to: content.count, by: 33_333) {
        stream.yield(PipeSegment(copying: content[start..<min(start + 33_333, content.count)].span.bytes))
      }
      stream.finish()
    }
    var source = SequenceSource(parts)
    #expect(try await fan.fill(from: &source) == 700_001)
    fan.finish()
    #expect(try await [first.value, second.value] == [700_001, 700_001])
    #expect(try files.0.contents == content)
    #expect(try files.1.contents == content)
  }

  @Test(arguments: SplicePipe.Storage.allCases, [1, 188])
  func `the end of a pipe is a source too`(_ body: SplicePipe.Storage, _ alignment: Int) throws {
    let content = bytes(700_001, seed: 7)
    let fan = try FanOut(body, alignedTo: alignment)
    let ends = try SplicePipe(.memory, capacity: 65_536).split()
    let (reader, writer) = (Box(ends.reader), Box(ends.writer))
    let file = try TemporaryFile()
    let sink = try fan.attach()
    let writing = onThread { try sink.drain(to: file.open(.writeOnly), waitingIn: .poll) }
    let source = try TemporaryFile(content)
    let feeding = onThread {
      var writer = writer.take()
      return try writer.fill(from: source.open(.readOnly), waitingIn: .poll)
    }
    var end = reader.take()
    #expect(try fan.fill(from: &end, waitingIn: .poll) == 700_001)
    fan.finish()
    #expect(try feeding.join() == 700_001)
    #expect(try writing.join() == 700_001)
    #expect(fan.receivedBy.total == 700_001)
    #expect(try file.contents == content)
  }

  /// Past the user's budget a sink has no pipe of the kernel: it gets a copy, one for all such.
  @Test(arguments: Waiting.allCases)
  func `a sink without a pipe of the kernel gets a copy`(_ waiting: Waiting) async throws {
    let content = bytes(1_000_000, seed: 8)
    let fan = try FanOut()
    let files = (try TemporaryFile(), try TemporaryFile(), try TemporaryFile())
    let poor = (try fan.attach(.wait, storage: .memory), try fan.attach(.wait, storage: .memory))
    let rich = try fan.attach()
    var source = try Ends.tcp()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let first = Task(executorPreference: MayBlock.threads) {
      try await poor.0.drain(waiting, to: files.0.open(.writeOnly))
    }
    let second = Task(executorPreference: MayBlock.threads) {
      try await poor.1.drain(waiting, to: files.1.open(.writeOnly))
    }
    let third = Task(executorPreference: MayBlock.threads) {
      try await rich.drain(waiting, to: files.2.open(.writeOnly))
    }
    try await fan.fill(waiting, from: source.far)
    fan.finish()
    try feeding.join()
    #expect(try await [first.value, second.value, third.value] == [1_000_000, 1_000_000, 1_000_000])
    #expect(try [files.0.contents, files.1.contents, files.2.contents] == [content, content, content])
  }

  @Test(arguments: [1, 50, 99, 100, 250])
  func `the last bytes of a limit go out, whatever the unit`(_ limit: Int) async throws {
    let content = bytes(1000)
    for next in NextSource.allCases {
      let fan = try FanOut(alignedTo: 100)
      let sink = try fan.attach()
      var ends = try Ends.unix()
      let near = ends.giveNear()
      let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
      switch next {
      case .file:
        try await fan.fill(from: TemporaryFile(content).open(.readOnly), upTo: UInt64(limit))
      case .socket: try await fan.fill(from: ends.far, upTo: UInt64(limit))
      case .code:
        let (stream, continuation) = AsyncStream.makeStream(of: PipeSegment.self)
        continuation.yield(PipeSegment(copying: content.span.bytes))
        continuation.finish()
        var source = SequenceSource(stream)
        try await fan.fill(from: &source, upTo: UInt64(limit))
      case .reader:
        var pipe = try SplicePipe()
        try pipe.write(content)
        let split = pipe.split()
        var reader = split.reader
        try fan.fill(from: &reader, upTo: UInt64(limit), waitingIn: .poll)
      }
      fan.finish()
      var got = try SplicePipe(.memory, capacity: 1 << 20)
      while try sink.fill(&got, waitingIn: .poll) != .endOfFile {}
      #expect(try got.contents() == Array(content[..<limit]), "\(next)")
      try feeding.join()
    }
  }
}
