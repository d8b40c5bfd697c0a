// A fan-out in one call, sinks that fail, and viewers that come late.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// The whole of it in one call, and sinks that fail.
@Suite(.mayBlock) struct FanOutRunTests {
  private static let content = bytes(3_000_000, seed: 9)

  /// As in the documentation of `FanOut`; the one that fails holds up nobody, and says why.
  @Test(arguments: SplicePipe.Storage.allCases, [nil, "/dev/full"])
  func `every sink is served, and one may fail`(
    _ storage: SplicePipe.Storage, _ failing: String?
  ) async throws {
    let fan = try FanOut(storage)
    let file = try TemporaryFile()
    let ends = try Ends.unix()
    let twin = try ends.far.duplicate()
    let reading = onThread {
      let far = Descriptor(owning: twin)
      let got = try far.readToEnd()
      try far.halfClose()
      return got
    }
    var sinks = [
      try fan.attach(to: file.open(.writeOnly)),
      try fan.attach(to: Descriptor(owning: ends.near.duplicate())),
    ]
    if let failing { sinks.append(try fan.attach(to: device(FilePath(failing), .writeOnly))) }
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(Self.content) }
    let outcomes = try await fan.run(from: source.far, to: sinks)
    try feeding.join()
    #expect(outcomes.prefix(2).allSatisfy { $0 == .success(3_000_000) })
    if failing != nil {
      #expect(outcomes[2] == .failure(.sink(.noSpace)) && sinks[2].reason == .failed(.sink(.noSpace)))
    }
    #expect(try file.contents == Self.content)
    #expect(try reading.join() == Self.content)
  }

  @Test func `a source that fails is thrown, and no sink sees an end`() async throws {
    let fan = try FanOut()
    let sink = try fan.attach(to: device("/dev/null", .writeOnly))
    var source = try Ends.tcp()
    try source.near.writeAll(bytes(1000))
    let near = Descriptor(owning: source.giveNear())
    near.resetUnlessFinished()
    try near.close()
    await #expect(throws: SpliceError.source(.connectionReset)) {
      try await fan.run(from: source.far, to: [sink])
    }
    #expect(sink.reason == .invalid)
  }

  /// `tool | head -1`: the only sink leaves, and the fan-out ends.
  @Test(arguments: Waiting.allCases)
  func `a sink whose flow failed or was cancelled holds up nobody`(_ waiting: Waiting) async throws {
    let fan = try FanOut()
    let (full, good) = (try fan.attach(), try fan.attach())
    let file = try TemporaryFile()
    let failing = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      do {
        _ = try await full.drain(waiting, to: device("/dev/full", .writeOnly))
        return nil
      } catch { return error as? SpliceError }
    }
    let writing = Task(executorPreference: MayBlock.threads) {
      try await good.drain(waiting, to: file.open(.writeOnly))
    }
    var source = try Ends.unix()
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(Self.content) }
    switch waiting {
    case .async: try await fan.fill(from: source.far)
    case .blocking: try fan.fill(from: source.far, waitingIn: .poll)
    }
    fan.finish()
    try feeding.join()
    #expect(await failing.value == .sink(.noSpace))
    #expect(try await writing.value == 3_000_000)
    #expect(try file.contents == Self.content)
  }

  /// Somebody who comes late begins with what is recorded.
  @Test func `a late viewer sees it from the beginning`() async throws {
    let fan = try FanOut()
    let recorder = try fan.attach()
    let file = try TemporaryFile()
    let recording = try FanOut.Recording(file.open(.readOnly), writtenBy: recorder)
    let writing = Task { try await recorder.drain(to: file.open(.writeOnly)) }
    var source = try Ends.unix()
    try source.near.writeAll(Array(Self.content[..<100_000]))
    #expect(try await fan.fill(from: source.far, upTo: 100_000) == 100_000)
    let (first, middle) = (
      try fan.attach(.replay(recording), from: 0), try fan.attach(.replay(recording), from: 40_000)
    )
    #expect(throws: Errno.invalidArgument) { try fan.attach(.replay(recording), from: 100_001) }
    #expect(throws: Errno.invalidArgument) { try fan.attach(.wait, from: 0) }
    let views = [try TemporaryFile(), try TemporaryFile()]
    let viewing = [(first, views[0]), (middle, views[1])].map { sink, view in
      Task { try await sink.drain(to: view.open(.writeOnly)) }
    }
    let near = source.giveNear()
    let feeding = onThread { try Descriptor(owning: near).writeAll(Self.content[100_000...]) }
    try await fan.fill(from: source.far)
    fan.finish()
    try feeding.join()
    #expect(try await writing.value == 3_000_000)
    #expect(try await viewing[0].value == 3_000_000)
    #expect(try await viewing[1].value == 2_960_000)
    #expect(try views[0].contents == Self.content)
    #expect(try views[1].contents == Array(Self.content[40_000...]))
  }
}
