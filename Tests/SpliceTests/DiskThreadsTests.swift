// The threads that may wait for a disk: who hangs there holds up nobody else.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct DiskThreadsTests {
  @Test func `a disk that hangs holds up nobody`() async throws {
    let threads = DiskThreads()
    let (hung, go) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    // More than there are threads as a rule.
    let hanging = (0..<10).map { _ in
      Task(executorPreference: MayBlock.threads) {
        await threads.run {
          hung.signal()
          go.wait()
        }
      }
    }
    // All of them run, and one more does.
    let end = DispatchTime.now() + 60
    let run = hanging.filter { _ in hung.wait(timeout: end) == .success }
    #expect(run.count == hanging.count)
    if run.count == hanging.count { #expect(await threads.run { true }) }
    for _ in hanging { go.signal() }
    for task in hanging { await task.value }
    #expect(await threads.run { true })
  }

  @Test func `a file is asked for on a thread that may wait`() throws {
    // An event thread does not learn the size or the file system of a file by itself.
    let file = try TemporaryFile(bytes(100_000)).open(.readOnly)
    var probe = DiskProbe()
    func ask(_ file: borrowing Descriptor) -> Bool { probe.mayWait(for: file, at: nil) }
    var answers = [ask(file)]
    probe.look(at: file)
    answers.append(ask(file))
    probe.advance(by: 99_999)
    answers.append(ask(file))
    // At its end there may be more.
    probe.advance(by: 1)
    answers.append(ask(file))
    #expect(answers == [true, false, false, true])
    // What lives on no disk of this machine is never read there.
    let foreign = Descriptor(owning: try FileDescriptor.open("/proc/self/status", .readOnly))
    probe = DiskProbe()
    answers = [ask(foreign)]
    probe.look(at: foreign)
    answers.append(ask(foreign))
    #expect(answers == [true, true])
  }

  @Test func `what is known of one file says nothing of the next`() throws {
    let files = try (0..<2).map { _ in
      FanOut.Recording.File(try TemporaryFile(bytes(100_000)).open(.readOnly))
    }
    var flow = Flow(limit: .max)
    func mayWait(for file: FanOut.Recording.File, _ thread: Flow.Thread) -> Bool {
      flow.mayWait(for: file.descriptor, of: file, at: 0, on: thread)
    }
    var answers: [Bool] = []
    for file in files + files {
      answers.append(mayWait(for: file, .mustNotWait))
      _ = mayWait(for: file, .mayWaitForDisk)
      answers.append(mayWait(for: file, .mustNotWait))
    }
    #expect(answers == [true, false, true, false, true, false, true, false])
  }
}
