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
}

extension Descriptor {
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
