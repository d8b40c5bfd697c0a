// The invariant of fan-outs, at random: sources, sinks, policies, times of attaching and detaching, slow and
// bursty readers. Whoever is waited for, or replays, gets exactly the stream from where it was attached;
// whoever skips gets one whose gaps are what was counted, and which begin and end on the alignment.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// One sink of a random course, and what it got.
private struct Got: Sendable {
  let name: String
  let start: Int
  let wasDetached: Bool
  let bytes: [UInt8]
  let failure: SpliceError?
  let counters: FanOut.Counters
  let reason: FanOut.DetachReason?
}

/// A reader that takes what it gets in pieces of any size, and rests now and then.
private func read(_ end: FileDescriptor, seed: UInt64) throws -> [UInt8] {
  var random = Random(seed: seed)
  defer { try? end.close() }
  let rests = Int.random(in: 0...3, using: &random) * 500
  var got: [UInt8] = []
  while true {
    var chunk = [UInt8](repeating: 0, count: Int.random(in: 1...100_000, using: &random))
    let count: Int
    do { count = try chunk.withUnsafeMutableBytes { try Syscall.read(end, into: $0) } } catch Errno
      .connectionReset
    {
      // What was cut off does not look like an end.
      return got
    }
    if count == 0 { return got }
    got += chunk[..<count]
    if Int.random(in: 0..<4, using: &random) == 0 { usleep(useconds_t(rests)) }
  }
}

private final class Course: Sendable {
  let fan: FanOut
  let recording: FanOut.Recording?
  let waiting: Waiting

  init(_ fan: FanOut, _ recording: FanOut.Recording?, _ waiting: Waiting) {
    (self.fan, self.recording, self.waiting) = (fan, recording, waiting)
  }

  /// Attaches a sink of any kind, and serves it to the end.
  func serve(_ seed: UInt64, detachingAt place: UInt64?) async throws -> Got {
    var random = Random(seed: seed)
    var policies: [(String, FanOut.Policy)] = [("wait", .wait), ("skip", .skip), ("detach", .detach())]
    if let recording { policies.append(("replay", .replay(recording))) }
    let (name, policy) = policies.randomElement(using: &random)!
    let kind = Ends.Kind.allCases.randomElement(using: &random)!
    var ends = try Ends.make(kind)
    // Readers wait in read.
    let (near, far) = (ends.giveNear(), ends.giveFar())
    try Syscall.setStatusFlags(of: far, to: Syscall.statusFlags(of: far) & ~O_NONBLOCK)
    let reading = onThread { try read(far, seed: seed) }
    let sink = try fan.attach(policy)
    let watch = place.map { place in
      onThread { [fan] in
        while fan.position < place, !fan.isFinished { usleep(200) }
        sink.detach()
      }
    }
    var failure: SpliceError?
    let socket = Descriptor(owning: near)
    do throws(SpliceError) {
      switch waiting {
      case .async: try await sink.drain(to: socket)
      case .blocking: try sink.drain(to: socket, waitingIn: .poll)
      }
    } catch { failure = error }
    if failure == nil {
      try socket.close()
    } else {
      socket.abort(waitingIn: BlockingWait(until: .now + .seconds(60)))
    }
    try watch?.join()
    return Got(
      name: "\(name) to \(kind), seed \(seed)", start: Int(sink.start), wasDetached: place != nil,
      bytes: try reading.join(), failure: failure, counters: sink.counters, reason: sink.reason)
  }
}

@Suite(.mayBlock) struct FanOutPropertyTests {
  @Test(arguments: Way.allCases)
  func `every sink got what the report says`(_ way: Way) async throws {
    // A script may ask for more, and for other seeds.
    let environment = ProcessInfo.processInfo.environment
    let rounds = environment["SPLICE_FANOUT_ROUNDS"].flatMap(Int.init) ?? 25
    let first = environment["SPLICE_FANOUT_SEED"].flatMap(UInt64.init) ?? 100
    for round in 0..<rounds { try await run(way, seed: first + UInt64(round)) }
  }

  private func run(_ way: Way, seed: UInt64) async throws {
    var random = Random(seed: seed)
    let alignment = [1, 1, 188, 1000].randomElement(using: &random)!
    let content = bytes(Int.random(in: 0...2_000_000, using: &random), seed: seed)
    let fan = try FanOut(way.body, alignedTo: alignment)
    // A recording, or none.
    let file = try TemporaryFile()
    let recorder = try fan.attach()
    let isRecorded = Bool.random(using: &random)
    let recording =
      isRecorded ? try FanOut.Recording(file.open(.readOnly), writtenBy: recorder) : nil
    let recorded = Task(executorPreference: MayBlock.threads) {
      try await recorder.drain(to: file.open(.writeOnly))
    }
    let course = Course(fan, recording, way.waiting)

    let fromFile = Int.random(in: 0..<4, using: &random) == 0
    var ends = try Ends.make(Ends.Kind.allCases.randomElement(using: &random)!)
    let source = fromFile ? try TemporaryFile(content).open(.readOnly).release() : ends.giveFar()
    let near = ends.giveNear()
    let feeding = onThread {
      var random = Random(seed: seed &* 31)
      let near = Descriptor(owning: near)
      var left = fromFile ? [] : content[...]
      while !left.isEmpty {
        let size = Bool.random(using: &random) ? Int.random(in: 1...300, using: &random) : 60_000
        try near.writeAll(left.prefix(size))
        left = left.dropFirst(size)
        if Int.random(in: 0..<16, using: &random) == 0 { usleep(200) }
      }
    }
    let early = Int.random(in: 0...4, using: &random)
    let late = Int.random(in: 0...3, using: &random)
    let places = (0..<early + late).map { _ in
      (UInt64.random(in: 0...UInt64(content.count), using: &random), Bool.random(using: &random))
    }
    let all = try await withThrowingTaskGroup(of: Got?.self) { tasks in
      for number in 0..<early + late {
        let (place, leaves) = places[number]
        tasks.addTask {
          // Late ones come when so much has gone by.
          while number >= early, fan.position < place, !Task.isCancelled { usleep(200) }
          let leave = leaves ? min(UInt64(content.count), fan.position + place / 2) : nil
          return try await course.serve(seed &* 1000 + UInt64(number), detachingAt: leave)
        }
      }
      tasks.addTask {
        let source = Descriptor(owning: source)
        switch way.waiting {
        case .async: try await fan.fill(from: source)
        case .blocking: try fan.fill(from: source, waitingIn: .poll)
        }
        fan.finish()
        return nil
      }
      return try await tasks.reduce(into: [Got]()) { if let got = $1 { $0.append(got) } }
    }
    try feeding.join()
    #expect(try await recorded.value == UInt64(content.count))
    #expect(try file.contents == content)
    for got in all { check(got, content, alignment) }
  }

  private func check(_ got: Got, _ content: [UInt8], _ alignment: Int) {
    let counters = got.counters
    #expect(counters.delivered == UInt64(got.bytes.count), "\(got.name)")
    #expect(got.failure == nil || got.reason != nil, "\(got.name): \(got.failure!)")
    guard let parts = parts(of: got.bytes, in: content, from: got.start, alignedTo: alignment) else {
      Issue.record("\(got.name): bytes that were never sent")
      return
    }
    if counters.gaps == 0 {
      // The stream from where it was attached: all of it, or as far as it stayed.
      #expect(parts.isEmpty || parts == [got.start..<got.start + got.bytes.count], "\(got.name)")
      if !got.wasDetached, got.reason == nil {
        #expect(got.start + got.bytes.count == content.count, "\(got.name)")
      }
      return
    }
    let last = parts.last?.upperBound ?? got.start
    let seen = last - got.start - got.bytes.count
    // What it missed at the very end leaves no trace but in the count.
    #expect(seen <= Int(counters.skipped) && parts.count <= counters.gaps + 1, "\(got.name)")
    if !got.wasDetached {
      #expect(got.start + got.bytes.count + Int(counters.skipped) == content.count, "\(got.name)")
    }
    for (part, next) in zip(parts, parts.dropFirst()) {
      #expect(part.upperBound % alignment == 0 && next.lowerBound % alignment == 0, "\(got.name)")
    }
  }
}
