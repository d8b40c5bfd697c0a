// Records from any thread to a file, a pipe or nobody.

import Foundation
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct PageWriterTests {
  private func record(_ text: String) -> [UInt8] { Array("\(text)\n".utf8) }

  @Test(arguments: [PageWriter.FullPolicy.wait, .drop])
  func `records of many threads arrive whole, in order and once`(_ policy: PageWriter.FullPolicy) throws {
    let file = try TemporaryFile()
    var options = PageWriter.Options()
    (options.capacity, options.whenFull, options.flushInterval) = (1 << 14, policy, .milliseconds(1))
    let writer = try PageWriter(appendingTo: file.path, options: options)
    let (threads, each) = (4, 10_000)
    let producers = (0..<threads).map { thread in
      onThread {
        var taken: [Int] = []
        for number in 0..<each {
          let tail = String(repeating: "x", count: number % 300)
          if writer.take(Array("\(thread) \(number) \(tail)\n".utf8)) { taken.append(number) }
        }
        return taken
      }
    }
    let taken = try producers.map { try $0.join() }
    #expect(writer.close(for: .seconds(60)))
    var found = [[Int]](repeating: [], count: threads)
    for line in String(decoding: try file.contents, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      let (thread, number) = (Int(words[0])!, Int(words[1])!)
      #expect(words.count == 3 && words[2] == String(repeating: "x", count: number % 300))
      found[thread].append(number)
    }
    #expect(found == taken)
    let written = taken.reduce(0) { $0 + $1.count }
    #expect(writer.counts.written == UInt64(written))
    #expect(writer.counts.dropped == UInt64(threads * each - written))
    if policy == .wait { #expect(written == threads * each) }
  }

  @Test func `a reader that stops holds up nobody, and hears what it missed`() throws {
    var ends = try Ends.pipe()
    var options = PageWriter.Options()
    (options.capacity, options.flushInterval) = (1 << 14, .zero)
    options.noting = { Array("\($0) dropped\n".utf8) }
    let writer = try PageWriter(Descriptor(owning: ends.giveNear()), options: options)
    let line = [UInt8](repeating: UInt8(ascii: "x"), count: 99) + [UInt8(ascii: "\n")]
    // Until the pipe is full, and then some.
    var (taken, lost) = (0, 0)
    repeat {
      for _ in 0..<1000 { if writer.take(line) { taken += 1 } else { lost += 1 } }
    } while writer.flush(for: .milliseconds(50))
    #expect(lost > 0 && writer.counts.dropped == UInt64(lost))
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    #expect(writer.flush(for: .seconds(60)))
    if writer.take(line) { taken += 1 } else { lost += 1 }
    #expect(writer.close(for: .seconds(60)))
    let lines = String(decoding: try reader.join(), as: UTF8.self).split(separator: "\n")
    let told = lines.filter { $0.hasSuffix(" dropped") }.map { Int($0.dropLast(8))! }
    #expect(told.reduce(0, +) == lost)
    #expect(
      lines.count - told.count == taken && lines.allSatisfy { $0.count == 99 || $0.hasSuffix("dropped") })
  }

  @Test func `what is flushed is there`() throws {
    let file = try TemporaryFile()
    var options = PageWriter.Options()
    options.flushInterval = .seconds(3600)
    let writer = try PageWriter(appendingTo: file.path, options: options)
    for number in 1...20 {
      #expect(writer.take(record("line \(number)")))
      #expect(writer.flush(for: .seconds(60)))
      #expect(try file.contents == Array((1...number).map { record("line \($0)") }.joined()))
    }
    // What has not come to half of the room waits, and what is more does not.
    let large = [UInt8](repeating: 1, count: 300_000)
    for _ in 0..<3 { #expect(writer.take(large)) }
    try waitUntil("it was written") { writer.counts.bytes > 600_000 }
    #expect(writer.close())
  }

  @Test func `what is larger than the room, or comes after the end, is dropped`() throws {
    let file = try TemporaryFile()
    var options = PageWriter.Options()
    (options.capacity, options.whenFull) = (4096, .wait)
    let writer = try PageWriter(appendingTo: file.path, options: options)
    #expect(!writer.take([UInt8](repeating: 1, count: 4097)))
    #expect(writer.take([UInt8](repeating: 2, count: 4096)))
    #expect(writer.close())
    #expect(!writer.take(record("late")))
    #expect(writer.close())
    #expect(writer.counts == PageWriter.Counts(written: 1, bytes: 4096, dropped: 2))
    #expect(try file.contents == [UInt8](repeating: 2, count: 4096))
    let unused = try PageWriter(appendingTo: file.path)
    #expect(unused.flush() && unused.close())
    #expect(!unused.take(record("late")))
  }

  @Test func `a file that was moved away is followed by another`() throws {
    let file = try TemporaryFile()
    let moved = file.path.string + ".1"
    let writer = try PageWriter(appendingTo: file.path)
    writer.take(record("one"))
    #expect(writer.flush())
    try FileManager.default.moveItem(atPath: file.path.string, toPath: moved)
    writer.take(record("two"))
    #expect(writer.flush())
    writer.reopen()
    writer.take(record("three"))
    #expect(writer.close())
    #expect(try Data(contentsOf: URL(fileURLWithPath: moved)) == Data(record("one") + record("two")))
    #expect(try file.contents == record("three"))
    try FileManager.default.removeItem(atPath: moved)
  }

  /// Of a disk that is full, and of a pipe that nobody reads.
  @Test(arguments: [Errno.noSpace, .brokenPipe])
  func `a sink that refuses is told of once`(_ errno: Errno) throws {
    let told = Mutex<[Errno]>([])
    var options = PageWriter.Options()
    (options.capacity, options.flushInterval) = (4096, .zero)
    options.whenRefused = { errno in told.withLock { $0.append(errno) } }
    var ends = try Ends.pipe()
    if errno == .brokenPipe { try Descriptor(owning: ends.giveFar()).close() }
    let sink =
      errno == .brokenPipe
      ? Descriptor(owning: ends.giveNear()) : Descriptor(owning: try .open("/dev/full", .writeOnly))
    let writer = try PageWriter(sink, options: options)
    for number in 0..<1000 { writer.take(record("line \(number)")) }
    try waitUntil("it was told") { told.withLock { !$0.isEmpty } }
    #expect(writer.flush(for: .milliseconds(50)) == (errno == .brokenPipe))
    writer.take(record("more"))
    #expect(writer.close(for: .milliseconds(50)) == (errno == .brokenPipe))
    try waitUntil("all are dropped") { writer.counts.dropped == 1001 }
    #expect(writer.counts.written == 0)
    #expect(told.withLock { $0 } == [errno])
  }

  /// Whatever the disk is asked for in between.
  @Test func `a line that comes while a file waits for its disk is not held`() throws {
    let file = try TemporaryFile()
    var options = PageWriter.Options()
    (options.flushInterval, options.syncInterval) = (.milliseconds(1), .seconds(3600))
    let writer = try PageWriter(appendingTo: file.path, options: options)
    var want: [UInt8] = []
    for number in 0..<20 {
      want += record("line \(number)")
      writer.take(record("line \(number)"))
      try waitUntil("it is there") { try file.contents == want }
    }
    #expect(writer.close())
  }

  /// While nothing is said there is nothing to do, and what is said then is written at once.
  @Test func `a line after a rest is not held`() throws {
    let ends = try Ends.pipe()
    var options = PageWriter.Options()
    options.flushInterval = .milliseconds(5)
    let writer = try PageWriter(Descriptor(owning: ends.near.duplicate()), options: options)
    for number in 0..<20 {
      writer.take(record("line \(number)"))
      let want = record("line \(number)")
      #expect(try ends.far.read(exactly: want.count) == want)
    }
    #expect(writer.close())
  }
}

extension PageWriter {
  @discardableResult
  fileprivate func take(_ record: [UInt8]) -> Bool { write(record.span.bytes) }
}
