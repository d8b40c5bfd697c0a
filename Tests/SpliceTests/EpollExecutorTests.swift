// The event thread: jobs and waits, numbers used again, files that live on in a duplicate, a thousand flows
// at once.

import Foundation
import Splice
import Synchronization
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock, .serialized) struct EpollExecutorTests {
  @Test func `tasks and actors run on its thread`() async throws {
    let executor = try EpollExecutor(name: "test")
    await withTaskExecutorPreference(executor) {
      #expect(EpollExecutor.current === executor)
      await Task.yield()
      #expect(EpollExecutor.current === executor)
    }
    #expect(EpollExecutor.current == nil)
    actor Resident {
      let executor: EpollExecutor
      init(_ executor: EpollExecutor) { self.executor = executor }
      nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
      func isAtHome() -> Bool { EpollExecutor.current === executor }
    }
    #expect(await Resident(executor).isAtHome())
    executor.shutdown()
  }

  @Test func `a flow that is over is not continued`() async throws {
    // Two events of one poll are for the same flow, and the first ends it. The flow is an actor's: its task
    // goes on at once, on another thread, while this one is still busy with the second.
    actor Resident {
      let executor: EpollExecutor
      init(_ executor: EpollExecutor) { self.executor = executor }
      nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
      func relay(_ left: FileDescriptor, _ right: FileDescriptor) async throws -> UInt64 {
        var duplex = Duplex()
        try await duplex.run(between: Descriptor(owning: left), and: Descriptor(owning: right))
        return duplex.forward.delivered + duplex.backward.delivered
      }
    }
    let executor = try EpollExecutor()
    let resident = Resident(executor)
    for _ in 0..<200 {
      var left = try Ends.unix()
      var right = try Ends.unix()
      let (near, far) = (left.giveFar(), right.giveNear())
      let flow = Task { try await resident.relay(near, far) }
      // Both ways, so that it waits for both.
      try left.near.writeAll(bytes(100))
      #expect(try right.far.read(exactly: 100) == bytes(100))
      try right.far.writeAll(bytes(50))
      #expect(try left.near.read(exactly: 50) == bytes(50))
      let (busy, go) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      let blocker = Task(executorPreference: executor) {
        busy.signal()
        go.wait()
      }
      busy.wait()
      for socket in [left.giveNear(), right.giveFar()] { try Syscall.close(socket) }
      go.signal()
      await blocker.value
      #expect(try await flow.value == 150)
    }
    executor.shutdown()
  }

  @Test func `a task that makes way for itself holds up nobody`() async throws {
    let executor = try EpollExecutor()
    let ends = try Ends.pipe()
    let hasCome = Flag()
    let (began, far) = (DispatchSemaphore(value: 0), try ends.far.duplicate())
    // Alone in the queue at each turn, so that the thread never looks idle.
    let busy = Task(executorPreference: executor) {
      began.signal()
      let end = ContinuousClock.now + .seconds(30)
      while !hasCome.isSet, .now < end { await Task.yield() }
      return hasCome.isSet
    }
    began.wait()
    let waiting = Task(executorPreference: executor) {
      let far = Descriptor(owning: far)
      var deadlines = 0
      do throws(SpliceError) {
        try await far.wait(as: .source, until: .now + .milliseconds(20), waitingOn: executor)
      } catch { deadlines += 1 }
      try await far.wait(as: .source, until: nil, waitingOn: executor)
      hasCome.set()
      return deadlines
    }
    let cancelled = Task(executorPreference: executor) {
      let nothing = try Ends.pipe()
      do throws(SpliceError) {
        try await nothing.far.wait(as: .source, until: nil, waitingOn: executor)
        return false
      } catch { return error == .cancelled }
    }
    try ends.near.writeAll([1])
    cancelled.cancel()
    #expect(try await cancelled.value)
    _ = try await waiting.value
    #expect(await busy.value)
    executor.shutdown()
  }

  @Test func `a descriptor that is not open is an error`() async throws {
    let zero = try device("/dev/zero")
    var pipe = try SplicePipe()
    try await #require(throws: SpliceError.source(.badFileDescriptor)) {
      try await pipe.forward(from: Descriptor(owning: FileDescriptor(rawValue: -1)), to: zero)
    }
    try await #require(throws: SpliceError.sink(.badFileDescriptor)) {
      try await pipe.forward(from: zero, to: Descriptor(owning: FileDescriptor(rawValue: -1)))
    }
    var duplex = Duplex()
    let socket = try Ends.unix()
    await #expect(throws: Duplex.Failure.self) {
      try await duplex.run(between: socket.near, and: Descriptor(owning: FileDescriptor(rawValue: -1)))
    }
  }

  @Test func `a refused wait leaves the other descriptor watched`() async throws {
    let executor = try EpollExecutor(name: "refused")
    defer { executor.shutdown() }
    let socket = try Ends.unix()
    // An epoll instance may watch another one, but not as many deep as it likes.
    var chain = [try Syscall.epollCreate()]
    defer { for epoll in chain { try? Syscall.close(epoll) } }
    var isDeepest = false
    while !isDeepest, chain.count < 100 {
      let last = chain.last!
      chain.append(try Syscall.epollCreate())
      do throws(Errno) {
        try Syscall.epollControl(chain.last!, .add, last, events: Syscall.EpollEvents.input, key: 0)
      } catch {
        try Syscall.close(chain.removeLast())
        isDeepest = true
      }
    }
    let bad = executor.attach(chain.last!)
    defer { executor.detach(bad) }
    let good = executor.attach(socket.far.withFileDescriptor { $0 })
    defer { executor.detach(good) }
    await #expect(throws: Errno.tooManySymbolicLinkLevels) {
      _ = try await executor.wait(
        for: Interest(bad, as: .source), or: Interest(good, as: .source), until: nil)
    }
    try socket.near.writeAll([1])
    let ready = try await executor.wait(
      for: Interest(good, as: .source), or: nil, until: .now + .seconds(20))
    #expect(ready == .first)
  }

  @Test func `a pause of the pace is cancelled at once`() async throws {
    let begin = ContinuousClock.now
    for _ in 0..<10 {
      let left = try Ends.unix()
      let right = try Ends.unix()
      try left.near.writeAll(bytes(100))
      let (source, sink) = (try left.far.duplicate(), try right.near.duplicate())
      let flow = Task {
        var pipe = SplicePipe(from: .shared)
        try await pipe.forward(
          from: Descriptor(owning: source), to: Descriptor(owning: sink),
          options: FlowOptions(pace: Pace(bytesPerSecond: 1)))
      }
      // The next byte is a second away.
      try await right.far.wait(as: .source, until: .now + .seconds(20), waitingOn: .epoll)
      flow.cancel()
      await #expect(throws: SpliceError.cancelled) { try await flow.value }
    }
    #expect(ContinuousClock.now - begin < .seconds(5))
  }

  @Test func `a flow wakes on the thread it runs on`() async throws {
    let executor = try EpollExecutor()
    var ends = try Ends.unix()
    let near = ends.giveNear()
    let writer = onThread {
      let near = Descriptor(owning: near)
      for _ in 0..<100 { try near.writeAll(bytes(5000)) }
    }
    let far = ends.giveFar()
    let moved = try await withTaskExecutorPreference(executor) {
      let far = Descriptor(owning: far)
      var pipe = try SplicePipe()
      let moved = try await pipe.forward(from: far, to: try device("/dev/null"))
      #expect(EpollExecutor.current === executor)
      return moved
    }
    #expect(moved == 500_000)
    try writer.join()
    executor.shutdown()
  }

  @Test func `a duplicate or a child that lives on wakes nobody`() async throws {
    // The registration takes itself out: a dup or a child keeps the file open, and its late data would
    // otherwise be told of under the number's next owner.
    let executor = try EpollExecutor()
    let source = try Ends.unix()
    let kept = source.far.withFileDescriptor { dup($0.rawValue) }
    var child = pid_t()
    var arguments = [strdup("sleep"), strdup("60"), nil]
    // `kept` is not closed on exec, so the child has it too.
    #expect(posix_spawnp(&child, "sleep", nil, nil, &arguments, nil) == 0)
    defer {
      kill(child, SIGKILL)
      waitpid(child, nil, 0)
      close(kept)
    }
    for _ in 0..<50 {
      let twin = try source.far.duplicate()
      let flow = Task(executorPreference: executor) {
        var pipe = try SplicePipe(capacity: 4096)
        let own = Descriptor(owning: twin)
        let nowhere = try device("/dev/null")
        do throws(SpliceError) {
          try await pipe.forward(from: own, to: nowhere, until: .now + .milliseconds(1))
          return false
        } catch { return error == .timedOut }
      }
      #expect(try await flow.value)
    }
    // Data now arrives for the open file of all those registrations; a new flow on a number used again sees
    // its own only.
    try source.near.writeAll(bytes(10))
    var other = try Ends.unix()
    let far = other.giveFar()
    let quiet = Task(executorPreference: executor) {
      var pipe = try SplicePipe(capacity: 4096)
      let nowhere = try device("/dev/null")
      do throws(SpliceError) {
        try await pipe.forward(
          from: Descriptor(owning: far), to: nowhere, until: .now + .milliseconds(20))
        return false
      } catch { return error == .timedOut && pipe.received == 0 }
    }
    #expect(try await quiet.value)
    executor.shutdown()
  }

  @Test func `two flows share a descriptor`() async throws {
    // One reads from the socket, another writes to it, at the same time: two tasks, one registration.
    var ends = try Ends.tcp()
    let far = ends.giveFar()
    let echo = onThread {
      let echo = Descriptor(owning: far)
      for _ in 0..<100 { try echo.writeAll(try echo.read(exactly: 10_000)) }
    }
    let content = bytes(1_000_000)
    let file = try TemporaryFile(content).open(.readOnly)
    let copy = try TemporaryFile()
    let sink = try copy.open(.writeOnly)
    let near = ends.near.withFileDescriptor { $0 }
    async let sent: UInt64 = {
      var pipe = try SplicePipe()
      let socket = Descriptor(owning: near)
      let moved = try await pipe.forward(from: file, to: socket)
      _ = socket.release()
      return moved
    }()
    var pipe = try SplicePipe()
    try await pipe.forward(from: ends.near, to: sink, upTo: 1_000_000)
    #expect(try await sent == 1_000_000)
    #expect(try copy.contents == content)
    try echo.join()
  }

  @Test func `a thousand flows run at once, with no descriptor left`() async throws {
    // In a process of its own, where nobody else opens descriptors.
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      let executor = try EpollExecutor(name: "thousand")
      _ = EpollExecutor.shared
      let before = try openDescriptors()
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for number in 0..<1000 {
          group.addTask(executorPreference: executor) { try await Self.rounds(seed: UInt64(number)) }
        }
        for try await right in group { precondition(right) }
      }
      let after = try openDescriptors()
      precondition(after == before, "left: \(after.subtracting(before))")
    }
    // Says what went wrong in there.
    #expect(result.map { String(decoding: $0.standardErrorContent, as: UTF8.self) } == "")
  }

  /// In rounds, so that each flow waits many times while a thousand others do.
  private static func rounds(seed: UInt64) async throws -> Bool {
    let content = bytes(20_000, seed: seed)
    let source = try Ends.unix()
    let sink = try Ends.unix()
    var pipe = try SplicePipe(capacity: 4096)
    for start in stride(from: 0, to: content.count, by: 5000) {
      try source.near.writeAll(content[start..<start + 5000])
      try await pipe.forward(from: source.far, to: sink.near, upTo: 5000)
      await Task.yield()
      guard try sink.far.read(exactly: 5000) == Array(content[start..<start + 5000]) else { return false }
    }
    return pipe.received - pipe.delivered == UInt64(pipe.count)
  }

  @Test func `a thousand flows that wait for each other`() async throws {
    // A chain: each flow's sink is the next one's source, so that all but one are always parked.
    let executor = try EpollExecutor(name: "chain")
    let count = 1000
    var head = try Ends.unix()
    let first = head.giveNear()
    var from = head.giveFar()
    try await withThrowingTaskGroup(of: UInt64.self) { group in
      for _ in 0..<count {
        var link = try Ends.unix()
        let (source, sink) = (from, link.giveNear())
        from = link.giveFar()
        group.addTask(executorPreference: executor) {
          var pipe = try SplicePipe(capacity: 4096)
          return try await pipe.forward(from: Descriptor(owning: source), to: Descriptor(owning: sink))
        }
      }
      let content = bytes(50_000)
      let writer = onThread { try Descriptor(owning: first).writeAll(content) }
      let last = from
      let reader = onThread { try Descriptor(owning: last).readToEnd() }
      for try await moved in group { #expect(moved == 50_000) }
      try writer.join()
      #expect(try reader.join() == content)
    }
    executor.shutdown()
  }

  @Test func `a disk leaves the event thread`() async throws {
    // A file sink may wait for its disk, so the drain happens elsewhere, and the flow comes back.
    let executor = try EpollExecutor()
    let content = bytes(3_000_000)
    let (original, copy) = (try TemporaryFile(content), try TemporaryFile())
    let home = try await withTaskExecutorPreference(executor) {
      var pipe = try SplicePipe()
      try await pipe.forward(from: original.open(.readOnly), to: copy.open(.writeOnly))
      return EpollExecutor.current === executor
    }
    #expect(home)
    #expect(try copy.contents == content)
    executor.shutdown()
  }
}

/// A word from one task to another.
private final class Flag: Sendable {
  private let flag = Atomic<Bool>(false)
  var isSet: Bool { flag.load(ordering: .acquiring) }
  func set() { flag.store(true, ordering: .releasing) }
}
