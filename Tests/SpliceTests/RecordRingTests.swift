// Records of many threads for one.

import Foundation
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct RecordRingTests {
  /// Everything that is ready, as records.
  private func take(_ ring: RecordRing, upTo limit: Int = .max, keeping kept: Int = 0) -> [[UInt8]] {
    let ready = ring.ready(upTo: limit)
    var bytes = Array(ready.first) + Array(ready.second)
    let records = (0..<ready.records).map { record in
      let length = ring.length(record)
      defer { bytes.removeFirst(length) }
      return Array(bytes.prefix(length))
    }
    #expect(bytes.isEmpty)
    ring.take(ready.records)
    ring.release(butFor: kept)
    return records
  }

  @Test func `records come out as they went in`() throws {
    let ring = try RecordRing(capacity: 4096)
    var random = Random(seed: 7)
    var waiting: [[UInt8]] = []
    var held = 0
    for number in 0..<20_000 {
      let record = [UInt8](
        repeating: UInt8(truncatingIfNeeded: number), count: .random(in: 1...700, using: &random))
      switch ring.append(record.span.bytes) {
      case .held(let isHalfFull):
        waiting.append(record)
        held += record.count
        #expect(isHalfFull == (held > 2048 || waiting.count > 64))
      case .closed: Issue.record("it is not closed")
      case .full:
        #expect(held + record.count > ring.capacity || waiting.count >= 128)
        let limit = Int.random(in: 1...5000, using: &random)
        let taken = take(ring, upTo: limit)
        #expect(!taken.isEmpty && taken == Array(waiting.prefix(taken.count)))
        #expect(taken.count == 1 || taken.reduce(0) { $0 + $1.count } <= limit)
        waiting.removeFirst(taken.count)
        held -= taken.reduce(0) { $0 + $1.count }
      }
      #expect(ring.waiting == held)
    }
    #expect(take(ring) == waiting)
  }

  @Test func `what does not fit is refused whole`() throws {
    let ring = try RecordRing(capacity: 4096)
    guard case .full = ring.append([UInt8](repeating: 1, count: 4097).span.bytes) else {
      Issue.record("it fits")
      return
    }
    guard case .held(true) = ring.append([UInt8](repeating: 1, count: 4096).span.bytes),
      case .full = ring.append([UInt8]([2]).span.bytes)
    else {
      Issue.record("it does not fit")
      return
    }
    #expect(take(ring) == [[UInt8](repeating: 1, count: 4096)])
    #expect(take(ring) == [])
  }

  @Test func `a child forgets what its parent writes`() throws {
    let ring = try RecordRing(capacity: 4096)
    _ = ring.append([UInt8]([1, 2, 3]).span.bytes)
    ring.forget()
    #expect(ring.waiting == 0)
    #expect(take(ring) == [])
    _ = ring.append([UInt8]([4]).span.bytes)
    #expect(take(ring) == [[4]])
  }

  /// As with memory that a pipe still refers to.
  @Test func `what is still looked at keeps its room`() throws {
    let ring = try RecordRing(capacity: 4096)
    var random = Random(seed: 8)
    // What was taken and may still be looked at, the oldest first, beside what is to be taken.
    var (taken, waiting): ([Int], [Int]) = ([], [])
    for number in 0..<20_000 {
      let count = Int.random(in: 1...700, using: &random)
      let record = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
      let all = (taken + waiting).reduce(0, +)
      switch ring.append(record.span.bytes) {
      case .held:
        #expect(all + count <= ring.capacity)
        waiting.append(count)
      case .closed: Issue.record("it is not closed")
      case .full:
        #expect(all + count > ring.capacity || taken.count + waiting.count >= 128)
        let kept = Int.random(in: 0...2000, using: &random)
        let records = take(ring, upTo: .random(in: 1...3000, using: &random), keeping: kept)
        taken += waiting.prefix(records.count)
        waiting.removeFirst(records.count)
        while let first = taken.first, taken.dropFirst().reduce(0, +) >= kept {
          taken.removeFirst()
          #expect(first > 0)
        }
      }
      #expect(ring.waiting == waiting.reduce(0, +) && ring.kept == taken.reduce(0, +))
    }
    ring.release()
  }

  /// However old what a producer knows of the other end is.
  @Test func `a ring that has room is never full, and a closed one takes nothing`() throws {
    for _ in 0..<3 {
      let ring = try RecordRing(capacity: 1 << 24)
      let (threads, each) = (4, 40_000)
      let producers = (0..<threads).map { _ in
        onThread {
          let record = [UInt8](repeating: 1, count: 8)
          return (0..<each).count { _ in
            if case .held = ring.append(record.span.bytes) { true } else { false }
          }
        }
      }
      var found = 0
      let deadline = ContinuousClock.now + Bound.usual
      while found < threads * each, ContinuousClock.now < deadline {
        let ready = ring.ready(upTo: 1000)
        found += ready.records
        ring.take(ready.records)
        ring.release()
      }
      #expect(try producers.reduce(0) { try $0 + $1.join() } == threads * each && found == threads * each)
      ring.close()
      #expect(ring.append([UInt8]([1]).span.bytes) == .closed && ring.waiting == 0)
      ring.forget()
      #expect(ring.append([UInt8]([1]).span.bytes) == .closed && ring.waiting == 0)
    }
  }

  /// Of each producer in its order, each once, none torn.
  @Test func `many threads write, and one takes`() throws {
    let ring = try RecordRing(capacity: 1 << 14)
    let (threads, each) = (4, 50_000)
    let producers = (0..<threads).map { thread in
      onThread {
        var random = Random(seed: UInt64(thread))
        for number in 0..<each {
          let text =
            "\(thread) \(number) " + String(repeating: "x", count: .random(in: 0...100, using: &random))
          let line = Array("\(text)\n".utf8)
          while case .full = ring.append(line.span.bytes) { sched_yield() }
        }
        return true
      }
    }
    var next = [Int](repeating: 0, count: threads)
    while next != [Int](repeating: each, count: threads) {
      for record in take(ring, upTo: 4096) {
        let words = String(decoding: record, as: UTF8.self).split(
          separator: " ", omittingEmptySubsequences: false)
        let (thread, number) = (Int(words[0])!, Int(words[1])!)
        #expect(
          next[thread] == number && words[2].last == "\n" && words[2].dropLast().allSatisfy { $0 == "x" })
        next[thread] += 1
      }
    }
    for producer in producers { _ = try producer.join() }
    #expect(ring.waiting == 0)
  }
}
