// A file that each sink reads by itself: what an interrupted call, a cut file, a sink that leaves and a disk
// that fails make of it.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// What comes after a file whose sinks were still reading it when the call ended.
enum NextSource: CaseIterable {
  case file, socket, code, reader
}

@Suite(.mayBlock) struct CommonFileTests {
  private let content = bytes(4 << 20, seed: 21)
  private let cut: UInt64 = 1 << 20

  // MARK: - What is on its way

  /// Bytes of a shared file are in the sink's hand, its peer reads nothing, and the stream is declared bad.
  @Test(arguments: Waiting.allCases)
  func `a bad stream ends a sink whose peer does not read`(_ waiting: Waiting) async throws {
    let fan = try FanOut()
    let sink = try fan.attach()
    var ends = try Ends.unix()
    let peer = try ends.near.duplicate()
    defer { try? Syscall.close(peer) }
    let near = ends.giveNear()
    let serving = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      do throws(SpliceError) {
        try await sink.drain(waiting, to: Descriptor(owning: near))
        return nil
      } catch { return error }
    }
    try await fan.lend(waiting, TemporaryFile(content).open(.readOnly))
    try waitUntil("the socket is full") { try !Syscall.isReady(peer, POLLOUT) }
    try waitUntil("that is counted") { sink.counters.delivered > 0 }
    let delivered = sink.counters.delivered
    fan.invalidate()
    #expect(await serving.value == .pipe(.badMessage))
    #expect(sink.counters.delivered == delivered)
  }

  /// A call from Swift code is cancelled while a sink has no room: what it had taken comes before what the
  /// next call takes.
  @Test func `what was taken from code is handed out by the next call`() async throws {
    let fan = try FanOut()
    let sink = try fan.attach()
    let taken = Locked(0)
    let giving = Task(executorPreference: MayBlock.threads) { [content] in
      var source = Pieces(of: content, taken)
      _ = try await fan.fill(from: &source)
    }
    try waitUntil("a sink has no room") { taken.withLock { $0 } > Int(fan.position) && fan.position > 0 }
    giving.cancel()
    await #expect(throws: SpliceError.cancelled) { try await giving.value }
    let serving = onThread {
      var pipe = try SplicePipe(.memory, capacity: 8 << 20)
      while try sink.fill(&pipe, waitingIn: .poll) != .endOfFile {}
      return try pipe.contents()
    }
    var source = Pieces(of: content, taken)
    try await fan.fill(from: &source)
    fan.finish()
    let isWhole = try serving.join() == content
    #expect(isWhole)
  }

  /// An archive misses a part of a cut file that another sink had read: its file is not where the stream
  /// would be.
  @Test func `a recording with a gap is read no further`() async throws {
    let file = try TemporaryFile(content)
    let source = try file.open(.readOnly)
    let fan = try FanOut()
    let (archive, other) = (try fan.attach(), try fan.attach())
    let out = try TemporaryFile()
    let recording = try FanOut.Recording(out.open(.readOnly), writtenBy: archive)
    try await fan.lend(.blocking, source)
    func reading(_ sink: FanOut.Sink, until end: UInt64 = .max) -> Work<[UInt8]> {
      onThread {
        var pipe = try SplicePipe(.memory, capacity: 32 << 20)
        while sink.position < end, try sink.fill(&pipe, waitingIn: .poll) != .endOfFile {}
        return try pipe.contents()
      }
    }
    _ = try reading(other, until: UInt64(content.count)).join()
    #expect(truncate(file.path.string, off_t(cut)) == 0)
    let writing = onThread { try archive.drain(to: out.open(.writeOnly), waitingIn: .poll) }
    #expect(throws: SpliceError.truncated(missing: UInt64(content.count) - cut)) {
      try fan.fill(from: source, waitingIn: .poll)
    }
    let viewer = try fan.attach(.replay(recording))
    let rest = reading(other)
    try fan.fill(from: TemporaryFile(bytes(12 << 20, seed: 77)).open(.readOnly), waitingIn: .poll)
    fan.finish()
    _ = (try writing.join(), try rest.join())
    #expect(throws: SpliceError.pipe(.noBufferSpace)) { try reading(viewer).join() }
    #expect(viewer.reason == .recordingLost)
  }

  // MARK: - Interrupted

  /// The first file is read from a call whose deadline has passed, with nobody to serve the sink.
  @Test(arguments: Waiting.allCases, NextSource.allCases)
  func `an interrupted file goes out before the next source`(
    _ waiting: Waiting, _ next: NextSource
  ) async throws {
    let file = try TemporaryFile(content)
    let source = try file.open(.readOnly)
    let fan = try FanOut()
    let sink = try fan.attach()
    try await fan.lend(waiting, source)
    let out = try TemporaryFile()
    let more = bytes(2 << 20, seed: 2)
    let serving = Task(executorPreference: MayBlock.threads) {
      try await sink.drain(to: out.open(.writeOnly))
    }
    #expect(try await splice(more, as: next, waiting, by: fan) >= more.count)
    fan.finish()
    #expect(try await serving.value == UInt64(content.count + more.count))
    let isWhole = try out.contents == content + more
    #expect(isWhole)
    // The offset is that of the file that is shared.
    #expect(source.offset == Int64(content.count))
    #expect(fan.position == UInt64(content.count + more.count))
  }

  private func splice(
    _ more: [UInt8], as next: NextSource, _ waiting: Waiting, by fan: FanOut
  ) async throws -> UInt64 {
    switch next {
    case .file: return try await fan.fill(waiting, from: TemporaryFile(more).open(.readOnly))
    case .socket:
      var ends = try Ends.unix()
      let near = ends.giveNear()
      let feeding = onThread { try Descriptor(owning: near).writeAll(more) }
      defer { try? feeding.join() }
      return try await fan.fill(waiting, from: ends.far)
    case .code:
      let parts = AsyncStream<PipeSegment> { stream in
        stream.yield(PipeSegment(copying: more.span.bytes))
        stream.finish()
      }
      var source = SequenceSource(parts)
      return try await fan.fill(from: &source)
    case .reader:
      let ends = try SplicePipe(.memory, capacity: more.count).split()
      let (reader, writer) = (Box(ends.reader), Box(ends.writer))
      let feeding = onThread {
        var writer = writer.take()
        return try writer.fill(from: TemporaryFile(more).open(.readOnly), waitingIn: .poll)
      }
      defer { _ = try? feeding.join() }
      var end = reader.take()
      return try fan.fill(from: &end, waitingIn: .poll)
    }
  }

  /// Whoever asks: what is shared is in front of it.
  @Test func `nothing is handed out while a file is read`() async throws {
    let fan = try FanOut()
    let sink = try fan.attach()
    try await fan.lend(.blocking, try TemporaryFile(content).open(.readOnly))
    var inlet = try SplicePipe()
    try inlet.write([1, 2, 3])
    guard case .waits = try fan.handOut(&inlet, upTo: 3) else {
      Issue.record("it was handed out")
      return
    }
    #expect(inlet.count == 3 && sink.counters.lag == content.count)
  }

  // MARK: - Cut

  @Test func `a file that is cut is no end for Swift code`() async throws {
    let file = try TemporaryFile(content)
    let source = try file.open(.readOnly)
    let fan = try FanOut()
    let (sink, other) = (try fan.attach(comesAgain: true), try fan.attach(comesAgain: true))
    try await fan.lend(.blocking, source)
    try file.truncate(to: cut)
    #expect(try sink.read(waitingIn: BlockingWait(until: .now)) == .init(cut, .timedOut))
    #expect(try other.read(waitingIn: BlockingWait(until: .now)) == .init(cut, .timedOut))
    // The fan-out says so, before anybody may see an end.
    #expect(throws: SpliceError.truncated(missing: 3 << 20)) {
      try fan.fill(from: source, waitingIn: .poll)
    }
    #expect(fan.position == cut && source.offset == Int64(cut))
    #expect(sink.counters.skipped == 0 && sink.counters.lag == 0)
  }

  /// Nobody asks the fan-out any more.
  @Test(arguments: [false, true])
  func `the end or leaving makes no cut file whole`(_ leaves: Bool) async throws {
    let file = try TemporaryFile(content)
    let fan = try FanOut()
    let sinks = [try fan.attach(), try fan.attach()]
    try await fan.lend(.blocking, try file.open(.readOnly))
    if leaves { for sink in sinks { sink.detach() } } else { fan.finish() }
    try file.truncate(to: cut)
    let missing = SpliceError.truncated(missing: 3 << 20)
    #expect(try sinks[0].read(waitingIn: .poll) == .init(cut, missing))
    #expect(throws: missing) { try sinks[1].drain(to: TemporaryFile().open(.writeOnly), waitingIn: .poll) }
    for sink in sinks { #expect(sink.reason == .cutShort(missing) && sink.counters.delivered == cut) }
  }

  @Test func `a recording that is cut is no end for Swift code`() async throws {
    let (viewer, file) = try await recorded(bytes(3 << 20, seed: 3))
    try file.truncate(to: cut)
    let got = try viewer.read(waitingIn: .poll)
    #expect(got.error == .pipe(.noBufferSpace) && viewer.reason == .recordingLost)
    #expect(got.count >= cut && got.count < 3 << 20)
  }

  /// A viewer that has not been served while all of a stream was recorded.
  private func recorded(
    _ stream: [UInt8], readThrough mode: FileDescriptor.AccessMode = .readOnly
  ) async throws -> (FanOut.Sink, TemporaryFile) {
    let file = try TemporaryFile()
    let fan = try FanOut()
    let archive = try fan.attach()
    let recording = try FanOut.Recording(file.open(mode), writtenBy: archive)
    let viewer = try fan.attach(.replay(recording))
    let writing = onThread { try archive.drain(to: file.open(.writeOnly), waitingIn: .poll) }
    try await fan.fill(from: TemporaryFile(stream).open(.readOnly))
    fan.finish()
    #expect(try writing.join() == UInt64(stream.count))
    return (viewer, file)
  }

  /// It is attached behind the file, and moves with its end.
  @Test func `a sink that comes meanwhile misses nothing`() async throws {
    let file = try TemporaryFile(content)
    let source = try file.open(.readOnly)
    let fan = try FanOut()
    let sink = try fan.attach()
    try await fan.lend(.blocking, source)
    let late = try fan.attach(.skip)
    try file.truncate(to: cut)
    let serving = onThread { try sink.drain(to: TemporaryFile().open(.writeOnly), waitingIn: .poll) }
    #expect(throws: SpliceError.truncated(missing: 3 << 20)) {
      try fan.fill(from: source, waitingIn: .poll)
    }
    #expect(fan.position == cut && source.offset == Int64(cut) && fan.receivedBy.total == cut)
    #expect(late.start == cut && late.counters == FanOut.Counters())
    fan.finish()
    #expect(try serving.join() == cut)
    #expect(sink.counters.skipped == 0)
  }

  // MARK: - Left

  /// One that leaves has moved what it accepted, which nobody gets again; one that came meanwhile goes on
  /// there.
  @Test func `the source stands behind what those who left have accepted`() async throws {
    let source = try TemporaryFile(content).open(.readOnly)
    let fan = try FanOut()
    let (one, two) = (try fan.attach(), try fan.attach())
    try await fan.lend(.blocking, source)
    let late = try fan.attach()
    var pipe = try SplicePipe(.memory, capacity: 1 << 20)
    _ = try one.fill(&pipe, upTo: 100_000, waitingIn: .poll)
    let accepted = one.counters.delivered
    #expect(accepted > 0)
    one.detach()
    two.detach()
    #expect(throws: SpliceError.timedOut) { try fan.fill(from: source, waitingIn: BlockingWait(until: .now)) }
    #expect(late.start == accepted)
    let out = try TemporaryFile()
    let serving = onThread { try late.drain(to: out.open(.writeOnly), waitingIn: .poll) }
    try fan.fill(from: source, waitingIn: .poll)
    fan.finish()
    _ = try serving.join()
    let isWhole = try out.contents == Array(content[Int(accepted)...])
    #expect(isWhole && source.offset == Int64(content.count))
  }

  @Test(arguments: Waiting.allCases)
  func `a source stands behind the last byte that a sink that failed has accepted`(
    _ waiting: Waiting
  ) async throws {
    let source = try TemporaryFile(content).open(.readOnly)
    let fan = try FanOut()
    let sinks = [try fan.attach(), try fan.attach()]
    let full = sinks.map { sink in
      onThread {
        let full = try device("/dev/full", .writeOnly)
        #expect(throws: SpliceError.sink(.noSpace)) { try sink.drain(to: full, waitingIn: .poll) }
        sink.detach()
      }
    }
    await #expect(throws: SpliceError.sink(.brokenPipe)) { try await fan.fill(waiting, from: source) }
    for one in full { try one.join() }
    #expect(fan.position == 0 && fan.receivedBy.total == 0 && source.offset == 0)
  }

  // MARK: - Unreadable

  /// A descriptor that is not open for reading stands for a disk that fails.
  @Test(arguments: Waiting.allCases)
  func `a file that cannot be read is the sources fault`(_ waiting: Waiting) async throws {
    let source = try TemporaryFile(content).open(.writeOnly)
    let fan = try FanOut()
    let sinks = [try fan.attach(), try fan.attach()]
    let out = try TemporaryFile()
    let serving = onThread { try sinks[0].drain(to: out.open(.writeOnly), waitingIn: .poll) }
    let reading = onThread { try sinks[1].read(waitingIn: .poll) }
    await #expect(throws: SpliceError.source(.badFileDescriptor)) {
      try await fan.fill(waiting, from: source)
    }
    #expect(fan.position == 0)
    fan.finish()
    // They may have been told that it was not whole.
    #expect(try serving.join() == 0)
    #expect(try reading.join() == .init(0, nil))
  }

  @Test func `nor is it an end for those nobody asks for`() async throws {
    let fan = try FanOut()
    let sink = try fan.attach()
    try await fan.lend(.blocking, try TemporaryFile(content).open(.writeOnly))
    fan.finish()
    #expect(try sink.read(waitingIn: .poll) == .init(0, .source(.badFileDescriptor)))
    #expect(sink.reason == .cutShort(.source(.badFileDescriptor)))
  }

  @Test func `a recording that cannot be read is lost`() async throws {
    let (viewer, _) = try await recorded(bytes(3 << 20, seed: 3), readThrough: .writeOnly)
    #expect(throws: SpliceError.pipe(.noBufferSpace)) {
      try viewer.drain(to: TemporaryFile().open(.writeOnly), waitingIn: .poll)
    }
    #expect(viewer.reason == .recordingLost)
  }
}

/// How far Swift code came with a sink, and why no further; nil at the end.
private struct Got: Equatable, Sendable {
  let count: UInt64
  let error: SpliceError?

  init(_ count: UInt64, _ error: SpliceError?) { (self.count, self.error) = (count, error) }
}

extension FanOut.Sink {
  /// Takes everything as Swift code does, until the end or an error.
  fileprivate func read(waitingIn poll: BlockingWait) throws -> Got {
    var pipe = try SplicePipe(.memory, capacity: 1 << 20)
    var count: UInt64 = 0
    do throws(SpliceError) {
      while try fill(&pipe, waitingIn: poll) != .endOfFile {
        count += UInt64(pipe.count)
        do throws(Errno) { try pipe.discard() } catch { throw .pipe(error) }
      }
      return Got(count, nil)
    } catch { return Got(count, error) }
  }
}

extension FanOut {
  /// Has the sinks read a file, which is what a call does before it looks at its deadline.
  fileprivate func lend(_ waiting: Waiting, _ source: borrowing Descriptor) async throws {
    do throws(SpliceError) {
      switch waiting {
      case .async: try await fill(from: source, until: .now)
      case .blocking: try fill(from: source, waitingIn: BlockingWait(until: .now))
      }
      Issue.record("it did not wait for its sinks")
    } catch { #expect(error == .timedOut) }
    #expect(position > 0)
  }
}

extension Descriptor {
  fileprivate var offset: Int64 { withFileDescriptor { Int64(lseek($0.rawValue, 0, SEEK_CUR)) } }
}

extension TemporaryFile {
  fileprivate func truncate(to count: UInt64) throws {
    guard Glibc.truncate(path.string, Int(count)) == 0 else { throw Errno(rawValue: errno) }
  }
}

/// Gives some bytes, and says how many.
private struct Pieces: SpliceSource {
  let content: [UInt8]
  let taken: Locked<Int>

  init(of content: [UInt8], _ taken: Locked<Int>) { (self.content, self.taken) = (content, taken) }

  mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    let start = taken.withLock { $0 }
    if start == content.count { return .endOfFile }
    let transfer = try pipe.write(Array(content[start..<min(content.count, start + min(256 << 10, limit))]))
    if case .bytes(let count) = transfer { taken.withLock { $0 += count } }
    return transfer
  }
}
