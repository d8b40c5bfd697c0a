// Taps watch a flow: they see its bytes, each once, and whatever they do the flow does not mind.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct TapTests {
  @Test(arguments: Way.allCases, Ends.Kind.allCases)
  func `a tap sees what the sink gets`(_ way: Way, _ kind: Ends.Kind) async throws {
    let content = bytes(2_000_000, seed: 12)
    let taps = try FanOut(way.body)
    let (good, seen) = (try TemporaryFile(), try TemporaryFile())
    let (tap, stalled) = (try taps.attach(capacity: 1 << 20), try taps.attach())
    let watching = Task(executorPreference: MayBlock.threads) {
      try tap.drain(to: seen.open(.writeOnly), waitingIn: .poll)
    }
    var source = try Ends.make(kind)
    let near = source.giveNear()
    let feeding = onThread {
      let near = Descriptor(owning: near)
      for start in stride(from: 0, to: content.count, by: 7001) {
        try near.writeAll(content[start..<min(start + 7001, content.count)])
      }
    }
    var pipe = try SplicePipe(way.body)
    let sink = try good.open(.writeOnly)
    let moved: UInt64
    switch way.waiting {
    case .async: moved = try await pipe.forward(from: source.far, to: sink, watchedBy: taps)
    case .blocking: moved = try pipe.forward(from: source.far, to: sink, watchedBy: taps, waitingIn: .poll)
    }
    taps.finish()
    try feeding.join()
    #expect(moved == 2_000_000 && taps.position == 2_000_000)
    #expect(try good.contents == content)
    let got = try await watching.value
    let counters = tap.counters
    #expect(got == counters.delivered && counters.delivered + counters.skipped == 2_000_000)
    let seenBytes = try seen.contents
    let found = try #require(parts(of: seenBytes, in: content, from: 0, alignedTo: 1))
    #expect(found.reduce(0) { $0 + $1.count } == Int(got) && found.count <= counters.gaps + 1)
    // Nobody served the other: it has what its pipe took, and missed the rest.
    #expect(stalled.counters.skipped > 0 && stalled.counters.delivered == 0)
    #expect(UInt64(stalled.counters.lag) + stalled.counters.skipped == 2_000_000)
  }

  /// A flow that is begun anew shows nothing twice.
  @Test(arguments: Way.allCases)
  func `what taps saw stays seen`(_ way: Way) async throws {
    let content = bytes(30_000, seed: 14)
    let taps = try FanOut(way.body)
    let tap = try taps.attach()
    var pipe = try SplicePipe(way.body)
    let source = try TemporaryFile(content).open(.readOnly)
    var gone = try Ends.pipe()
    try gone.giveFar().close()
    let (good, seen) = (try TemporaryFile(), try TemporaryFile())
    let sink = try good.open(.writeOnly)
    do throws(SpliceError) {
      switch way.waiting {
      case .async: try await pipe.forward(from: source, to: gone.near, watchedBy: taps)
      case .blocking: try pipe.forward(from: source, to: gone.near, watchedBy: taps, waitingIn: .poll)
      }
      Issue.record("a sink that is gone took bytes")
    } catch { #expect(error == .sink(.brokenPipe) && taps.position == 30_000) }
    switch way.waiting {
    case .async: try await pipe.forward(from: source, to: sink, watchedBy: taps)
    case .blocking: try pipe.forward(from: source, to: sink, watchedBy: taps, waitingIn: .poll)
    }
    taps.finish()
    try tap.drain(to: seen.open(.writeOnly), waitingIn: .poll)
    #expect(try good.contents == content)
    #expect(try seen.contents == content)
  }

  @Test(arguments: Waiting.allCases)
  func `each direction of a duplex has its own`(_ waiting: Waiting) async throws {
    let (forward, backward) = (try FanOut(), try FanOut())
    let taps = Duplex.Taps(forward: forward, backward: backward)
    let (there, back) = (try forward.attach(), try backward.attach())
    var first = try Ends.unix()
    var second = try Ends.unix()
    let (one, two) = (first.giveFar(), second.giveNear())
    let running = Task(executorPreference: MayBlock.threads) {
      var duplex = Duplex()
      switch waiting {
      case .async:
        try await duplex.run(between: Descriptor(owning: one), and: Descriptor(owning: two), watchedBy: taps)
      case .blocking:
        try duplex.run(
          between: Descriptor(owning: one), and: Descriptor(owning: two), watchedBy: taps, waitingIn: .poll)
      }
    }
    try first.near.writeAll(Array("ping".utf8))
    #expect(try second.far.read(exactly: 4) == Array("ping".utf8))
    try second.far.writeAll(Array("pong, and more".utf8))
    #expect(try first.near.read(exactly: 14) == Array("pong, and more".utf8))
    try first.near.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    try second.far.withFileDescriptor { try Syscall.shutdown($0, .writing) }
    try await running.value
    forward.finish()
    backward.finish()
    for (tap, word) in [(there, "ping"), (back, "pong, and more")] {
      let file = try TemporaryFile()
      #expect(try tap.drain(to: file.open(.writeOnly), waitingIn: .poll) == UInt64(word.utf8.count))
      #expect(try file.contents == Array(word.utf8))
    }
  }
}
