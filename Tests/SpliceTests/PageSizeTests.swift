// The arithmetic of slots with pages of other sizes than this machine's.

import Glibc
import TestSupport
import Testing

@testable import Splice

@Suite struct PageSizeTests {
  @Test func `the page size is the system's`() {
    #expect(Slot.pageSize == sysconf(Int32(_SC_PAGESIZE)))
  }

  @Test(arguments: [16 << 10, 64 << 10])
  func `a size that is asked for is rounded to pages`(_ page: Int) {
    #expect(SlotRing(capacity: 1, page: page).capacity == page)
    #expect(SlotRing(capacity: page + 1, page: page).capacity == 2 * page)
    #expect(SlotRing(capacity: 5 * page, page: page).capacity == 8 * page)
  }

  /// A ring of larger pages does with so many times the bytes what one of 4,096 does: both are told the same,
  /// and stay in step.
  @Test(arguments: [16 << 10, 64 << 10], 0..<3)
  func `everything scales with the page size`(_ page: Int, _ seed: UInt64) {
    let times = page / 4096
    var random = Random(seed: seed)
    var small = (SlotRing(capacity: 8 * 4096, page: 4096), SlotRing(capacity: 4 * 4096, page: 4096))
    var large = (SlotRing(capacity: 8 * page, page: page), SlotRing(capacity: 4 * page, page: page))
    var (next, seen) = (0, 0)
    func content(_ count: Int, _ times: Int) -> [UInt8] {
      (0..<count * times).map { UInt8(truncatingIfNeeded: (next * times + $0) / times) }
    }
    func checked(_ bytes: [UInt8]) -> Bool {
      bytes.enumerated().allSatisfy { $1 == UInt8(truncatingIfNeeded: seen + $0 / times) }
    }
    for _ in 0..<60 {
      let count = Int.random(in: 1...9000, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        let one = unsafe content(count, 1).withUnsafeBytes { unsafe small.0.write($0) }
        let two = unsafe content(count, times).withUnsafeBytes { unsafe large.0.write($0) }
        #expect(two == one * times)
        next += one
      case 1:
        #expect(
          large.0.move(to: &large.1, upTo: count * times) == small.0.move(to: &small.1, upTo: count) * times)
      case 2:
        var copy = [UInt8](repeating: 0, count: count * times)
        let one = unsafe copy.withUnsafeMutableBytes {
          unsafe small.1.read(into: UnsafeMutableRawBufferPointer(rebasing: $0[..<count]))
        }
        let two = unsafe copy.withUnsafeMutableBytes { unsafe large.1.read(into: $0) }
        #expect(two == one * times && checked(Array(copy[..<two])))
        seen += one
      default:
        var glass = (SlotRing(capacity: 4096, page: 4096), SlotRing(capacity: page, page: page))
        #expect(
          large.0.tee(to: &glass.1, upTo: count * times) == small.0.tee(to: &glass.0, upTo: count) * times)
      }
      #expect(large.0.used == small.0.used && large.1.used == small.1.used)
      #expect(large.0.count == small.0.count * times && large.0.room == small.0.room * times)
    }
  }
}
