// Memory given to a pipe, and memory lent to it again and again.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

private func pages(_ content: [UInt8]) throws -> Pages {
  try Pages(upTo: content.count) { output in
    for byte in content { output.append(byte, as: UInt8.self) }
  }
}

@Suite(.mayBlock) struct PagesTests {
  @Test(arguments: SplicePipe.Storage.allCases)
  func `what is accepted leaves the variable`(_ body: SplicePipe.Storage) throws {
    let content = bytes(30_000, seed: 3)
    var given = try pages(content)
    var pipe = try SplicePipe(body, capacity: 16 << 10)
    #expect(try pipe.vmsplice(&given) == .bytes(16 << 10))
    #expect(given.count == 30_000 - (16 << 10))
    #expect(try pipe.vmsplice(&given) == .wouldBlock)
    let first = try pipe.contents()
    #expect(try pipe.vmsplice(&given) == .bytes(30_000 - (16 << 10)))
    #expect(given.count == 0)
    #expect(try pipe.vmsplice(&given) == .bytes(0))
    #expect(try first + pipe.contents() == content)
    #expect(pipe.receivedBy == PathCounts(splice: 30_000) && pipe.isBalanced)
  }

  @Test func `given pages are no longer mapped`() throws {
    // Another thread may be given the same place at once, though not each time.
    var isGone = false
    for _ in 0..<20 where !isGone {
      var pipe = try SplicePipe()
      var given = try pages(bytes(64 << 10))
      let place = unsafe UInt(bitPattern: given.bytes.baseAddress)
      #expect(try isMapped(place))
      #expect(try pipe.vmsplice(&given) == .bytes(64 << 10))
      isGone = try !isMapped(place)
      #expect(try pipe.contents() == bytes(64 << 10))
    }
    #expect(isGone)
  }

  private func isMapped(_ place: UInt) throws -> Bool {
    let maps = try device("/proc/self/maps", .readOnly).readToEnd()
    return String(decoding: maps, as: UTF8.self).split(separator: "\n").contains { line in
      let range = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
      return range[0] <= place && place < range[1]
    }
  }

  @Test func `a ring feeds a file through a pipe`() throws {
    let content = bytes(1_000_000, seed: 12)
    let target = try TemporaryFile()
    let file = try target.open(.writeOnly)
    var pipe = try SplicePipe(capacity: 64 << 10)
    var ring = try PageRing(for: pipe, writtenInto: file)
    var sent = 0
    while sent < content.count || ring.count > 0 {
      if ring.count == 0 {
        let rest = content[sent...]
        ring.fill(upTo: 10_001) { output in
          for byte in rest.prefix(output.freeCapacity) { output.append(byte, as: UInt8.self) }
        }
        sent += ring.count
      }
      if try pipe.vmsplice(&ring) == .wouldBlock { try pipe.drain(to: file, waitingIn: .poll) }
    }
    try pipe.drain(to: file, waitingIn: .poll)
    #expect(try target.contents == content)
    #expect(pipe.receivedBy.splice == 1_000_000)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a ring is for pipes that are no larger, and readers that copy`(_ body: SplicePipe.Storage) throws {
    var pipe = try SplicePipe(body, capacity: 16 << 10)
    let ends = try Ends.unix()
    #expect(throws: Errno.invalidArgument) { _ = try PageRing(for: pipe, writtenInto: ends.near) }
    var ring = try PageRing(vouchingForTheReaderOf: pipe)
    ring.fill(upTo: 100) { output in
      for byte in bytes(100) { output.append(byte, as: UInt8.self) }
    }
    pipe.resize(to: 64 << 10)
    #expect(throws: Errno.invalidArgument) { try pipe.vmsplice(&ring) }
    pipe.resize(to: 16 << 10)
    #expect(try pipe.vmsplice(&ring) == .bytes(100))
    #expect(try pipe.contents() == bytes(100))
  }
}
