// Flows and waits of one end: files, limits, paces, deadlines, and a stress of both ends waiting for each
// other in every way.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct EndFlowTests {
  @Test(arguments: SplicePipe.Storage.allCases)
  func `files flow through both ends`(_ body: SplicePipe.Storage) async throws {
    let content = bytes(3_000_001, seed: 4)
    let (source, sink) = (try TemporaryFile(content), try TemporaryFile())
    let outcome = try await SplicePipe(body).split().run(
      reading: { reader in try await reader.drain(to: sink.open(.writeOnly)) },
      writing: { writer in try await writer.fill(from: source.open(.readOnly)) })
    #expect(outcome == (3_000_001, 3_000_001))
    #expect(try sink.contents == content)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a limit and a pace hold at an end`(_ body: SplicePipe.Storage) async throws {
    let source = try TemporaryFile(bytes(200_000))
    let outcome = try await SplicePipe(body).split().run(
      reading: { reader in try await reader.drain(to: device("/dev/null", .writeOnly)) },
      writing: { writer in
        let start = ContinuousClock.now
        let file = try source.open(.readOnly)
        let moved = try await writer.fill(
          from: file, upTo: 100_000, options: FlowOptions(pace: Pace(bytesPerSecond: 500_000)))
        return (moved, ContinuousClock.now - start)
      })
    #expect(outcome.read == 100_000)
    #expect(outcome.written.0 == 100_000)
    // A share goes at once, and no burst is larger than a quarter of a second's.
    #expect(outcome.written.1 >= .milliseconds(100))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a wait in a task ends at its deadline`(_ body: SplicePipe.Storage) async throws {
    var ends = try SplicePipe(body, capacity: 4096).split()
    var answers: [SpliceError] = []
    let soon = ContinuousClock.now + .milliseconds(5)
    do throws(SpliceError) { try await ends.reader.wait(until: soon) } catch { answers.append(error) }
    #expect(try ends.writer.write(bytes(4096)) == .bytes(4096))
    do throws(SpliceError) { try await ends.writer.wait(until: soon) } catch { answers.append(error) }
    let never = try Ends.unix()
    let sink = try device("/dev/null", .writeOnly)
    do throws(SpliceError) {
      _ = try await ends.reader.drain(to: sink, until: soon)
    } catch { answers.append(error) }
    do throws(SpliceError) { _ = try await ends.writer.fill(from: never.far, until: soon) } catch {
      answers.append(error)
    }
    #expect(answers == [.timedOut, .timedOut, .timedOut, .timedOut])
    // A wait with a deadline hears of the other end all the same.
    let later = ContinuousClock.now + .seconds(300)
    let outcome = try await ends.run(
      reading: { reader in
        try await reader.wait(until: later)
        return try await reader.drain(to: device("/dev/null", .writeOnly), until: later)
      },
      writing: { writer in
        for _ in 0..<50 {
          try await writer.wait(until: later)
          _ = try writer.write(bytes(4096))
          await Task.yield()
        }
      })
    #expect(outcome.read > 0)
  }
}

@Suite(.mayBlock) struct EndAlarmTests {
  /// A flow that waits for a silent source hears that its reader has gone, in a task and on a thread.
  @Test(arguments: Waiting.allCases, SplicePipe.Storage.allCases)
  func `a silent source does not hide a lost reader`(
    _ waiting: Waiting, _ body: SplicePipe.Storage
  ) async throws {
    let ends = try SplicePipe(body).split()
    let (reader, writer) = (Box(ends.reader), Box(ends.writer))
    let silent = try Ends.unix()
    let source = try silent.far.duplicate()
    let flow = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      var writer = writer.take()
      do throws(SpliceError) {
        switch waiting {
        case .async: try await writer.fill(from: Descriptor(owning: source))
        case .blocking: try writer.fill(from: Descriptor(owning: source), waitingIn: .poll)
        }
        return nil
      } catch { return error }
    }
    try silent.near.writeAll(bytes(10))
    do {
      var reader = reader.take()
      try reader.wait(waitingIn: .poll)
    }
    #expect(await flow.value == .sink(.brokenPipe))
  }

  /// A flow that waits for a sink that never reads hears that its pipe has gone bad.
  @Test(arguments: Waiting.allCases, SplicePipe.Storage.allCases)
  func `a stalled sink does not hide a bad pipe`(_ waiting: Waiting, _ body: SplicePipe.Storage) async throws
  {
    let ends = try SplicePipe(body, capacity: 1 << 20).split()
    let (reader, writer) = (Box(ends.reader), Box(ends.writer))
    let stalled = try Ends.unix()
    let sink = try stalled.near.duplicate()
    let flow = Task(executorPreference: MayBlock.threads) { () -> SpliceError? in
      var reader = reader.take()
      do throws(SpliceError) {
        switch waiting {
        case .async: try await reader.drain(to: Descriptor(owning: sink))
        case .blocking: try reader.drain(to: Descriptor(owning: sink), waitingIn: .poll)
        }
        return nil
      } catch { return error }
    }
    var kept = writer.take()
    // Until the socket takes no more and the pipe is full.
    while try stalled.near.withFileDescriptor({ try Syscall.isReady($0, POLLOUT) }) || kept.state == .ready {
      // Full for now: the flow takes more out of it.
      if try kept.write(bytes(65_536)) == .wouldBlock { usleep(500) }
    }
    kept.invalidate()
    #expect(await flow.value == .pipe(.badMessage))
  }
}

// MARK: - Stress

/// The ways in which an end may wait. Each must hear of the other end.
private enum Patience: CaseIterable { case task, deadline, cancelled, thread }

@Suite(.mayBlock) struct EndStressTests {
  /// Both ends wait in every way there is, give up waiting and come back, while others do the same: a wake-up
  /// that is lost hangs the test, a byte that is lost fails it.
  @Test(arguments: SplicePipe.Storage.allCases)
  func `no wake-up is lost`(_ body: SplicePipe.Storage) async throws {
    try await withThrowingTaskGroup(of: (UInt64, UInt64).self) { tasks in
      for seed in 0..<24 {
        tasks.addTask {
          let ends = try SplicePipe(body, capacity: 4096 << (seed % 3)).split()
          return try await ends.run(
            reading: { reader in
              var random = Random(seed: UInt64(seed))
              var sum: UInt64 = 0
              while true {
                let (bytes, answer) = try reader.read(upTo: Int.random(in: 1...9000, using: &random))
                for byte in bytes { sum = sum &* 31 &+ UInt64(byte) }
                if answer == .endOfFile { return sum }
                if answer == .wouldBlock {
                  try await reader.wait(Patience.allCases.randomElement(using: &random)!)
                }
              }
            },
            writing: { writer in
              var random = Random(seed: UInt64(seed) + 1000)
              var sum: UInt64 = 0
              for round in 0..<150 {
                let message = bytes(Int.random(in: 1...6000, using: &random), seed: UInt64(round))
                var done = 0
                while done < message.count {
                  if case .bytes(let count) = try writer.write(Array(message[done...])) {
                    for byte in message[done..<done + count] { sum = sum &* 31 &+ UInt64(byte) }
                    done += count
                  } else {
                    try await writer.wait(Patience.allCases.randomElement(using: &random)!)
                  }
                }
              }
              return sum
            })
        }
      }
      for try await (read, written) in tasks { #expect(read == written) }
    }
  }
}

extension PipeReader {
  fileprivate mutating func wait(_ patience: Patience) async throws {
    switch patience {
    case .task: try await wait()
    case .deadline: try? await wait(until: .now + .microseconds(200))
    case .cancelled:
      await begun { [end] in
        var same = PipeReader(end: end)
        try? await same.wait()
      }
    case .thread: try? wait(waitingIn: BlockingWait(until: .now + .microseconds(200)))
    }
  }
}

extension PipeWriter {
  fileprivate mutating func wait(_ patience: Patience) async throws {
    switch patience {
    case .task: try await wait()
    case .deadline: try? await wait(until: .now + .microseconds(200))
    case .cancelled:
      await begun { [end] in
        var same = PipeWriter(end: end)
        try? await same.wait()
      }
    case .thread: try? wait(waitingIn: BlockingWait(until: .now + .microseconds(200)))
    }
  }
}

/// Begins to wait, and is cancelled at once or a little later.
private func begun(_ wait: @escaping @Sendable () async -> Void) async {
  let waiting = Task(operation: wait)
  await Task.yield()
  waiting.cancel()
  await waiting.value
}
