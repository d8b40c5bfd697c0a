// A pipe with two ends: for each body, the same.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Both ends of a new pipe, apart.
private func ends(
  _ body: SplicePipe.Storage, capacity: Int = 16 << 10, holding content: [UInt8] = []
) throws -> (reader: Box<PipeReader>, writer: Box<PipeWriter>) {
  var pipe = try SplicePipe(body, capacity: capacity)
  if !content.isEmpty { try pipe.write(content) }
  let ends = pipe.split()
  return (Box(ends.reader), Box(ends.writer))
}

@Suite(.mayBlock) struct SplitTests {
  @Test(arguments: SplicePipe.Storage.allCases)
  func `the ends share the accounts`(_ body: SplicePipe.Storage) throws {
    let both = try ends(body, holding: bytes(100))
    var reader = both.reader.take()
    var writer = both.writer.take()
    #expect(reader.state == .ready)
    #expect(writer.state == .ready)
    #expect(try writer.write(bytes(50)) == .bytes(50))
    #expect([writer.received, UInt64(writer.count), reader.delivered] == [150, 150, 0])
    #expect(try reader.read(upTo: 1000).bytes == bytes(100) + bytes(50))
    #expect([writer.received, UInt64(reader.count), reader.delivered] == [150, 0, 150])
    #expect(reader.state == .waiting)
    #expect(try reader.read(upTo: 10).answer == .wouldBlock)
    #expect(try writer.write(bytes(20_000)) == .bytes(16 << 10))
    #expect(writer.state == .waiting)
    #expect(try writer.write(bytes(1)) == .wouldBlock)
    #expect(writer.capacity == 16 << 10)
    writer.resize(to: 32 << 10)
    #expect(writer.state == .ready)
    #expect(reader.capacity == 32 << 10)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `an end that is let go is the end for the other`(_ body: SplicePipe.Storage) throws {
    let both = try ends(body)
    var reader = both.reader.take()
    do {
      var writer = both.writer.take()
      try writer.write(bytes(10))
    }
    #expect(reader.state == .ready)
    #expect(try reader.read(upTo: 100).bytes == bytes(10))
    #expect(reader.state == .closed)
    #expect(try reader.read(upTo: 100).answer == .endOfFile)
    var other = try SplicePipe(body)
    #expect(try reader.splice(to: &other) == .endOfFile)
    #expect(try reader.tee(to: &other) == .endOfFile)

    let again = try ends(body)
    var writer = again.writer.take()
    do { _ = again.reader.take() }
    #expect(writer.state == .closed)
    #expect(throws: Errno.brokenPipe) { try writer.write(bytes(10)) }
    #expect(throws: Errno.brokenPipe) { try writer.splice(from: &other) }
    let source = try TemporaryFile(bytes(10)).open(.readOnly)
    #expect(throws: SpliceError.sink(.brokenPipe)) { try writer.fill(from: source, waitingIn: .poll) }
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `two tasks wait for each other`(_ body: SplicePipe.Storage) async throws {
    let content = bytes(3_000_000, seed: 4)
    let outcome = try await SplicePipe(body, capacity: 16 << 10).split().run(
      reading: { reader in
        var all: [UInt8] = []
        while reader.state != .closed {
          all += try reader.read(upTo: 10_000).bytes
          if reader.state == .waiting { try await reader.wait() }
        }
        return all
      },
      writing: { writer in
        try await writer.writeAll(content)
        return writer.received
      })
    #expect(outcome.read == content)
    #expect(outcome.written == UInt64(content.count))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `descriptors flow through both ends in tasks`(_ body: SplicePipe.Storage) async throws {
    let content = bytes(5_000_000, seed: 9)
    let file = try TemporaryFile(content)
    let target = try TemporaryFile()
    let outcome = try await SplicePipe(body, capacity: 64 << 10).split().run(
      reading: { reader in try await reader.drain(to: target.open(.writeOnly)) },
      writing: { writer in try await writer.fill(from: file.open(.readOnly)) })
    #expect(outcome.read == 5_000_000)
    #expect(outcome.written == 5_000_000)
    #expect(try target.contents == content)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `descriptors flow through both ends on threads`(_ body: SplicePipe.Storage) throws {
    let content = bytes(2_000_000, seed: 8)
    let both = try ends(body)
    var near = try Ends.unix()
    var far = try Ends.unix()
    let (from, to) = (near.giveFar(), far.giveNear())
    let feeding = onThread { [end = near.giveNear()] in
      let end = Descriptor(owning: end)
      try end.writeAll(content)
    }
    let filling = onThread {
      var writer = both.writer.take()
      return try writer.fill(from: Descriptor(owning: from), waitingIn: .poll)
    }
    let draining = onThread {
      var reader = both.reader.take()
      return try reader.drain(to: Descriptor(owning: to), waitingIn: .poll)
    }
    #expect(try far.far.readToEnd() == content)
    try feeding.join()
    #expect(try filling.join() == 2_000_000)
    #expect(try draining.join() == 2_000_000)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a wait ends by cancellation, stop and deadline`(_ body: SplicePipe.Storage) async throws {
    let both = try ends(body, holding: bytes(16 << 10))
    // A writer that finds no room.
    let waiting = Task { () -> (String, UInt64) in
      var writer = both.writer.take()
      do {
        try await writer.wait()
        return ("ready", writer.received)
      } catch { return ("\(error)", writer.received) }
    }
    waiting.cancel()
    let (how, received) = await waiting.value
    #expect(how == "\(SpliceError.cancelled)")
    #expect(received == 16 << 10)
    var reader = both.reader.take()
    #expect(try reader.read(upTo: 20_000).bytes == bytes(16 << 10))

    let other = try ends(body)
    let kept = other.writer.take()
    let stop = try StopFlag()
    let stopped = onThread { () -> String in
      var reader = other.reader.take()
      do throws(SpliceError) {
        try reader.wait(waitingIn: BlockingWait(orStoppedBy: stop))
        return "ready"
      } catch {
        guard error == .cancelled else { return "\(error)" }
        do throws(SpliceError) { try reader.wait(waitingIn: BlockingWait(until: .now)) } catch {
          return "\(error)"
        }
        return "ready after the stop"
      }
    }
    stop.stop()
    #expect(try stopped.join() == "\(SpliceError.timedOut)")
    #expect(kept.state == .closed)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a bad pipe tells both ends, and still shows its bytes`(_ body: SplicePipe.Storage) async throws {
    let both = try ends(body, holding: bytes(100))
    let reading = Task { () -> String in
      var reader = both.reader.take()
      _ = try reader.read(upTo: 90)
      while reader.state == .ready { _ = try reader.read(upTo: 1) }
      do { try await reader.wait() } catch { return "\(error)" }
      var seen: [UInt8] = []
      do { seen = try reader.read(upTo: 10).bytes } catch { return "\(reader.state) \(error)" }
      return "\(seen)"
    }
    var writer = both.writer.take()
    while writer.count > 0 { await Task.yield() }
    writer.invalidate()
    #expect(try await reading.value == "\(EndState.invalid) \(Errno.badMessage)")
    #expect(writer.state == .invalid)
    #expect(throws: Errno.badMessage) { try writer.write(bytes(1)) }

    let again = try ends(body, holding: bytes(100))
    var reader = again.reader.take()
    reader.invalidate()
    #expect(throws: Errno.badMessage) { try reader.read(upTo: 1).answer }
    let sink = try device("/dev/null", .writeOnly)
    #expect(throws: SpliceError.pipe(.badMessage)) { try reader.drain(to: sink, waitingIn: .poll) }
    let left = try [UInt8](unsafeUninitializedCapacity: 200) { buffer, initialized in
      var output = OutputRawSpan(buffer: UnsafeMutableRawBufferPointer(buffer), initializedCount: 0)
      let transfer = try reader.inspect(into: &output)
      #expect(transfer == .bytes(100))
      initialized = output.byteCount
    }
    #expect(left == bytes(100))
  }

  @Test func `an end is given to another process`() throws {
    let both = try ends(.kernel, capacity: 64 << 10)
    let child = Process()
    child.executableURL = URL(fileURLWithPath: "/bin/sh")
    child.arguments = ["-c", "head -c 100000 | md5sum"]
    let output = Pipe()
    child.standardOutput = output
    let stdin = try both.reader.take().release()
    child.standardInput = FileHandle(fileDescriptor: stdin.rawValue, closeOnDealloc: false)
    try child.run()
    try stdin.close()
    var writer = both.writer.take()
    let source = try TemporaryFile(bytes(5_000_000, seed: 6)).open(.readOnly)
    // The child takes what it wants and goes: the writer hears of it as of any reader.
    #expect(throws: SpliceError.sink(.brokenPipe)) { try writer.fill(from: source, waitingIn: .poll) }
    #expect(writer.state == .closed)
    child.waitUntilExit()
    let expected = Process()
    expected.executableURL = URL(fileURLWithPath: "/usr/bin/md5sum")
    let file = try TemporaryFile(Array(bytes(5_000_000, seed: 6)[..<100_000]))
    let sum = Pipe()
    expected.arguments = []
    expected.standardInput = FileHandle(forReadingAtPath: file.path.string)
    expected.standardOutput = sum
    try expected.run()
    expected.waitUntilExit()
    #expect(
      output.fileHandleForReading.readDataToEndOfFile() == sum.fileHandleForReading.readDataToEndOfFile())
  }

  @Test func `the writer may be in another process too`() throws {
    let both = try ends(.kernel)
    let elsewhere = Descriptor(owning: try both.writer.take().release())
    var reader = both.reader.take()
    #expect(reader.state == .waiting)
    try elsewhere.writeAll(bytes(300))
    #expect(reader.count == 300)
    #expect(reader.state == .ready)
    let sink = try TemporaryFile()
    let closing = onThread { [end = try elsewhere.duplicate()] in try end.close() }
    try closing.join()
    try elsewhere.close()
    #expect(try reader.drain(to: sink.open(.writeOnly), waitingIn: .poll) == 300)
    #expect(try sink.contents == bytes(300))
    #expect(reader.state == .closed)
    // A pipe in memory has no descriptor to give, and its end is let go all the same.
    let memory = try ends(.memory)
    #expect(throws: Errno.notSupported) { try memory.reader.take().release() }
    #expect(memory.writer.take().state == .closed)
  }

  @Test func `ten thousand pipes exist at once, and every segment is freed once`() async throws {
    let before = Segment.alive.load(ordering: .relaxed)
    let content = bytes(3000)
    let total = try await withThrowingTaskGroup(of: Int.self) { tasks in
      for _ in 0..<10_000 {
        tasks.addTask {
          let outcome = try await SplicePipe(.memory, capacity: 4096).split().run(
            reading: { reader in
              var count = 0
              while let segment = try await reader.next() { count += segment.count }
              return count
            },
            writing: { writer in
              for _ in 0..<3 { try await writer.writeAll(content) }
            })
          return outcome.read
        }
      }
      return try await tasks.reduce(0, +)
    }
    #expect(total == 90_000_000)
    // Other tests have segments too, and let them go at their own time.
    while Segment.alive.load(ordering: .relaxed) > before + 1000 { await Task.yield() }
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `the first error of the two is thrown`(_ body: SplicePipe.Storage) async throws {
    struct Mine: Error {}
    await #expect(throws: Mine.self) {
      _ = try await SplicePipe(body, capacity: 4096).split().run(
        reading: { _ in throw Mine() },
        writing: { writer in try await writer.writeAll(bytes(1_000_000)) })
    }
  }
}
