// A sink that hangs up while its source is silent.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct HangUpTests {
  enum Sink: String, CaseIterable, Sendable { case pipe, unix, tcpReset, tcpClose }

  private static func strike(_ sink: Sink, _ ends: inout Ends) throws {
    let far = Descriptor(owning: ends.giveFar())
    if sink == .tcpReset { far.resetUnlessFinished() }
    try far.close()
  }

  private static func make(_ sink: Sink) throws -> Ends {
    switch sink {
    case .pipe:
      return try Ends.pipe()
    case .unix: return try Ends.unix()
    case .tcpReset, .tcpClose: return try Ends.tcp()
    }
  }

  enum Mover: String, CaseIterable, Sendable { case forward, readerDrain, sinkDrain }

  /// The source says nothing, and the flow ends all the same: before it begins to wait, and while it does.
  @Test(arguments: Waiting.allCases, Sink.allCases)
  func `a sink that hangs up ends a flow that waits`(_ waiting: Waiting, _ sink: Sink) async throws {
    for mover in Mover.allCases {
      for isBefore in [true, false] {
        var ends = try Self.make(sink)
        let near = ends.giveNear()
        if isBefore { try Self.strike(sink, &ends) }
        let options = FlowOptions(whenSinkCloses: sink == .tcpClose ? .end : .goOn)
        let running = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
          do {
            try await Self.run(mover, waiting, Descriptor(owning: near), options)
            return nil
          } catch { return error as? SpliceError }
        }
        if !isBefore {
          // It waits by then, as a rule; if not, that is tested as well.
          try await Task.sleep(for: .milliseconds(5))
          try Self.strike(sink, &ends)
        }
        let error = await running.value
        #expect(
          error == .sink(.brokenPipe) || sink == .tcpReset && error == .sink(.connectionReset),
          "\(mover), before: \(isBefore)")
      }
    }
  }

  /// A peer that has only said everything still reads.
  @Test(arguments: Waiting.allCases)
  func `a flow to a half-closed sink goes on`(_ waiting: Waiting) async throws {
    let source = try Ends.unix()
    let sink = try Ends.tcp()
    try sink.far.halfClose()
    try source.near.writeAll(bytes(1000))
    let twin = try source.near.duplicate()
    let seen = try sink.far.duplicate()
    let later = onThread {
      let near = Descriptor(owning: twin)
      let far = Descriptor(owning: seen)
      // Each time all that was sent has arrived, the flow has nothing to do but to wait.
      for round in 0..<10 {
        try waitUntil("it has arrived") {
          try far.withFileDescriptor { try Syscall.bytesWaiting(in: $0) } == 1000 + round * 100
        }
        try near.writeAll(bytes(1000)[(round * 100)..<(round * 100 + 100)])
      }
      try near.halfClose()
    }
    var pipe = try SplicePipe()
    switch waiting {
    case .async: #expect(try await pipe.forward(from: source.far, to: sink.near) == 2000)
    case .blocking: #expect(try pipe.forward(from: source.far, to: sink.near, waitingIn: .poll) == 2000)
    }
    try later.join()
    #expect(try sink.far.read(exactly: 2000) == bytes(1000) + bytes(1000))
  }

  private static func run(
    _ mover: Mover, _ waiting: Waiting, _ sink: consuming Descriptor, _ options: FlowOptions
  ) async throws {
    switch mover {
    case .forward:
      let silent = try Ends.unix()
      var pipe = try SplicePipe()
      switch waiting {
      case .async: try await pipe.forward(from: silent.far, to: sink, options: options)
      case .blocking: try pipe.forward(from: silent.far, to: sink, options: options, waitingIn: .poll)
      }
    case .readerDrain:
      let ends = try SplicePipe().split()
      var reader = ends.reader
      let writer = ends.writer
      switch waiting {
      case .async: try await reader.drain(to: sink, options: options)
      case .blocking: try reader.drain(to: sink, options: options, waitingIn: .poll)
      }
      _ = consume writer
    case .sinkDrain:
      let fan = try FanOut()
      let attached = try fan.attach()
      switch waiting {
      case .async: try await attached.drain(to: sink, options: options)
      case .blocking: try attached.drain(to: sink, options: options, waitingIn: .poll)
      }
      fan.finish()
    }
  }
}
