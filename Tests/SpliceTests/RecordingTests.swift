// A recording of several files: what is read of it, what has been missed, and what is read no more.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct RecordingTests {
  private let fan: FanOut
  private let recording = FanOut.Recording()

  init() throws { fan = try FanOut(alignedTo: 1, needsSinks: false) }

  private func hand(_ content: [UInt8]) async throws {
    var source = BytesSource(content)
    try await fan.fill(from: &source)
  }

  /// Everything that is there for a sink.
  private func read(_ sink: FanOut.Sink, upTo count: Int) throws -> [UInt8] {
    var pipe = try SplicePipe(.memory, capacity: 8 << 20)
    while pipe.count < count, try sink.fill(&pipe, upTo: count - pipe.count, waitingIn: .poll) != .endOfFile {
    }
    return try pipe.contents()
  }

  /// Records what is there into a new file.
  private func record(_ recorder: FanOut.Sink, _ count: Int) throws -> TemporaryFile {
    let file = try TemporaryFile()
    try recording.begin(file.open(.readOnly), writtenBy: recorder)
    try recorder.drain(to: file.open(.writeOnly), upTo: UInt64(count), waitingIn: .poll)
    return file
  }

  @Test func `a late sink reads one file after the other and joins`() async throws {
    let content = bytes(3_000_000, seed: 1)
    let recorder = try fan.attach(.detach(), comesAgain: true, capacity: 8 << 20)
    try await hand(content)
    var files: [TemporaryFile] = []
    for _ in 0..<3 { files.append(try record(recorder, 1_000_000)) }
    let viewer = try fan.attach(.replay(recording), from: 500_000)
    #expect(try read(viewer, upTo: 2_500_000) == Array(content[500_000...]))
    #expect(viewer.counters.replayed == 2_500_000)
    try await hand(bytes(1000, seed: 2))
    #expect(try read(viewer, upTo: 1000) == bytes(1000, seed: 2))
    #expect(viewer.counters.skipped == 0 && viewer.counters.replayed == 2_500_000)
  }

  @Test func `what was not recorded goes by, and is counted`() async throws {
    let content = bytes(900_000, seed: 3)
    var recorder = try fan.attach(.detach(), comesAgain: true, capacity: 8 << 20)
    try await hand(Array(content[..<300_000]))
    let first = try record(recorder, 300_000)
    let viewer = try fan.attach(.replay(recording), from: 100_000)
    recorder.detach()
    // Nobody records this, and the viewer has the start of it in its pipe.
    try await hand(Array(content[300_000..<600_000]))
    recorder = try fan.attach(.detach(), comesAgain: true, capacity: 8 << 20)
    try await hand(Array(content[600_000...]))
    let second = try record(recorder, 300_000)
    #expect(try read(viewer, upTo: 500_000) == Array(content[100_000..<300_000] + content[600_000...]))
    #expect(viewer.counters.skipped == 300_000 && viewer.counters.gaps == 1)
    #expect(viewer.counters.lag == 0)
    _ = (first, second)
  }

  @Test func `what is kept no more goes by as well, and its disk has room`() async throws {
    let content = bytes(600_000, seed: 4)
    let recorder = try fan.attach(.detach(), comesAgain: true, capacity: 8 << 20)
    try await hand(content)
    do {
      let first = try record(recorder, 200_000)
      #expect((try? Syscall.unlink(first.path)) != nil)
    }
    let second = try record(recorder, 400_000)
    let viewer = try fan.attach(.replay(recording), from: 0)
    recording.forget()
    #expect(recording.start == 200_000)
    #expect(try read(viewer, upTo: 400_000) == Array(content[200_000...]))
    #expect(viewer.counters.skipped == 200_000)
    #expect(throws: Errno.invalidArgument) { try fan.attach(.replay(recording), from: 100_000) }
    _ = second
  }

  @Test func `the end is no end for who misses what comes before it`() async throws {
    let recorder = try fan.attach(.detach(), comesAgain: true, capacity: 8 << 20)
    try await hand(bytes(300_000, seed: 5))
    let file = try record(recorder, 100_000)
    let viewer = try fan.attach(.replay(recording), from: 0)
    recorder.detach()
    recording.finish()
    fan.finish()
    #expect(throws: SpliceError.pipe(.noBufferSpace)) { _ = try read(viewer, upTo: 300_000) }
    #expect(viewer.reason == .recordingLost && viewer.counters.delivered == 100_000)
    _ = file
  }

  // MARK: - A private pipe that goes on in memory

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a sink has as much room as it wished for`(_ storage: SplicePipe.Storage) async throws {
    let content = bytes(20_000_000, seed: 6)
    let fan = try FanOut(storage, alignedTo: 1, needsSinks: false)
    let patient = try fan.attach(.detach(), capacity: 32 << 20)
    let hasty = try fan.attach(.detach())
    var source = BytesSource(content)
    try await fan.fill(from: &source)
    #expect(patient.reason == nil && patient.counters.lag == content.count)
    #expect(hasty.reason != nil)
    var more = BytesSource(bytes(20_000_000, seed: 7))
    try await fan.fill(from: &more)
    #expect(patient.reason != nil, "it has room for 32 MiB and not for more")
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `what has gone on in memory comes in order`(_ storage: SplicePipe.Storage) async throws {
    let content = bytes(12_000_000, seed: 8)
    let fan = try FanOut(storage, alignedTo: 1, needsSinks: false)
    let sink = try fan.attach(.detach(), capacity: 32 << 20)
    var got: [UInt8] = []
    for start in stride(from: 0, to: content.count, by: 3_000_000) {
      var source = BytesSource(Array(content[start..<start + 3_000_000]))
      try await fan.fill(from: &source)
      var pipe = try SplicePipe(.memory, capacity: 8 << 20)
      while pipe.count < 2_500_000,
        try sink.fill(&pipe, upTo: 2_500_000 - pipe.count, waitingIn: .poll) != .endOfFile
      {}
      got += try pipe.contents()
    }
    fan.finish()
    let file = try TemporaryFile()
    try sink.drain(to: file.open(.writeOnly), waitingIn: .poll)
    let isWhole = try got + file.contents == content
    #expect(isWhole)
  }

  // MARK: - Sources that follow each other

  @Test func `what a source ends with of a unit is dropped, or is the last`() async throws {
    let fan = try FanOut(alignedTo: 100, needsSinks: false, keepsParts: true)
    let sink = try fan.attach(.detach())
    for (count, drops, left) in [(250, true, 50), (130, false, 30)] {
      var source = BytesSource(bytes(count, seed: UInt64(count)))
      try await fan.fill(from: &source)
      #expect(try fan.endUnit(dropping: drops) == left)
    }
    #expect(fan.position == 330)
    #expect(try read(sink, upTo: 330) == Array(bytes(250, seed: 250)[..<200]) + bytes(130, seed: 130))
  }

  @Test func `without sinks bytes go by`() async throws {
    try await hand(bytes(1_000_000))
    #expect(fan.position == 1_000_000)
  }
}
