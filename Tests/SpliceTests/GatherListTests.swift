// A list of bytes, files and pipes that leave as one stream.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct GatherListTests {
  private let content = bytes(3_000_000, seed: 31)

  private func drain(
    _ waiting: Waiting, _ list: inout GatherList, _ sink: borrowing Descriptor
  ) async throws(SpliceError) -> UInt64 {
    switch waiting {
    case .async: try await list.drain(to: sink)
    case .blocking: try list.drain(to: sink, waitingIn: .poll)
    }
  }

  private func shared(_ file: TemporaryFile) throws -> SharedFile { try SharedFile(file.path) }

  @Test(arguments: Waiting.allCases, [Ends.Kind.tcp, .unix, .pipe])
  func `bytes, files and pipes leave in order`(_ waiting: Waiting, _ kind: Ends.Kind) async throws {
    let held = try TemporaryFile(content)
    let file = try shared(held)
    var pipe = try SplicePipe()
    _ = try pipe.write(Array("in the pipe".utf8))
    var list = GatherList()
    list.append("head".utf8Span.span.bytes)
    list.append(file, 5..<2_500_000)
    list.append(pipe)
    list.append(file, 7..<7)
    list.append([UInt8]().span.bytes)
    list.append(file)
    list.append("tail".utf8Span.span.bytes)
    var want = Array("head".utf8) + content[5..<2_500_000] + Array("in the pipe".utf8)
    want += content + Array("tail".utf8)
    #expect(list.count == want.count)
    var ends = try Ends.make(kind)
    let far = ends.giveFar()
    let count = want.count
    let reader = onThread { try Descriptor(owning: far).read(exactly: count) }
    #expect(try await drain(waiting, &list, ends.near) == UInt64(want.count))
    #expect(try reader.join() == want)
    #expect(list.count == 0)
    #expect(list.delivered == UInt64(want.count))
    // Nothing is left to be sent.
    #expect(try await drain(waiting, &list, ends.near) == 0)
  }

  @Test(arguments: Waiting.allCases)
  func `a head leaves in one segment with its file`(_ waiting: Waiting) async throws {
    let held = try TemporaryFile(content[..<20_000])
    var list = GatherList()
    list.append("head".utf8Span.span.bytes)
    list.append(try shared(held))
    let ends = try Ends.tcp()
    _ = try await drain(waiting, &list, ends.near)
    #expect(try ends.far.read(exactly: 20_004) == Array("head".utf8) + content[..<20_000])
    #expect(try ends.near.segmentsSent() == 1)
  }

  /// Times that are told apart from those of what is written from now on.
  private func shared(_ file: TemporaryFile, _ consistency: SharedFile.Consistency) throws -> SharedFile {
    var times = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, file.path.string, &times, 0) == 0)
    return try SharedFile(file.path, consistency: consistency)
  }

  @Test(arguments: Waiting.allCases)
  func `what leaves of a stable file is what it was, and nothing once it was written`(
    _ waiting: Waiting
  ) async throws {
    let held = try TemporaryFile(content)
    var list = GatherList()
    list.append("head".utf8Span.span.bytes)
    list.append(try shared(held, .stable))
    var ends = try Ends.make(.unix)
    var flow = Flow(gathering: FlowOptions())
    #expect(try !list.attempt(&flow, to: ends.near))
    // All of it is written again.
    let handle = try #require(FileHandle(forWritingAtPath: held.path.string))
    try handle.write(contentsOf: bytes(3_000_000, seed: 32))
    try handle.close()
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    await #expect(throws: SpliceError.source(.staleNFSFileHandle)) {
      _ = try await drain(waiting, &list, ends.near)
    }
    try ends.giveNear().close()
    let got = try reader.join()
    #expect(got.count > 4 && got.count < 3_000_004)
    #expect(got == Array("head".utf8) + content[..<(got.count - 4)])
  }

  @Test(arguments: Waiting.allCases)
  func `a stable file without a name is sent to its end`(_ waiting: Waiting) async throws {
    let held = try TemporaryFile(content)
    var list = GatherList(try shared(held, .stable), 1..<2_999_999)
    #expect(unlink(held.path.string) == 0)
    let copy = try TemporaryFile()
    #expect(try await drain(waiting, &list, try copy.open(.writeOnly)) == 2_999_998)
    #expect(try copy.contents == Array(content[1..<2_999_999]))
  }

  /// What is tried at once, too.
  @Test func `an answer from a file that was written ends with a reset`() async throws {
    let held = try TemporaryFile(content)
    for atOnce in [false, true] {
      var list = GatherList(try shared(held, .stable))
      try held.open(.writeOnly).writeAll([1])
      var ends = try Ends.tcp()
      var flow = Flow(gathering: FlowOptions())
      await #expect(throws: SpliceError.source(.staleNFSFileHandle)) {
        if atOnce { _ = try list.attempt(&flow, to: ends.near) } else { try await list.drain(to: ends.near) }
      }
      _ = Descriptor(owning: ends.giveNear())
      #expect(throws: Errno.connectionReset) { try ends.far.readToEnd() }
    }
  }

  @Test(arguments: Waiting.allCases)
  func `a file that was cut is a truncation, each time`(_ waiting: Waiting) async throws {
    let held = try TemporaryFile(content[..<10_000])
    var list = GatherList()
    list.append("head".utf8Span.span.bytes)
    list.append(try shared(held), 4000..<100_000)
    list.append("tail".utf8Span.span.bytes)
    let copy = try TemporaryFile()
    let sink = try copy.open(.writeOnly, .append)
    for _ in 1...2 {
      await #expect(throws: SpliceError.truncated(missing: 90_000)) {
        _ = try await drain(waiting, &list, sink)
      }
    }
    #expect(try copy.contents == Array("head".utf8) + content[4000..<10_000])
  }

  @Test(arguments: Waiting.allCases)
  func `of a file that was cut a socket gets what there is`(_ waiting: Waiting) async throws {
    let held = try TemporaryFile(content[..<10_000])
    var list = GatherList()
    list.append("head".utf8Span.span.bytes)
    list.append(try shared(held), 4000..<100_000)
    list.append("tail".utf8Span.span.bytes)
    let ends = try Ends.tcp()
    for _ in 1...2 {
      await #expect(throws: SpliceError.truncated(missing: 90_000)) {
        _ = try await drain(waiting, &list, ends.near)
      }
    }
    #expect(list.delivered == 6004)
    #expect(try ends.far.read(exactly: 6004) == Array("head".utf8) + content[4000..<10_000])
  }

  /// What had left the list is in its pipe, and goes to the next sink.
  @Test(arguments: Waiting.allCases, [Ends.Kind.pipe, .unix])
  func `after a sink that fails, another goes on with the same bytes`(
    _ waiting: Waiting, _ kind: Ends.Kind
  ) async throws {
    let held = try TemporaryFile(content)
    var list = GatherList()
    list.append("head".utf8Span.span.bytes)
    list.append(try shared(held))
    list.append("tail".utf8Span.span.bytes)
    let want = Array("head".utf8) + content + Array("tail".utf8)
    var ends = try Ends.make(kind)
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).read(exactly: 100_000) }
    await #expect {
      _ = try await drain(waiting, &list, ends.near)
    } throws: {
      // A unix socket may say that something was left unread.
      [.sink(.brokenPipe), .sink(.connectionReset)].contains($0 as? SpliceError)
    }
    #expect(try reader.join() == Array(want[..<100_000]))
    let accepted = Int(list.delivered)
    #expect(accepted >= 100_000)
    #expect(list.count == want.count - accepted)
    let copy = try TemporaryFile()
    let sink = try copy.open(.writeOnly)
    _ = try await drain(waiting, &list, sink)
    #expect(try copy.contents == Array(want[accepted...]))
  }

  @Test func `what is not a file with offsets and an end is refused`() throws {
    let ends = try Ends.pipe()
    let number = try ends.far.duplicate()
    #expect(throws: Errno.invalidArgument) { _ = try SharedFile(Descriptor(owning: number)) }
    #expect(throws: Errno.invalidArgument) { _ = try SharedFile("/dev/null") }
    #expect(throws: Errno.noSuchFileOrDirectory) { _ = try SharedFile("/none/such") }
    #expect(throws: Errno.invalidArgument) { _ = try SharedFile("/") }
  }

  /// A file that nobody has in memory is read on a thread that may wait; so is one that grew.
  @Test func `a file that is not in memory leaves the event thread, and arrives`() async throws {
    let held = try TemporaryFile(content)
    let file = try shared(held)
    try file.descriptor.withFileDescriptor { number in
      try #require(fsync(number.rawValue) == 0)
      try #require(posix_fadvise(number.rawValue, 0, 0, CInt(POSIX_FADV_DONTNEED)) == 0)
    }
    let more = try held.open(.writeOnly, .append)
    try more.writeAll([1, 2, 3])
    var list = GatherList()
    list.append(file, 0..<3_000_003)
    var ends = try Ends.tcp()
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).read(exactly: 3_000_003) }
    #expect(try await list.drain(to: ends.near) == 3_000_003)
    #expect(try reader.join() == content + [1, 2, 3])
  }

  @Test func `a pace and a deadline hold`() async throws {
    let held = try TemporaryFile(content)
    var list = GatherList()
    list.append(try shared(held))
    let ends = try Ends.unix()
    await #expect(throws: SpliceError.timedOut) {
      _ = try await list.drain(to: ends.near, until: .now + .milliseconds(20))
    }
    #expect(list.count + list.delivered == UInt64(content.count))
  }

  /// Of a large file, full packets are sent; what is written behind it is not held back, however it ended.
  @Test(arguments: Waiting.allCases)
  func `a socket is not corked once a large file is sent, or is not`(_ waiting: Waiting) async throws {
    let held = try TemporaryFile(content)
    let file = try shared(held)
    var ends = try Ends.tcp()
    let far = ends.giveFar()
    let count = content.count
    let reader = onThread { try Descriptor(owning: far).read(exactly: count) }
    var list = GatherList(file)
    _ = try await drain(waiting, &list, ends.near)
    #expect(try reader.join() == content)
    #expect(try !ends.near.isCorked())

    // What is tried first may be gone on with by another flow.
    var flow = Flow(gathering: FlowOptions())
    var tried = GatherList(file)
    for _ in 0..<20 { tried.append(file) }
    let full = try Ends.tcp()
    #expect(try !tried.attempt(&flow, to: full.near))
    #expect(tried.delivered > 0)
    #expect(try !full.near.isCorked())

    let stuck = try Ends.tcp()
    var more = GatherList(file)
    for _ in 0..<20 { more.append(file) }
    let deadline = ContinuousClock.now + .milliseconds(50)
    await #expect(throws: SpliceError.timedOut) {
      switch waiting {
      case .async: _ = try await more.drain(to: stuck.near, until: deadline)
      case .blocking: _ = try more.drain(to: stuck.near, waitingIn: BlockingWait(until: deadline))
      }
    }
    #expect(more.delivered > 0)
    #expect(try !stuck.near.isCorked())
  }

  /// Any list, sent in several attempts to sinks that are slow, full, or gone in between.
  @Test(arguments: 1...24)
  func `whatever is listed, each byte arrives once and in order`(_ seed: UInt64) async throws {
    var random = Random(seed: seed)
    let held = try TemporaryFile(content)
    let files = [try shared(held), try shared(held, .stable)]
    var list = GatherList(capacity: 4096 << Int.random(in: 0...8, using: &random))
    var want: [UInt8] = []
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      let size = 1 << Int.random(in: 0...21, using: &random)
      let start = Int.random(in: 0...content.count - size, using: &random)
      let stretch = content[start..<start + size]
      switch Int.random(in: 0..<5, using: &random) {
      case 0: list.append(Array(stretch).span.bytes)
      case 1:
        var pipe = try SplicePipe(capacity: 65536)
        let transfer = try pipe.write(Array(stretch.prefix(30_000)))
        want += stretch.prefix(transfer.count)
        list.append(pipe)
        continue
      default: list.append(files[Int.random(in: 0...1, using: &random)], UInt64(start)..<UInt64(start + size))
      }
      want += stretch
    }
    let waiting: Waiting = Bool.random(using: &random) ? .async : .blocking
    while list.count > 0 {
      #expect(list.count + list.delivered == UInt64(want.count))
      let accepted = Int(list.delivered)
      var ends = try Ends.make(.allCases.randomElement(using: &random)!)
      let far = ends.giveFar()
      let stop = Int.random(in: 0...3, using: &random)
      let left = stop == 0 ? Int.random(in: 0...1 << 20, using: &random) : .max
      let reader = onThread { try Descriptor(owning: far).read(until: left) }
      do throws(SpliceError) {
        // A deadline may come at any byte.
        let deadline = ContinuousClock.now + (stop == 1 ? .microseconds(accepted % 3000) : .seconds(60))
        switch waiting {
        case .async: _ = try await list.drain(to: ends.near, until: deadline)
        case .blocking: _ = try list.drain(to: ends.near, waitingIn: BlockingWait(until: deadline))
        }
      } catch {
        let mayBe: [SpliceError] = [.timedOut, .sink(.brokenPipe), .sink(.connectionReset)]
        #expect(mayBe.contains(error))
      }
      _ = Descriptor(owning: ends.giveNear())
      let read = try reader.join()
      let delivered = Array(want[accepted..<Int(list.delivered)])
      // What a reader has not taken is lost with it, and nothing else.
      #expect(stop == 0 ? delivered.starts(with: read) : delivered == read)
    }
    #expect(list.delivered == UInt64(want.count))
  }
}

extension Descriptor {
  /// What there is, up to the end or so many bytes.
  fileprivate consuming func read(until limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while bytes.count < limit {
      let count = try readSome(&chunk)
      if count == 0 { break }
      bytes += chunk[..<count]
    }
    return bytes
  }

  fileprivate func isCorked() throws -> Bool {
    try withFileDescriptor { number in
      try Syscall.getsockopt(number, level: CInt(IPPROTO_TCP), option: TCP_CORK) != 0
    }
  }

  /// Segments with data that a TCP socket has sent: a field of the kernel's that the C library does not name.
  fileprivate func segmentsSent() throws -> UInt32 {
    var info = [UInt8](repeating: 0, count: 232)
    var length = socklen_t(info.count)
    try withFileDescriptor { number in
      guard getsockopt(number.rawValue, CInt(IPPROTO_TCP), CInt(TCP_INFO), &info, &length) == 0 else {
        throw Errno(rawValue: errno)
      }
    }
    return info.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 156, as: UInt32.self) }
  }
}
