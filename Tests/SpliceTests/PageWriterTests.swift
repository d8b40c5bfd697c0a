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
    #expect(writer.close(for: .seconds(60)))
  }

  @Test func `what is larger than the room, or comes after the end, is dropped`() throws {
    let file = try TemporaryFile()
    var options = PageWriter.Options()
    (options.capacity, options.whenFull) = (4096, .wait)
    let writer = try PageWriter(appendingTo: file.path, options: options)
    #expect(!writer.take([UInt8](repeating: 1, count: 4097)))
    #expect(writer.take([UInt8](repeating: 2, count: 4096)))
    #expect(writer.close(for: .seconds(60)))
    #expect(!writer.take(record("late")))
    #expect(writer.close(for: .seconds(60)))
    #expect(writer.counts == PageWriter.Counts(written: 1, bytes: 4096, dropped: 2))
    #expect(try file.contents == [UInt8](repeating: 2, count: 4096))
    let unused = try PageWriter(appendingTo: file.path)
    #expect(unused.flush(for: .seconds(60)) && unused.close(for: .seconds(60)))
    #expect(!unused.take(record("late")))
  }

  @Test func `a file that was moved away is followed by another`() throws {
    let file = try TemporaryFile()
    let moved = file.path.string + ".1"
    let writer = try PageWriter(appendingTo: file.path)
    writer.take(record("one"))
    #expect(writer.flush(for: .seconds(60)))
    try FileManager.default.moveItem(atPath: file.path.string, toPath: moved)
    writer.take(record("two"))
    #expect(writer.flush(for: .seconds(60)))
    writer.reopen()
    writer.take(record("three"))
    #expect(writer.close(for: .seconds(60)))
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

  // MARK: Ends

  @Test func `what is accepted while it is closed is written, and what is not is counted`() throws {
    let file = try TemporaryFile()
    for round in 0..<100 {
      let writer = try PageWriter(appendingTo: file.path)
      let producers = (0..<3).map { _ in
        onThread {
          var (taken, refused) = (0, 0)
          while refused == 0 {
            if writer.take([UInt8](repeating: 1, count: 10)) { taken += 1 } else { refused += 1 }
            if taken > 100_000 { break }
          }
          return [taken, refused]
        }
      }
      if round % 2 == 0 { try waitUntil("it has begun") { writer.counts.written > 0 } }
      #expect(writer.close(for: .seconds(60)))
      let all = try producers.map { try $0.join() }
      try waitUntil("it has ended") { writer.counts.waiting == 0 }
      #expect(writer.counts.written == UInt64(all.reduce(0) { $0 + $1[0] }))
      #expect(writer.counts.dropped == UInt64(all.reduce(0) { $0 + $1[1] }))
    }
  }

  /// A reader that takes its time still gets whole lines, and at the very end perhaps a part of one.
  @Test(arguments: [Ends.Kind.pipe, .unix])
  func `what is closed in a hurry is cut at its end at most`(_ kind: Ends.Kind) throws {
    var ends = try Ends.make(kind)
    let writer = try PageWriter(Descriptor(owning: ends.giveNear()))
    for number in 0..<9000 { writer.take(record("\(number) \(String(repeating: "x", count: number % 500))")) }
    let far = ends.giveFar()
    let reader = onThread {
      let end = Descriptor(owning: far)
      var bytes: [UInt8] = []
      while let piece = try? end.read(exactly: 3001) {
        bytes += piece
        if bytes.count < 500_000 { usleep(200) }
      }
      return bytes
    }
    _ = writer.close(for: .milliseconds(1))
    let lines = String(decoding: try reader.join(), as: UTF8.self).split(separator: "\n")
    for (number, line) in lines.dropLast().enumerated() {
      #expect(line == "\(number) \(String(repeating: "x", count: number % 500))")
    }
    #expect(writer.counts.written + writer.counts.dropped == 9000)
  }

  @Test func `the next reader of a fifo gets whole lines behind the rest of one`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/fifo"
    try #require(mkfifo(path, 0o600) == 0)
    #expect(throws: Errno.noSuchAddressOrDevice) { try PageWriter(appendingTo: FilePath(path)) }
    func reader() throws -> Descriptor { try .open(FilePath(path), .readOnly, options: .nonBlocking) }
    let first = try reader()
    let told = Mutex<[Errno]>([])
    var options = PageWriter.Options()
    options.flushInterval = .zero
    options.whenRefused = { errno in told.withLock { $0.append(errno) } }
    let writer = try PageWriter(appendingTo: FilePath(path), options: options)
    let tail = String(repeating: "x", count: 700)
    for number in 0..<400 { writer.take(record("\(number) \(tail)")) }
    _ = try first.read(exactly: 1000)
    try first.close()
    try waitUntil("it was told") { told.withLock { !$0.isEmpty } }
    let second = try reader()
    let number = second.release()
    let rest = onThread { try Descriptor(owning: number).readToEnd() }
    for number in 400..<500 { writer.take(record("\(number) \(tail)")) }
    #expect(writer.close(for: .seconds(60)))
    let lines = String(decoding: try rest.join(), as: UTF8.self).split(separator: "\n")
    #expect(lines.count >= 100 && lines.dropFirst().allSatisfy { $0.hasSuffix(" \(tail)") && $0.count < 705 })
    #expect(lines[0].count <= 704 && lines.last == "499 \(tail)")
  }

  @Test func `a note is whole, however little room there is`() throws {
    var ends = try Ends.pipe(size: 4096)
    var options = PageWriter.Options()
    (options.capacity, options.flushInterval) = (4096, .zero)
    options.noting = { Array("\($0) dropped \(String(repeating: "n", count: 6000))\n".utf8) }
    let writer = try PageWriter(Descriptor(owning: ends.giveNear()), options: options)
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    var lost = 0
    for number in 0..<20_000 where !writer.take(record("line \(number)")) { lost += 1 }
    #expect(lost > 0 && writer.close(for: .seconds(60)))
    let lines = String(decoding: try reader.join(), as: UTF8.self).split(separator: "\n")
    let notes = lines.filter { !$0.hasPrefix("line ") }
    #expect(notes.allSatisfy { $0.hasSuffix(" dropped \(String(repeating: "n", count: 6000))") })
    #expect(notes.reduce(0) { $0 + (Int($1.prefix { $0 != " " }) ?? 0) } == lost)
    #expect(lines.count - notes.count == 20_000 - lost)
  }

  @Test func `who is told of what was dropped may write about that`() throws {
    let file = try TemporaryFile()
    let own = Mutex<PageWriter?>(nil)
    let count = Mutex(0)
    var options = PageWriter.Options()
    options.capacity = 4096
    options.whenDropped = { dropped in
      count.withLock { $0 += dropped }
      own.withLock { $0 }?.write("lost\n")
    }
    let writer = try PageWriter(appendingTo: file.path, options: options)
    own.withLock { $0 = writer }
    #expect(writer.close(for: .seconds(60)))
    for _ in 0..<10 { #expect(!writer.take(record("late"))) }
    #expect(count.withLock { $0 } >= 10)
    own.withLock { $0 = nil }
  }

  @Test func `a function that writes in vain costs nobody else a record`() throws {
    let file = try TemporaryFile()
    let own = Mutex<PageWriter?>(nil)
    var options = PageWriter.Options()
    (options.capacity, options.whenFull, options.flushInterval) = (4096, .wait, .zero)
    options.whenWritten = { _, _ in
      for _ in 0..<60 { own.withLock { $0 }?.write(String(repeating: "x", count: 100) + "\n") }
    }
    let writer = try PageWriter(appendingTo: file.path, options: options)
    own.withLock { $0 = writer }
    for number in 0..<2000 { #expect(writer.take(record("line \(number)"))) }
    own.withLock { $0 = nil }
    #expect(writer.close(for: .seconds(60)))
    let lines = String(decoding: try file.contents, as: UTF8.self).split(separator: "\n")
    #expect(lines.count { $0.hasPrefix("line") } == 2000)
  }

  @Test func `a file that could not be opened anew is, once it can`() throws {
    let directory = try TemporaryDirectory()
    let (there, gone) = ("\(directory.path)/there", "\(directory.path)/gone")
    try FileManager.default.createDirectory(atPath: there, withIntermediateDirectories: false)
    var options = PageWriter.Options()
    options.flushInterval = .zero
    let writer = try PageWriter(appendingTo: FilePath("\(there)/log"), options: options)
    try FileManager.default.moveItem(atPath: there, toPath: gone)
    writer.reopen()
    writer.take(record("one"))
    #expect(writer.flush(for: .seconds(60)))
    try FileManager.default.moveItem(atPath: gone, toPath: there)
    try FileManager.default.moveItem(atPath: "\(there)/log", toPath: "\(there)/moved")
    try waitUntil("it is there") {
      writer.take(record("more"))
      return FileManager.default.fileExists(atPath: "\(there)/log")
    }
    #expect(writer.close(for: .seconds(60)))
    // What a link leads to is made.
    let link = "\(directory.path)/link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "target")
    let linked = try PageWriter(appendingTo: FilePath(link))
    linked.take(record("there"))
    #expect(linked.close(for: .seconds(60)))
    #expect(FileManager.default.fileExists(atPath: "\(directory.path)/target"))
  }

  /// A pipe that is full of references, and a reader that went and another that came.
  @Test func `what was dropped does not take the place of what a pipe refers to`() throws {
    let directory = try TemporaryDirectory()
    let path = "\(directory.path)/fifo"
    try #require(mkfifo(path, 0o600) == 0)
    func reader() throws -> Descriptor { try .open(FilePath(path), .readOnly, options: .nonBlocking) }
    let first = try reader()
    let told = Mutex<[Errno]>([])
    var options = PageWriter.Options()
    (options.capacity, options.flushInterval) = (1, .zero)
    options.whenRefused = { errno in told.withLock { $0.append(errno) } }
    let writer = try PageWriter(
      vouchingForTheReaderOf: .open(FilePath(path), .writeOnly, options: .nonBlocking), options: options)
    let tail = String(repeating: "x", count: 290)
    for number in 0..<600 { writer.take(record("old \(number) \(tail)")) }
    #expect(!writer.flush(for: .milliseconds(200)))
    try first.close()
    for number in 0..<5000 { writer.take(record("lost \(number) \(tail)")) }
    try waitUntil("it was told") {
      writer.take(record("lost \(tail)"))
      return told.withLock { !$0.isEmpty }
    }
    for number in 0..<5000 { writer.take(record("lost \(number) \(tail)")) }
    let second = try reader()
    let number = second.release()
    let rest = onThread { try Descriptor(owning: number).readToEnd() }
    // There is room once it has read what the pipe refers to.
    try waitUntil("there is room") { writer.take(record("new \(tail)")) }
    #expect(writer.close(for: .seconds(60)))
    let lines = String(decoding: try rest.join(), as: UTF8.self).split(separator: "\n")
    // What was in the pipe, in order, none missing and none torn; then whatever came when there was a reader again.
    let old = lines.prefix { $0.hasPrefix("old ") }
    #expect(old.count > 150, "of \(lines.count)")
    #expect(old.enumerated().allSatisfy { $1 == "old \($0) \(tail)" })
    #expect(lines.allSatisfy { $0.hasSuffix(tail) && $0.count < 310 })
  }

  @Test func `a collector that only receives, and one that leaves at once, cost no time`() throws {
    let listener = try SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0].listen(
      backlog: 64)
    let address = SocketAddress(ip: [127, 0, 0, 1], port: SocketAddress.port(of: listener)!)
    var options = PageWriter.Options()
    (options.flushInterval, options.whenFull) = (.zero, .wait)
    let writer = try PageWriter(connectingTo: address, options: options)
    let number = listener.release()
    let count = Mutex(0)
    let collector = onThread {
      let listener = Descriptor(owning: number)
      var bytes: [UInt8] = []
      while !bytes.suffix(4).elementsEqual("end\n".utf8) {
        let peer = try listener.accept(waitingIn: .poll)
        count.withLock { $0 += 1 }
        try peer.halfClose()
        bytes += try peer.readToEnd()
      }
      return bytes
    }
    writer.take([UInt8](repeating: 7, count: 700_000) + record("end"))
    #expect(writer.close(for: .seconds(60)))
    #expect(try collector.join().count == 700_004 && count.withLock { $0 } < 5)
  }

  @Test func `for ever is a long time`() throws {
    let file = try TemporaryFile()
    var options = PageWriter.Options()
    options.flushInterval = .seconds(Int64.max)
    options.syncInterval = .seconds(Int64.max)
    let writer = try PageWriter(appendingTo: file.path, options: options)
    writer.take(record("line"))
    #expect(writer.flush(for: .seconds(Int64.max)) && writer.close(for: .seconds(Int64.max)))
    #expect(try file.contents == record("line"))
  }

  @Test func `a socket of messages and an end for reading are refused`() throws {
    var pair: [CInt] = [-1, -1]
    try #require(socketpair(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0, &pair) == 0)
    close(pair[1])
    #expect(throws: Errno.invalidArgument) {
      try PageWriter(Descriptor(owning: FileDescriptor(rawValue: pair[0])))
    }
    var ends = try Ends.pipe()
    #expect(throws: Errno.badFileDescriptor) {
      try PageWriter(vouchingForTheReaderOf: Descriptor(owning: ends.giveFar()))
    }
    #expect(throws: Errno.invalidArgument) {
      var options = PageWriter.Options()
      options.capacity = 1 << 31
      _ = try PageWriter(appendingTo: "/dev/null", options: options)
    }
  }

  // MARK: Pipes whose reader copies

  /// However late they are read, and whatever is written meanwhile into the memory that they are in.
  @Test(arguments: [1, 4096, 1 << 16, 1 << 20])
  func `what a pipe refers to stays as it was`(_ atOnce: Int) throws {
    var ends = try Ends.pipe()
    var options = PageWriter.Options()
    (options.capacity, options.whenFull, options.flushInterval) = (1, .wait, .zero)
    let writer = try PageWriter(vouchingForTheReaderOf: Descriptor(owning: ends.giveNear()), options: options)
    let far = ends.giveFar()
    let reader = onThread {
      let end = Descriptor(owning: far)
      var (bytes, piece): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: atOnce))
      var random = Random(seed: 4)
      while true {
        let limit = Int.random(in: 1...atOnce, using: &random)
        let count = try end.withFileDescriptor { number in
          try piece.withUnsafeMutableBytes {
            while true {
              do { return try Syscall.read(number, into: .init(rebasing: $0[..<limit])) } catch Errno
                .wouldBlock
              {
                _ = try Syscall.isReady(number, Int32(POLLIN))
              }
            }
          }
        }
        if count == 0 { return bytes }
        bytes += piece.prefix(count)
      }
    }
    var random = Random(seed: 3)
    var want: [UInt8] = []
    let most = atOnce == 1 ? 1 << 16 : 8 << 20
    while want.count < most {
      let record = [UInt8](
        repeating: .random(in: 0...255, using: &random), count: .random(in: 1...20_000, using: &random))
      want += record
      #expect(writer.take(record))
      if Int.random(in: 0..<50, using: &random) == 0 { #expect(writer.flush(for: .seconds(60))) }
    }
    #expect(writer.close(for: .seconds(60)))
    #expect(try reader.join() == want)
  }

  @Test func `only a pipe has a reader that can be vouched for`() throws {
    let file = try TemporaryFile()
    #expect(throws: Errno.invalidArgument) {
      try PageWriter(vouchingForTheReaderOf: .open(file.path, .writeOnly))
    }
  }

  // MARK: Collectors

  @Test func `a collector that starts anew gets whole lines, each once but for those it had`() throws {
    let directory = try TemporaryDirectory()
    let address = try SocketAddress.unix("\(directory.path)/collector")
    #expect(throws: Errno.noSuchFileOrDirectory) { try PageWriter(connectingTo: address) }
    let told = Mutex<[Errno]>([])
    var options = PageWriter.Options()
    (options.whenFull, options.flushInterval) = (.wait, .zero)
    options.whenRefused = { errno in told.withLock { $0.append(errno) } }
    var listener = try address.listen(backlog: 4)
    let writer = try PageWriter(connectingTo: address, options: options)
    let producer = onThread {
      for number in 0..<20_000 {
        writer.take(Array("\(number) \(String(repeating: "x", count: number % 500))\n".utf8))
      }
      return true
    }
    var found: [String] = []
    for round in 0..<4 {
      let peer = try listener.accept(waitingIn: .poll)
      if round == 3 {
        let number = peer.release()
        let reader = onThread { try Descriptor(owning: number).readToEnd() }
        _ = try producer.join()
        #expect(writer.close(for: .seconds(60)))
        found += String(decoding: try reader.join(), as: UTF8.self).split(separator: "\n").map(String.init)
      } else {
        // In the middle of a line, most likely.
        let lines = String(decoding: try peer.read(exactly: 100_001), as: UTF8.self).split(separator: "\n")
        found += lines.dropLast().map(String.init)
        try listener.close()
        try peer.close()
        try waitUntil("it was told") { told.withLock { $0.count > round } }
        try FileManager.default.removeItem(atPath: "\(directory.path)/collector")
        listener = try address.listen(backlog: 4)
      }
    }
    // What it had in its queue when it went away is missing, and nothing else.
    var last = -1
    for line in found {
      let words = line.split(separator: " ", omittingEmptySubsequences: false)
      let number = try #require(Int(words[0]))
      #expect(number > last && words[1] == String(repeating: "x", count: number % 500))
      last = number
    }
    #expect(last == 19_999 && writer.counts.written == 20_000)
    #expect(told.withLock { $0.allSatisfy { $0 == .brokenPipe || $0 == .connectionReset } })
  }

  // MARK: Rotation

  private func names(in directory: TemporaryDirectory) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)").sorted()
  }

  @Test func `a file that is large enough makes way for another`() throws {
    let directory = try TemporaryDirectory()
    let path = FilePath("\(directory.path)/service.log")
    // Not made by this, though their names could be.
    let others = [
      "service-20200101T000000Z.log", "service-20200101T000000Z_0002.log", "service-x.log", "other.log",
    ]
    for name in others { try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(directory.path)/\(name)")) }
    var written = 0
    // The same after it was started anew.
    for _ in 0..<2 {
      let writer = try PageWriter(appendingTo: path, rotating: .init(size: 1000, keep: 3))
      for _ in 0..<200 {
        writer.take(record("line \(written) \(String(repeating: "x", count: written % 90))"))
        written += 1
        if written % 7 == 0 { #expect(writer.flush(for: .seconds(60))) }
      }
      #expect(writer.close(for: .seconds(60)))
    }
    let found = try names(in: directory)
    #expect(others.allSatisfy { found.contains($0) })
    let rotated = found.filter { !others.contains($0) && $0 != "service.log" }
    #expect(rotated.count == 3 && rotated.allSatisfy { $0.hasPrefix("service-20") })
    var text = ""
    for name in rotated + ["service.log"] {
      let content = try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(name)"))
      #expect(!content.isEmpty && content.count <= 1000 && content.last == UInt8(ascii: "\n"))
      text += String(decoding: content, as: UTF8.self)
    }
    // The last ones, in order, none missing.
    let numbers = text.split(separator: "\n").map { Int($0.split(separator: " ")[1])! }
    #expect(numbers == Array((400 - numbers.count)..<400) && numbers.count > 40)
    for name in others {
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(name)")) == Data("mine".utf8))
    }
  }

  /// Begins a file or goes on with one, and moves it once.
  private func rotate(_ path: FilePath, keep: Int) throws {
    let writer = try PageWriter(appendingTo: path, rotating: .init(size: 1, keep: keep))
    writer.take(record("a"))
    writer.take(record("b"))
    #expect(writer.close(for: .seconds(60)))
  }

  @Test func `a copy of what was made is not what was made`() throws {
    let directory = try TemporaryDirectory()
    let path = FilePath("\(directory.path)/log")
    func rotate() throws { try self.rotate(path, keep: 1) }
    try rotate()
    let first = try #require(try names(in: directory).first { $0 != "log" })
    let copy = "log-20200101T000000Z"
    #expect(try run("cp", ["-a", "\(directory.path)/\(first)", "\(directory.path)/\(copy)"]).status == 0)
    for _ in 0..<4 { try rotate() }
    let found = try names(in: directory)
    #expect(found.count == 3 && found.contains(copy) && !found.contains(first))
  }

  /// Whatever the clock says: the newest are kept, and a link is not what was made.
  @Test func `the oldest of those that were made is removed, and no link to one`() throws {
    let directory = try TemporaryDirectory()
    let path = FilePath("\(directory.path)/log")
    func rotate() throws { try self.rotate(path, keep: 2) }
    // Made while the clock was ahead.
    let name = "log-20990101T000000Z"
    let file = try FileDescriptor.open(
      FilePath("\(directory.path)/\(name)"), .writeOnly, options: .create, permissions: .ownerReadWrite)
    let inode = try Syscall.fstat(file).inode
    try Syscall.setAttribute("user.splice.log", of: file, to: Array("0 1 \(inode) \(name)".utf8))
    try file.close()
    try rotate()
    let link = "\(directory.path)/log-20200101T000000Z"
    try FileManager.default.linkItem(atPath: path.string, toPath: link)
    #expect(try names(in: directory).contains(name))
    for _ in 0..<3 { try rotate() }
    let found = try names(in: directory)
    #expect(found.count == 4 && !found.contains(name) && found.contains("log-20200101T000000Z"))
    // What anybody may have written there.
    let live = try FileDescriptor.open(path, .writeOnly)
    try Syscall.setAttribute("user.splice.log", of: live, to: Array("-9223372036854775808 1 7 ".utf8))
    try live.close()
    try rotate()
  }

  @Test func `another file has the mode of the one before`() throws {
    let directory = try TemporaryDirectory()
    let path = FilePath("\(directory.path)/log")
    let made = try FileDescriptor.open(path, .writeOnly, options: .create, permissions: .ownerReadWrite)
    try made.close()
    for rotation in [PageWriter.Rotation(size: 1), nil] {
      let writer = try PageWriter(appendingTo: path, rotating: rotation)
      writer.take(record("a"))
      #expect(writer.flush(for: .seconds(60)))
      if rotation == nil {
        try FileManager.default.moveItem(atPath: path.string, toPath: "\(directory.path)/moved")
        writer.reopen()
      }
      writer.take(record("b"))
      #expect(writer.close(for: .seconds(60)))
      #expect(try Syscall.lstat(path).permissions == 0o600)
    }
  }

  @Test func `where no other file can be made, the old one is gone on with`() throws {
    let directory = try TemporaryDirectory()
    let (there, gone) = ("\(directory.path)/there", "\(directory.path)/gone")
    try FileManager.default.createDirectory(atPath: there, withIntermediateDirectories: false)
    let told = Mutex<[Errno]>([])
    var options = PageWriter.Options()
    (options.flushInterval, options.whenFull) = (.zero, .wait)
    options.whenRefused = { errno in told.withLock { $0.append(errno) } }
    let writer = try PageWriter(
      appendingTo: FilePath("\(there)/log"), rotating: .init(size: 10_000, keep: 1), options: options)
    writer.take(record("first"))
    #expect(writer.flush(for: .seconds(60)))
    try FileManager.default.moveItem(atPath: there, toPath: gone)
    for number in 0..<1000 { writer.take(record("line \(number) of some length")) }
    #expect(writer.close(for: .seconds(60)))
    let lines = try String(contentsOfFile: "\(gone)/log", encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 1001 && told.withLock { $0 } == [.noSuchFileOrDirectory])
  }

  @Test func `several that rotate one file lose nothing`() throws {
    let directory = try TemporaryDirectory()
    let path = FilePath("\(directory.path)/log")
    let writers = try (0..<3).map { _ in
      var options = PageWriter.Options()
      (options.flushInterval, options.whenFull) = (.zero, .wait)
      return try PageWriter(appendingTo: path, rotating: .init(size: 5000), options: options)
    }
    let producers = writers.enumerated().map { index, writer in
      onThread {
        for number in 0..<3000 { writer.take(Array("\(index) \(number)\n".utf8)) }
        return writer.close(for: .seconds(60))
      }
    }
    for producer in producers { #expect(try producer.join()) }
    var next = [0, 0, 0]
    let found = try names(in: directory)
    #expect(found.count > 2)
    var all: [[Int]] = [[], [], []]
    for name in found {
      for line in try String(contentsOfFile: "\(directory.path)/\(name)", encoding: .utf8).split(
        separator: "\n")
      {
        let words = line.split(separator: " ").map { Int($0)! }
        all[words[0]].append(words[1])
      }
    }
    next = all.map(\.count)
    #expect(next == [3000, 3000, 3000] && all.allSatisfy { $0.sorted() == Array(0..<3000) })
  }

  @Test func `a file is old after its interval, and whoever moves it makes way for another`() throws {
    let directory = try TemporaryDirectory()
    let path = FilePath("\(directory.path)/log")
    var options = PageWriter.Options()
    options.flushInterval = .zero
    let writer = try PageWriter(appendingTo: path, rotating: .init(interval: .seconds(1)), options: options)
    writer.take(record("old"))
    try waitUntil("it was rotated") {
      writer.take(record("more"))
      #expect(writer.flush(for: .seconds(60)))
      return try names(in: directory).count == 2
    }
    try FileManager.default.moveItem(atPath: path.string, toPath: "\(directory.path)/elsewhere")
    writer.take(record("after"))
    #expect(writer.close(for: .seconds(60)))
    #expect(try String(contentsOfFile: path.string, encoding: .utf8).contains("after\n"))
  }

  @Test func `what has no name of its own is not rotated`() throws {
    let directory = try TemporaryDirectory()
    let link = "\(directory.path)/link"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "target")
    for path in [link, directory.path, "/dev/null"] {
      #expect(throws: Errno.invalidArgument) {
        try PageWriter(appendingTo: FilePath(path), rotating: .init(size: 1))
      }
    }
    let long = String(repeating: "n", count: 250)
    #expect(throws: Errno.fileNameTooLong) {
      try PageWriter(appendingTo: FilePath("\(directory.path)/\(long)"), rotating: .init(size: 1))
    }
    // Without attributes nobody could tell what may be removed.
    #expect(throws: (any Error).self) {
      try PageWriter(appendingTo: "/proc/self/log", rotating: .init(size: 1, keep: 1))
    }
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
    #expect(writer.close(for: .seconds(60)))
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
    #expect(writer.close(for: .seconds(60)))
  }
}

extension PageWriter {
  @discardableResult
  fileprivate func take(_ record: [UInt8]) -> Bool { write(record.span.bytes) }
}
