// One source, many sinks: what each gets is exactly known.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

extension FanOut {
  fileprivate func splice(_ waiting: Waiting, from source: borrowing Descriptor) async throws(SpliceError) {
    switch waiting {
    case .async: try await splice(from: source)
    case .blocking: try splice(from: source, waitingIn: .poll)
    }
  }
}

extension FanOut.Sink {
  fileprivate func splice(
    _ waiting: Waiting, to sink: borrowing Descriptor
  ) async throws(SpliceError) -> UInt64 {
    switch waiting {
    case .async: try await splice(to: sink)
    case .blocking: try splice(to: sink, waitingIn: .poll)
    }
  }
}

/// Where the parts of a stream that somebody got are in it; nil when they are nowhere.
func parts(of got: [UInt8], in content: [UInt8], from start: Int) -> [Range<Int>]? {
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
  func everySinkGetsTheStream(_ way: Way, _ kind: Ends.Kind) async throws {
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
        tasks.addTask { try await sink.splice(way.waiting, to: Descriptor(owning: near)) }
      }
      let sink = try fan.attach()
      tasks.addTask { try await sink.splice(way.waiting, to: file.open(.writeOnly)) }
      try await fan.splice(way.waiting, from: source.far)
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
  func aStalledSinkThatMaySkipHoldsNobodyUp(_ way: Way) async throws {
    let content = bytes(4_000_000, seed: 4)
    let fan = try FanOut(way.body, alignedTo: 188)
    let source = try TemporaryFile(content).open(.readOnly)
    let stalled = try Ends.unix()
    let good = try TemporaryFile()
    let (slow, fast) = (try fan.attach(.skip), try fan.attach())
    let near = try stalled.near.duplicate()
    let serving = Task { try await slow.splice(way.waiting, to: Descriptor(owning: near)) }
    let writing = Task { try await fast.splice(way.waiting, to: good.open(.writeOnly)) }
    try await fan.splice(way.waiting, from: source)
    fan.finish()
    #expect(try await writing.value == 4_000_000)
    #expect(try good.contents == content)
    let before = slow.counters
    #expect(before.skipped > 0 && before.gaps >= 1 && before.largestLag > 0 && fast.counters.skipped == 0)
    // What it did not miss, it still gets.
    let got = try stalled.far.read(exactly: 4_000_000 - Int(before.skipped))
    #expect(try await serving.value == UInt64(got.count))
    let found = try #require(parts(of: got, in: content, from: 0))
    for part in found.dropLast() { #expect(part.lowerBound % 188 == 0 && part.upperBound % 188 == 0) }
    #expect(found.reduce(0) { $0 + $1.count } == got.count)
  }

  @Test(arguments: Way.allCases)
  func aStalledSinkThatMayBeLetGoIs(_ way: Way) async throws {
    let content = bytes(4_000_000, seed: 5)
    let fan = try FanOut(way.body)
    let source = try TemporaryFile(content).open(.readOnly)
    let stalled = try Ends.unix()
    let good = try TemporaryFile()
    let (slow, fast) = (try fan.attach(.detach()), try fan.attach())
    let near = try stalled.near.duplicate()
    let serving = Task { () -> SpliceError? in
      do throws(SpliceError) {
        _ = try await slow.splice(way.waiting, to: Descriptor(owning: near))
        return nil
      } catch { return error }
    }
    let writing = Task { try await fast.splice(way.waiting, to: good.open(.writeOnly)) }
    try await fan.splice(way.waiting, from: source)
    fan.finish()
    #expect(try await writing.value == 4_000_000)
    #expect(await serving.value == .pipe(.noBufferSpace))
    let counters = slow.counters
    #expect(slow.reason == .tooSlow(lag: counters.lag))
    // A prefix, and it is known which.
    let got = try stalled.far.read(exactly: Int(counters.delivered))
    #expect(got == Array(content[..<got.count]))
  }

  @Test(arguments: Way.allCases)
  func whoCannotKeepUpReadsTheRecording(_ way: Way) async throws {
    let content = bytes(6_000_000, seed: 6)
    let fan = try FanOut(way.body)
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(content) }
    let file = try TemporaryFile()
    let recorder = try fan.attach()
    let recording = FanOut.Recording(try file.open(.readOnly), writtenBy: recorder)
    let viewer = try fan.attach(.replay(recording))
    let recorded = Task { try await recorder.splice(way.waiting, to: file.open(.writeOnly)) }
    var ends = try Ends.unix()
    let (sinkEnd, far) = (ends.giveNear(), ends.giveFar())
    let viewed = Task { try await viewer.splice(way.waiting, to: Descriptor(owning: sinkEnd)) }
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
      return got
    }
    try await fan.splice(way.waiting, from: source.far)
    fan.finish()
    try feeding.join()
    #expect(try await recorded.value == 6_000_000)
    #expect(try await viewed.value == 6_000_000)
    #expect(try reading.join() == content)
    #expect(viewer.counters.skipped == 0 && viewer.counters.lag == 0)
  }

  @Test(arguments: Way.allCases)
  func whenAllHaveGoneTheSourceIsReadNoFurther(_ way: Way) async throws {
    let fan = try FanOut(way.body)
    let source = try Ends.unix()
    var sink: FanOut.Sink? = try fan.attach()
    try source.near.writeAll(bytes(10))
    let far = try source.far.duplicate()
    let running = Task { () -> SpliceError? in
      do throws(SpliceError) {
        try await fan.splice(way.waiting, from: Descriptor(owning: far))
        return nil
      } catch { return error }
    }
    while fan.position < 10 { usleep(500) }
    // It waits for a silent source, and hears of it all the same.
    #expect(sink?.counters.lag == 10)
    sink = nil
    #expect(await running.value == .sink(.brokenPipe))
  }
}
