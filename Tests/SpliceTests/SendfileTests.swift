// sendfile, the legacy spelling: any sink, its own offset, and a word when the file ends early.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct SendfileTests {
  private func send(
    _ waiting: Waiting, _ file: borrowing Descriptor, _ offset: inout Int64, _ count: UInt64,
    _ sink: borrowing Descriptor
  ) async throws(SpliceError) {
    switch waiting {
    case .async: try await sendfile(from: file, at: &offset, count: count, to: sink)
    case .blocking: try sendfile(from: file, at: &offset, count: count, to: sink, waitingIn: .poll)
    }
  }

  @Test(arguments: Waiting.allCases)
  func `sendfile sends a range, and leaves the offset alone`(_ waiting: Waiting) async throws {
    let content = bytes(5_000_000)
    let file = try TemporaryFile(content).open(.readOnly)
    var ends = try Ends.tcp()
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).read(exactly: 4_000_000) }
    var offset: Int64 = 500_000
    try await send(waiting, file, &offset, 4_000_000, ends.near)
    #expect(offset == 4_500_000)
    #expect(try reader.join() == Array(content[500_000..<4_500_000]))
    #expect(try file.withFileDescriptor { try $0.seek(offset: 0, from: .current) } == 0)
  }

  @Test(arguments: Waiting.allCases)
  func `an early end is a truncation, and what there was is sent`(_ waiting: Waiting) async throws {
    let content = bytes(10_000)
    let file = try TemporaryFile(content).open(.readOnly)
    let copy = try TemporaryFile()
    let sink = try copy.open(.writeOnly, .append)
    var offset: Int64 = 4000
    await #expect(throws: SpliceError.truncated(missing: 94_000)) {
      try await send(waiting, file, &offset, 100_000, sink)
    }
    #expect(offset == 10_000)
    #expect(try copy.contents == Array(content[4000...]))
  }

  @Test(arguments: Waiting.allCases)
  func `a failed sink leaves the offset behind the last byte it took`(_ waiting: Waiting) async throws {
    let content = bytes(3_000_000)
    let file = try TemporaryFile(content).open(.readOnly)
    var ends = try Ends.unix()
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).read(exactly: 100_000) }
    var offset: Int64 = 0
    await #expect(throws: SpliceError.sink(.brokenPipe)) {
      try await send(waiting, file, &offset, 3_000_000, ends.near)
    }
    _ = try reader.join()
    #expect(offset >= 100_000 && offset < 3_000_000)
  }

  @Test func `a file that shrinks under way is truncated`() async throws {
    let file = try TemporaryFile(bytes(8_000_000))
    let source = try file.open(.readWrite)
    var ends = try Ends.unix()
    let far = ends.giveFar()
    let shrinker = onThread { [path = file.path] in
      let far = Descriptor(owning: far)
      _ = try far.read(exactly: 10_000)
      truncate(path.string, 3_000_000)
      return try far.readToEnd().count + 10_000
    }
    var offset: Int64 = 0
    do throws(SpliceError) {
      try await sendfile(from: source, at: &offset, count: 8_000_000, to: ends.near)
      Issue.record("the end came early and nobody said so")
    } catch {
      #expect(error == .truncated(missing: 8_000_000 - UInt64(offset)))
    }
    ends.near = try device("/dev/null")
    #expect(Int64(try shrinker.join()) == offset)
  }
}
