// Memory that is written once, and sent for ever.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct SealedPagesTests {
  private let content = bytes(300_001, seed: 61)

  @Test func `nobody writes to them`() throws {
    let pages = try SealedPages(copying: content.span.bytes)
    #expect(pages.count == content.count)
    #expect(try pages.open().readToEnd() == content)
    pages.file.descriptor.withFileDescriptor { number in
      #expect(pwrite(number.rawValue, "x", 1, 0) == -1 && errno == EPERM)
      #expect(ftruncate(number.rawValue, 0) == -1 && errno == EPERM)
      #expect(ftruncate(number.rawValue, 1 << 20) == -1 && errno == EPERM)
      #expect(mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, number.rawValue, 0) == MAP_FAILED)
      #expect(Glibc.open("/proc/self/fd/\(number.rawValue)", O_RDWR | O_TRUNC) == -1)
    }
    #expect(try pages.open().readToEnd() == content)
  }

  @Test func `there may be none`() async throws {
    let pages = try SealedPages(copying: [UInt8]().span.bytes)
    #expect(pages.count == 0)
    #expect(try pages.open().readToEnd() == [])
    var list = GatherList(pages.file)
    let ends = try Ends.tcp()
    #expect(try await list.drain(to: ends.near) == 0)
  }

  /// Long after the memory of the first was used for something else.
  @Test(arguments: Ends.Kind.allCases)
  func `many sinks get the same bytes, each when it reads`(_ kind: Ends.Kind) async throws {
    var works: [Work<UInt64>] = []
    var far: [FileDescriptor] = []
    do {
      let pages = try SealedPages(copying: content.span.bytes)
      for _ in 0..<20 {
        var ends = try Ends.make(kind)
        let near = ends.giveNear()
        far.append(ends.giveFar())
        works.append(
          onThread {
            var list = GatherList()
            list.append("head ".utf8Span.span.bytes)
            list.append(pages.file)
            return try list.drain(to: Descriptor(owning: near), waitingIn: .poll)
          })
      }
    }
    _ = try SealedPages(copying: bytes(300_001, seed: 62).span.bytes)
    for number in far {
      #expect(try Descriptor(owning: number).read(exactly: 300_006) == Array("head ".utf8) + content)
    }
    for work in works { #expect(try work.join() == 300_006) }
  }

  @Test func `a fan-out hands them to its sinks`() async throws {
    let pages = try SealedPages(copying: content.span.bytes)
    let fan = try FanOut()
    var sinks: [FanOut.Sink] = []
    var readers: [Work<[UInt8]>] = []
    for _ in 0..<5 {
      var ends = try Ends.tcp()
      let far = ends.giveFar()
      readers.append(onThread { try Descriptor(owning: far).readToEnd() })
      sinks.append(try fan.attach(to: Descriptor(owning: ends.giveNear())))
    }
    let outcomes = try await fan.run(from: pages.open(), to: sinks)
    for outcome in outcomes { #expect(try outcome.get() == UInt64(content.count)) }
    for reader in readers { #expect(try reader.join() == content) }
  }
}
