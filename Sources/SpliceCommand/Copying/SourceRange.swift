// Which part of one source is copied: where it begins, and what the source has promised.

import CSplice
import Splice
import SystemPackage

/// The part of a source that is to be copied.
struct SourceRange {
  let source: OpenEndpoint
  /// Bytes the source has by its own account, no more than the limit; nil when it gives none.
  private(set) var promised: UInt64?
  /// What there is to be copied, promised or not: a disk has a size and makes no promise.
  private(set) var size: UInt64?
  /// Where it begins in a file.
  private(set) var start: Int64 = 0
  /// Where what was promised ends.
  private var end: Int64 = 0
  /// Where a file ends.
  private(set) var fileEnd: Int64 = 0

  /// Goes to the place in the source, `offset` bytes on, and looks what is there.
  init(_ source: OpenEndpoint, skipping offset: Int64, upTo limit: UInt64) throws(Failure) {
    self.source = source
    if offset != 0 {
      try source.attempt("seek") { () throws(Errno) in
        try source.withSource { file throws(Errno) in
          _ = try Syscall.lseek(file, to: offset, from: .current)
        }
      }
    }
    switch source.sourceKind {
    case .regularFile:
      (start, fileEnd) = try source.attempt("seek") { () throws(Errno) in
        try source.withSource { file throws(Errno) in
          (try Syscall.lseek(file, to: 0, from: .current), try Syscall.fstat(file).size)
        }
      }
      // Files of `/proc` say 0 and have more.
      guard fileEnd > 0 else { return }
      let left = min(UInt64(max(0, fileEnd - start)), limit)
      (promised, size) = (left, left)
      end = start + Int64(left)
      source.source.promise(until: left > 0 ? end : 0)
    case .blockDevice:
      size = source.withSource { disk in
        guard let here = try? Syscall.lseek(disk, to: 0, from: .current),
          let size = try? Syscall.lseek(disk, to: 0, from: .end)
        else { return nil }
        _ = try? Syscall.lseek(disk, to: here, from: .start)
        return min(UInt64(max(0, size - here)), limit)
      }
    default: return
    }
  }

  /// Throws when the source has kept back something of what it promised, and has become shorter since. One
  /// that is as long as it said and ends all the same, such as those of `/sys`, has only said too much.
  func mustBeWhole(after received: UInt64) throws(Failure) {
    guard let promised, received < promised else { return }
    let size = source.withSource { try? Syscall.fstat($0).size } ?? 0
    guard size < end else { return }
    throw Failure(
      source.endpoint, .source, "read", .truncated(missing: promised - received), .failedUnderWay)
  }

  /// Leaves a file's offset behind this many bytes, for those who share it: what no sink has accepted is
  /// there for the next one.
  func leave(behind moved: UInt64) {
    guard source.sourceKind == .regularFile else { return }
    source.withSource { _ = try? Syscall.lseek($0, to: start + Int64(moved), from: .start) }
  }

  /// Why there is nothing to copy, in a file that ends before the offset. Files of `/proc`, which have more
  /// than they say, may give something all the same.
  var pastTheEnd: String? {
    start > fileEnd ? "the offset \(start) is past the end, at \(fileEnd)" : nil
  }
}
