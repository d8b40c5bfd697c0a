// One set of options: each of them on each flow, in a task and on a thread, as a table.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Every flow of the library that a task or a thread can run.
private enum Mover: String, CaseIterable, Sendable {
  case forward, toCode, fromCode, betweenCode, drain, readerDrain, writerFill, fanFill, fanFillCode,
    fanFillReader,
    sinkDrain, sendfile, duplex, fileCopy

  /// In a task, on a thread, or both.
  var waitings: [Waiting] {
    switch self {
    case .toCode, .fromCode, .betweenCode, .fanFillCode: [.async]
    case .fanFillReader: [.blocking]
    default: [.async, .blocking]
    }
  }

  static var all: [(Mover, Waiting)] {
    allCases.flatMap { mover in mover.waitings.map { (mover, $0) } }
  }

  /// Those whose source can be silent: a file is not, and Swift code is not interrupted.
  static var waiting: [(Mover, Waiting)] {
    all.filter { ![.fromCode, .betweenCode, .fanFillCode, .sendfile, .fileCopy, .drain].contains($0.0) }
  }
}

private struct Giving: SpliceSource {
  var left: ArraySlice<UInt8>
  mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    if left.isEmpty { return .endOfFile }
    let transfer = try pipe.write(Array(left.prefix(min(limit, 5000))))
    left = left.dropFirst(transfer.count)
    return transfer
  }
}

private struct Taking: SpliceSink {
  var count = 0
  mutating func drain(_ pipe: inout SplicePipe) async throws {
    while let segment = try pipe.takeSegment() { count += segment.count }
  }
}

/// What a flow is given: so many bytes, and then its end, or nothing more.
private struct Course: Sendable {
  var content: [UInt8] = []
  var ends = true
  var limit = UInt64.max
  var options = FlowOptions()
  var deadline: ContinuousClock.Instant?
  var poll: BlockingWait { BlockingWait(until: deadline) }

  /// A source with this in it; the other end stays with whoever holds it.
  func source() throws -> Ends {
    let ends = try Ends.unix()
    try ends.near.writeAll(content)
    if self.ends { try ends.near.halfClose() }
    return ends
  }

  /// How many bytes the flow moved.
  func run(_ mover: Mover, _ waiting: Waiting) async throws -> UInt64 {
    let null = try device("/dev/null")
    switch mover {
    case .forward:
      let source = try source()
      var pipe = try SplicePipe()
      return switch waiting {
      case .async:
        try await pipe.forward(from: source.far, to: null, upTo: limit, options: options, until: deadline)
      case .blocking:
        try pipe.forward(from: source.far, to: null, upTo: limit, options: options, waitingIn: poll)
      }
    case .toCode:
      let source = try source()
      var pipe = try SplicePipe()
      var sink = Taking()
      return try await pipe.forward(
        from: source.far, to: &sink, upTo: limit, options: options, until: deadline)
    case .fromCode:
      var pipe = try SplicePipe()
      var source = Giving(left: content[...])
      return try await pipe.forward(from: &source, to: null, upTo: limit, options: options, until: deadline)
    case .betweenCode:
      var pipe = try SplicePipe()
      var (source, sink) = (Giving(left: content[...]), Taking())
      return try await pipe.forward(from: &source, to: &sink, upTo: limit, options: options, until: deadline)
    case .drain:
      var pipe = try SplicePipe()
      try pipe.writeAll(content.span.bytes)
      return switch waiting {
      case .async: try await pipe.drain(to: null, upTo: limit, options: options, until: deadline)
      case .blocking: try pipe.drain(to: null, upTo: limit, options: options, waitingIn: poll)
      }
    case .readerDrain, .writerFill, .fanFillReader: return try await runEnds(mover, waiting, null)
    case .fanFill, .fanFillCode, .sinkDrain: return try await runFanOut(mover, waiting, null)
    case .sendfile:
      let file = try TemporaryFile(content).open(.readOnly)
      var offset: Int64 = 0
      let count = min(limit, UInt64(content.count))
      switch waiting {
      case .async:
        try await Splice.sendfile(
          from: file, at: &offset, count: count, to: null, options: options, until: deadline)
      case .blocking:
        try Splice.sendfile(
          from: file, at: &offset, count: count, to: null, options: options, waitingIn: poll)
      }
      return UInt64(offset)
    case .duplex: return try await runDuplex(waiting)
    case .fileCopy:
      var copy = FileCopy(upTo: limit, options: options)
      let from = try TemporaryFile(content).open(.readOnly)
      let to = try TemporaryFile().open(.writeOnly)
      switch waiting {
      case .async: try await copy.run(from: from, to: to, until: deadline)
      case .blocking: try copy.run(from: from, to: to, waitingIn: poll)
      }
      return copy.paths.total
    }
  }

  private func runEnds(
    _ mover: Mover, _ waiting: Waiting, _ null: borrowing Descriptor
  ) async throws -> UInt64 {
    let ends = try SplicePipe().split()
    var reader = ends.reader
    var writer: PipeWriter? = ends.writer
    if mover == .writerFill {
      let source = try source()
      defer { reader.invalidate() }
      return switch waiting {
      case .async: try await writer!.fill(from: source.far, upTo: limit, options: options, until: deadline)
      case .blocking: try writer!.fill(from: source.far, upTo: limit, options: options, waitingIn: poll)
      }
    }
    if !content.isEmpty { _ = try writer?.write(content) }
    if self.ends { writer = nil }
    defer { _ = writer.take() }
    if mover == .fanFillReader {
      let fan = try FanOut()
      let sink = try fan.attach(.skip)
      defer { sink.detach() }
      return try fan.fill(from: &reader, upTo: limit, options: options, waitingIn: poll)
    }
    return switch waiting {
    case .async: try await reader.drain(to: null, upTo: limit, options: options, until: deadline)
    case .blocking: try reader.drain(to: null, upTo: limit, options: options, waitingIn: poll)
    }
  }

  private func runFanOut(
    _ mover: Mover, _ waiting: Waiting, _ null: borrowing Descriptor
  ) async throws -> UInt64 {
    let fan = try FanOut()
    let sink = try fan.attach(mover == .sinkDrain ? .wait : .skip)
    switch mover {
    case .fanFillCode:
      var source = Giving(left: content[...])
      return try await fan.fill(from: &source, upTo: limit, options: options, until: deadline)
    case .fanFill:
      let source = try source()
      return switch waiting {
      case .async: try await fan.fill(from: source.far, upTo: limit, options: options, until: deadline)
      case .blocking: try fan.fill(from: source.far, upTo: limit, options: options, waitingIn: poll)
      }
    default:
      let feeding = Task { [content, ends] in
        var source = Giving(left: content[...])
        _ = try? await fan.fill(from: &source)
        if ends { fan.finish() }
      }
      defer { feeding.cancel() }
      return switch waiting {
      case .async: try await sink.drain(to: null, upTo: limit, options: options, until: deadline)
      case .blocking: try sink.drain(to: null, upTo: limit, options: options, waitingIn: poll)
      }
    }
  }

  private func runDuplex(_ waiting: Waiting) async throws -> UInt64 {
    let source = try source()
    let sink = try Ends.unix()
    if ends { try sink.far.halfClose() }
    var duplex = Duplex()
    let both = Duplex.Options(forward: options)
    do throws(Duplex.Failure) {
      switch waiting {
      case .async: try await duplex.run(between: source.far, and: sink.near, options: both, until: deadline)
      case .blocking: try duplex.run(between: source.far, and: sink.near, options: both, waitingIn: poll)
      }
    } catch { throw error.error }
    return duplex.forward.delivered
  }
}

@Suite(.mayBlock) struct FlowOptionsTests {
  private static let content = bytes(60_000)

  /// The limit, and the meter, which has counted exactly what has moved.
  @Test(arguments: Mover.all.filter { $0.0 != .duplex })
  fileprivate func `the limit is kept, and the meter counts`(_ mover: Mover, _ waiting: Waiting) async throws
  {
    let meter = ByteMeter()
    let course = Course(content: Self.content, limit: 41_000, options: FlowOptions(meter: meter))
    #expect(try await course.run(mover, waiting) == 41_000)
    #expect(meter.passed.total == 41_000)
  }

  @Test(arguments: Mover.all)
  fileprivate func `the meter counts up to the end`(_ mover: Mover, _ waiting: Waiting) async throws {
    let meter = ByteMeter()
    #expect(
      try await Course(content: Self.content, options: FlowOptions(meter: meter)).run(mover, waiting)
        == 60_000)
    #expect(meter.passed.total == 60_000)
  }

  /// All but the first share take their time.
  @Test(arguments: Mover.all)
  fileprivate func `the pace is kept`(_ mover: Mover, _ waiting: Waiting) async throws {
    let began = ContinuousClock.now
    let options = FlowOptions(pace: Pace(bytesPerSecond: 300_000))
    #expect(try await Course(content: Self.content, options: options).run(mover, waiting) == 60_000)
    #expect(ContinuousClock.now - began > .milliseconds(145))
  }

  /// A pace lives across calls, and is one for all who share it.
  @Test func `a pace is shared`() async throws {
    let began = ContinuousClock.now
    let options = FlowOptions(pace: Pace(bytesPerSecond: 300_000))
    let course = Course(content: bytes(10_000), options: options)
    try await withThrowingTaskGroup { group in
      for _ in 0..<3 {
        group.addTask { for _ in 0..<2 { _ = try await course.run(.forward, .async) } }
      }
      try await group.waitForAll()
    }
    // Sixty thousand bytes, of which one share is free.
    #expect(ContinuousClock.now - began > .milliseconds(145))
  }

  @Test(arguments: Mover.waiting)
  fileprivate func `an idle flow ends`(_ mover: Mover, _ waiting: Waiting) async throws {
    let began = ContinuousClock.now
    let course = Course(content: bytes(10), ends: false, options: FlowOptions(idle: .milliseconds(40)))
    await #expect(throws: SpliceError.timedOut) { try await course.run(mover, waiting) }
    #expect(ContinuousClock.now - began >= .milliseconds(40))
  }

  @Test(arguments: Mover.waiting)
  fileprivate func `a deadline ends a flow`(_ mover: Mover, _ waiting: Waiting) async throws {
    let course = Course(content: bytes(10), ends: false, deadline: .now + .milliseconds(20))
    await #expect(throws: SpliceError.timedOut) { try await course.run(mover, waiting) }
  }

  @Test(arguments: Mover.waiting.filter { $0.1 == .async })
  fileprivate func `cancellation ends a flow`(_ mover: Mover, _ waiting: Waiting) async throws {
    let task = Task { try await Course(content: bytes(10), ends: false).run(mover, waiting) }
    task.cancel()
    await #expect(throws: SpliceError.cancelled) { try await task.value }
  }

  /// Bytes that others get too count at the meter of a sink, and a sink that is teed to after it was not.
  @Test(arguments: Waiting.allCases)
  func `the meter of a sink that is teed to counts its bytes`(_ waiting: Waiting) async throws {
    let fan = try FanOut()
    let (sink, meter) = (try fan.attach(), ByteMeter())
    var source = Giving(left: bytes(1000)[...])
    try await fan.fill(from: &source)
    let other = try fan.attach(.skip)
    defer { other.detach() }
    let feeding = Task {
      var source = Giving(left: bytes(60_000)[...])
      try await fan.fill(from: &source)
      fan.finish()
    }
    let null = try device("/dev/null")
    let options = FlowOptions(meter: meter)
    switch waiting {
    case .async: #expect(try await sink.drain(to: null, options: options) == 61_000)
    case .blocking: #expect(try sink.drain(to: null, options: options, waitingIn: .poll) == 61_000)
    }
    try await feeding.value
    #expect(meter.passed.total == 61_000)
  }

  /// One direction's own, while the other one moves.
  @Test(arguments: Waiting.allCases)
  func `an idle direction of a duplex ends it`(_ waiting: Waiting) async throws {
    let left = try Ends.unix()
    let right = try Ends.unix()
    try right.far.writeAll(bytes(10))
    var duplex = Duplex()
    let options = Duplex.Options(forward: FlowOptions(idle: .milliseconds(40)), idle: .seconds(600))
    do throws(Duplex.Failure) {
      switch waiting {
      case .async: try await duplex.run(between: left.far, and: right.near, options: options)
      case .blocking: try duplex.run(between: left.far, and: right.near, options: options, waitingIn: .poll)
      }
      Issue.record("it ended")
    } catch { #expect(error == Duplex.Failure(direction: .forward, error: .timedOut)) }
  }

  /// A socket has accepted everything at once, and its peer takes it bit by bit.
  @Test(arguments: Waiting.allCases)
  func `a sink that still takes is not idle`(_ waiting: Waiting) async throws {
    let source = try Ends.unix()
    let sink = try Ends.unix()
    try source.far.writeAll(bytes(150_000))
    let reading = takeBitByBit(150_000, from: try sink.far.duplicate())
    var pipe = try SplicePipe()
    let options = FlowOptions(idle: .seconds(2))
    do throws(SpliceError) {
      switch waiting {
      case .async: try await pipe.forward(from: source.near, to: sink.near, options: options)
      case .blocking:
        try pipe.forward(from: source.near, to: sink.near, options: options, waitingIn: .poll)
      }
      Issue.record("it ended")
    } catch { #expect(error == .timedOut) }
    let end = ContinuousClock.now
    #expect(try reading.join() < end)
  }

  /// Swift code that takes its time, and takes.
  @Test func `a sink of code that goes on is not idle`() async throws {
    struct Slicing: SpliceSink {
      var count = 0
      mutating func drain(_ pipe: inout SplicePipe) async throws {
        try await Task.sleep(for: .milliseconds(30))
        if let segment = try pipe.takeSegment(upTo: 8 << 10) { count += segment.count }
      }
    }
    let source = try TemporaryFile(bytes(60_000)).open(.readOnly)
    var pipe = try SplicePipe()
    var sink = Slicing()
    try await pipe.forward(from: source, to: &sink, options: FlowOptions(idle: .milliseconds(80)))
    #expect(sink.count == 60_000)
  }

  /// Nothing is spliced where copying is asked for.
  @Test(
    arguments: Mover.all.filter {
      ![.toCode, .fromCode, .betweenCode, .fileCopy, .fanFillCode, .fanFillReader].contains($0.0)
    })
  fileprivate func `the path is the one that was asked for`(_ mover: Mover, _ waiting: Waiting) async throws {
    let meter = ByteMeter()
    let options = FlowOptions(via: .copy, meter: meter)
    #expect(try await Course(content: Self.content, options: options).run(mover, waiting) == 60_000)
    #expect(meter.passed.copy == 60_000)
  }
}
