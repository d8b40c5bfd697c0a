// Stopped at any moment, by cancellation, another thread or a signal handler: nothing lost, nothing doubled.

import Foundation
import SystemPackage
import Synchronization
import TestSupport
import Testing

@testable import Splice

/// A readiness that waits like the library's, and cancels its task at the nth wait.
private struct Cancelling: Readiness {
  let executor = EpollExecutor.shared
  let at: Int
  let waits = Counter()

  final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
  }

  func attach(_ descriptor: FileDescriptor) -> RegistrationKey { executor.attach(descriptor) }
  func detach(_ key: RegistrationKey) { executor.detach(key) }
  func interrupt(_ key: RegistrationKey) { executor.interrupt(key) }
  func wait(
    for first: Interest?, or second: Interest?, until deadline: ContinuousClock.Instant?
  ) async throws(Errno) -> ReadySet {
    if waits.next() == at { withUnsafeCurrentTask { $0?.cancel() } }
    return try await executor.wait(for: first, or: second, until: deadline)
  }
}

private let globalStop = try! StopFlag()

@Suite(.mayBlock) struct StopTests {
  /// A flow from a unix socket to a slow pipe, whose reader reads everything in the end.
  private struct Course: ~Copyable {
    let content = bytes(600_000)
    var source: Ends
    var sink: Ends
    var writer: Work<Void>
    var reader: Work<[UInt8]>

    init() throws {
      var source = try Ends.unix()
      var sink = try Ends.pipe(size: 4096)
      let (near, far) = (source.giveNear(), sink.giveFar())
      writer = onThread { [content] in
        let near = Descriptor(owning: near)
        var left = content[...]
        while !left.isEmpty {
          try near.writeAll(left.prefix(7_001))
          left = left.dropFirst(7_001)
          usleep(100)
        }
      }
      reader = onThread { try Descriptor(owning: far).readToEnd() }
      self.source = consume source
      self.sink = consume sink
    }
  }

  @Test(arguments: SplicePipe.Storage.allCases, [1, 2, 3, 5, 8, 13, 21, 34, 55, 89])
  func `cancellation works at every wait`(_ body: SplicePipe.Storage, _ at: Int) async throws {
    // Cancelled at the nth wait, the same pipe goes on to the end.
    let task = Task {
      let course = try Course()
      var pipe = try SplicePipe(body, capacity: 65536)
      do throws(SpliceError) {
        try await pipe.forward(from: course.source.far, to: course.sink.near, waitingOn: Cancelling(at: at))
      } catch { #expect(error == .cancelled) }
      #expect(pipe.received - pipe.delivered == UInt64(pipe.count))
      try pipe.forward(from: course.source.far, to: course.sink.near, waitingIn: .poll)
      #expect(pipe.count == 0 && pipe.delivered == 600_000)
      try course.writer.join()
      return (course.content, course.reader)
    }
    let (content, reader) = try await task.value
    #expect(try reader.join() == content)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `cancellation from outside wakes a parked flow`(_ body: SplicePipe.Storage) async throws {
    let source = try Ends.unix()
    let twin = try source.far.duplicate()
    let task = Task { () -> SpliceError? in
      do throws(SpliceError) {
        var pipe = SplicePipe.forTests(body)
        let source = Descriptor(owning: twin)
        try await pipe.forward(from: source, to: try! device("/dev/null"))
        return nil
      } catch { return error }
    }
    task.cancel()
    #expect(await task.value == .cancelled)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a blocking flow may be stopped at every turn`(_ body: SplicePipe.Storage) async throws {
    // Another thread stops again and again; each time the flow is resumed until it ends by itself.
    var course = try Course()
    var pipe = try SplicePipe(body, capacity: 65536)
    var stops = 0
    while true {
      let stop = try StopFlag()
      let turns = stops % 50
      let stopper = onThread {
        for _ in 0..<turns { sched_yield() }
        stop.stop()
      }
      do throws(SpliceError) {
        try pipe.forward(
          from: course.source.far, to: course.sink.near, waitingIn: BlockingWait(orStoppedBy: stop))
        try? stopper.join()
        break
      } catch {
        #expect(error == .cancelled)
        #expect(pipe.received - pipe.delivered == UInt64(pipe.count))
        stops += 1
      }
      try stopper.join()
    }
    try course.writer.join()
    course.sink.near = try device("/dev/null")
    #expect(try course.reader.join() == course.content, "after \(stops) stops")
  }

  @Test func `a signal handler stops a blocking flow`() throws {
    // One after the other: a handler has but one stop to give.
    for body in SplicePipe.Storage.allCases { try signalStops(body) }
  }

  private func signalStops(_ body: SplicePipe.Storage) throws {
    let source = try Ends.unix()
    globalStop.reset()
    signal(SIGUSR2) { _ in globalStop.stop() }
    let twin = try source.far.duplicate()
    let flow = onThread {
      var pipe = try SplicePipe(body)
      try pipe.write(bytes(10))
      do throws(SpliceError) {
        try pipe.forward(
          from: Descriptor(owning: twin), to: try! device("/dev/full"),
          upTo: 1 << 20,
          options: FlowOptions(via: .copy), waitingIn: .poll)
      } catch {}
      // Ten bytes that could not be written, and a source that says nothing.
      let spare = try Ends.unix()
      do throws(SpliceError) {
        try pipe.forward(
          from: spare.far, to: spare.near, upTo: 0, waitingIn: BlockingWait(orStoppedBy: globalStop))
        try pipe.forward(from: spare.far, to: spare.near, waitingIn: BlockingWait(orStoppedBy: globalStop))
        return ("ended", pipe.isBalanced)
      } catch { return ("\(error)", pipe.isBalanced) }
    }
    kill(getpid(), SIGUSR2)
    let (outcome, balanced) = try flow.join()
    #expect(outcome == "cancelled" && balanced)
  }
}

extension SplicePipe {
  fileprivate static func forTests(_ body: SplicePipe.Storage) -> SplicePipe { try! SplicePipe(body) }

  /// As a stop leaves it whose word was taken back while another thread was giving it.
  @Test func `an event without a word wakes once`() throws {
    let stop = try StopFlag()
    Syscall.signal(eventfd: stop.descriptor)
    let poll = BlockingWait(until: .now + .milliseconds(300), orStoppedBy: stop)
    var waits = 0
    #expect(throws: SpliceError.timedOut) {
      while true {
        poll.pause(for: .seconds(20))
        waits += 1
        try poll.check()
      }
    }
    #expect(waits <= 3)
    stop.stop()
    #expect(throws: SpliceError.cancelled) { try poll.check() }
  }
}
