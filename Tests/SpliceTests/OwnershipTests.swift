// Whose a descriptor is, and what becomes of it at the end.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// What is given back, what a connection that was cut off looks like, and whom a socket belongs to.
@Suite(.mayBlock) struct OwnershipTests {
  /// The peer has ended its own half before, so that what is read from it looks like an end.
  @Test(arguments: Waiting.allCases) func `a reset is told when a sink is finished`(
    _ waiting: Waiting
  ) async throws {
    var ends = try Ends.tcp()
    let far = ends.giveFar()
    try Syscall.shutdown(far, .writing)
    try Syscall.setReset(onClosing: far, true)
    try far.close()
    let sink = ends.giveNear()
    await #expect(throws: SpliceError.self) {
      switch waiting {
      case .async: try await Descriptor(owning: sink).finish()
      case .blocking: try Descriptor(owning: sink).finish(waitingIn: .poll)
      }
    }
  }

  @Test func `what is given back is as it was`() throws {
    for isBlocking in [true, false] {
      var ends = try Ends.unix()
      let number = ends.giveNear()
      let flags = try Syscall.statusFlags(of: number)
      try Syscall.setStatusFlags(of: number, to: isBlocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK)
      let owned = Descriptor(owning: number)
      #expect(try Syscall.statusFlags(of: number) & O_NONBLOCK != 0)
      let released = owned.release()
      #expect(try Syscall.statusFlags(of: released) & O_NONBLOCK == (isBlocking ? 0 : O_NONBLOCK))
      try Syscall.close(released)
    }
  }

  /// A socket that does not block already is spliced to, whoever else has it.
  @Test func `a shared socket that does not block is spliced to`() async throws {
    let ends = try Ends.tcp()
    let shared = try ends.near.withFileDescriptor { try Descriptor(duplicating: $0) }
    let source = try TemporaryFile(bytes(1_000_000)).open(.readOnly)
    let twin = try ends.far.duplicate()
    let reading = onThread { try Descriptor(owning: twin).read(exactly: 1_000_000) }
    var pipe = try SplicePipe()
    try await pipe.forward(from: source, to: shared)
    #expect(pipe.deliveredBy.splice == 1_000_000)
    #expect(try reading.join() == bytes(1_000_000))
  }

  /// Half a stream does not look whole: and once it is whole, it does.
  @Test(arguments: Waiting.allCases, [true, false])
  func `a flow that did not finish is a reset`(_ waiting: Waiting, _ goesOn: Bool) async throws {
    var source = try Ends.unix()
    var sink = try Ends.tcp()
    try source.near.writeAll(bytes(1000))
    let near = Descriptor(owning: sink.giveNear())
    var pipe = try SplicePipe()
    let soon = ContinuousClock.now + .milliseconds(20)
    do throws(SpliceError) {
      switch waiting {
      case .async: try await pipe.forward(from: source.far, to: near, until: soon)
      case .blocking: try pipe.forward(from: source.far, to: near, waitingIn: BlockingWait(until: soon))
      }
    } catch { #expect(error == .timedOut) }
    #expect(try sink.far.read(exactly: 1000) == bytes(1000))
    if goesOn {
      _ = Descriptor(owning: source.giveNear())
      switch waiting {
      case .async: try await pipe.forward(from: source.far, to: near)
      case .blocking: try pipe.forward(from: source.far, to: near, waitingIn: .poll)
      }
    }
    try near.close()
    if goesOn {
      #expect(try sink.far.readToEnd() == [])
    } else {
      #expect(throws: Errno.connectionReset) { try sink.far.readToEnd() }
    }
  }

  @Test func `a sink is finished or aborted in a task`() async throws {
    var ends = try Ends.tcp()
    let far = Descriptor(owning: ends.giveFar())
    let peer = onThread { () throws in
      let got = try far.readToEnd()
      try far.writeAll(bytes(100_000))
      try far.halfClose()
      return got
    }
    let near = Descriptor(owning: ends.giveNear())
    try near.writeAll(bytes(10))
    try await near.finish(until: .now + .seconds(60))
    #expect(try peer.join() == bytes(10))

    var cut = try Ends.tcp()
    let half = Descriptor(owning: cut.giveNear())
    try half.writeAll(bytes(10))
    await half.abort(until: .now + .seconds(60))
    #expect(try cut.far.read(exactly: 10) == bytes(10))
    #expect(throws: Errno.connectionReset) { try cut.far.readToEnd() }
  }

  /// Every public wait obeys the cancellation of its task by itself.
  @Test func `a wait that is cancelled ends`() async throws {
    let executor = try EpollExecutor()
    defer { executor.shutdown() }
    let ends = try Ends.unix()
    let key = ends.near.withFileDescriptor { executor.attach($0) }
    for interest in [Interest(key, as: .source), nil] {
      let task = Task { try await executor.wait(for: interest, or: nil, until: .now + .seconds(600)) }
      task.cancel()
      #expect(try await task.value == [])
      let late = Task { try await executor.wait(for: interest, or: nil, until: .now + .seconds(600)) }
      // It waits by then, as a rule; if not, it is cancelled already, which ends it as well.
      try await Task.sleep(for: .milliseconds(5))
      late.cancel()
      #expect(try await late.value == [])
    }
    executor.detach(key)
  }
}
