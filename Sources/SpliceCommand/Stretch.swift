// Which part of the source goes where in the sink: offsets, resuming, and what the source has promised.
//
// Everything is checked before anything is changed; sinks are truncated when it begins.

import Glibc
import Splice
import SystemPackage

/// The stretch of the source that is to be copied.
struct Stretch {
  /// At most so many bytes.
  private(set) var limit: UInt64
  /// Bytes the source has by its own account, no more than the limit; nil when it gives none.
  private(set) var promised: UInt64?
  /// What a disk holds, which is known but not promised.
  private(set) var diskSize: UInt64?
  /// Where to begin in two files; nil unless both are.
  private(set) var places: Places?
  /// Where the source begins, and would end.
  private var start: Int64 = 0
  private var end: Int64 = 0

  /// Offsets to begin at.
  struct Places: Sendable, Hashable {
    let source, sink: Int64
  }

  /// Where the sinks are to be written, unless at their beginning.
  private let sinkOffset: Int64?
  private let resumes: Bool
  /// What was asked to be left out of a source that ends before that.
  private var pastEnd: (offset: Int64, size: Int64)?

  /// Finds the place in the source, and checks what is asked of the sinks.
  init(_ plan: CopyPlan, _ from: OpenEndpoint, _ sinks: [OpenEndpoint]) throws(Failure) {
    limit = plan.limit
    (sinkOffset, resumes) = (plan.sinkOffset, plan.resumes)
    if let offset = plan.offset {
      try from.attempt("seek") { () throws(Errno) in
        try from.withSource { file throws(Errno) in
          let here = try Syscall.lseek(file, to: offset, from: .current)
          let size = try Syscall.fstat(file).size
          if from.source.kind == .regularFile, here > size { pastEnd = (here, size) }
        }
      }
    }
    if resumes {
      guard from.source.kind == .regularFile, sinks[0].sink.kind == .regularFile else {
        throw Failure(sinks[0].word, .sink, "resume", reason: "goes from one file to another", .usage)
      }
      try resume(from, sinks[0])
    }
    try find(from)
  }

  /// Changes the sinks: empties those that are written anew.
  mutating func begin(_ sinks: [OpenEndpoint]) throws(Failure) {
    if !resumes { for to in sinks { try begin(to) } }
    guard promised != nil, sinks.count == 1, let to = sinks.first, to.sink.kind == .regularFile,
      try !to.isAppended()
    else { return }
    let there = try to.attempt("seek") { () throws(Errno) in
      try to.withSink { file throws(Errno) in try Syscall.lseek(file, to: 0, from: .current) }
    }
    places = Places(source: start, sink: there)
  }

  /// Goes to the offset of a file that keeps what it has, or empties it.
  func begin(_ to: OpenEndpoint) throws(Failure) {
    guard to.sink.kind == .regularFile || to.sink.kind == .blockDevice else { return }
    if let sinkOffset {
      if try to.isAppended() { return }
      try to.attempt("seek") { () throws(Errno) in
        try to.withSink { file throws(Errno) in _ = try Syscall.lseek(file, to: sinkOffset, from: .current) }
      }
    } else {
      try to.truncate()
    }
  }

  /// Moves both to where the sink ends.
  private mutating func resume(_ from: OpenEndpoint, _ to: OpenEndpoint) throws(Failure) {
    let done = try to.attempt("seek") { () throws(Errno) in
      try to.withSink { file throws(Errno) in try Syscall.fstat(file).size }
    }
    let (here, size) = try from.attempt("seek") { () throws(Errno) in
      try from.withSource { file throws(Errno) in
        (try Syscall.lseek(file, to: 0, from: .current), try Syscall.fstat(file).size)
      }
    }
    guard here <= size else {
      throw Failure(from.word, .source, "seek", reason: Self.pastTheEnd(here, size), .usage)
    }
    let left = size - here
    guard done <= left, UInt64(done) <= limit else {
      throw Failure(to.word, .sink, "resume", reason: "is longer than what is to be copied", .usage)
    }
    // The limit is of the whole: the same command, given again, makes the same file.
    if limit != .max { limit -= UInt64(done) }
    try from.attempt("seek") { () throws(Errno) in
      try from.withSource { file throws(Errno) in _ = try Syscall.lseek(file, to: done, from: .current) }
    }
    try to.attempt("seek") { () throws(Errno) in
      try to.withSink { file throws(Errno) in _ = try Syscall.lseek(file, to: done, from: .start) }
    }
  }

  private mutating func find(_ from: OpenEndpoint) throws(Failure) {
    switch from.source.kind {
    case .regularFile:
      let (here, size) = try from.attempt("seek") { () throws(Errno) in
        try from.withSource { file throws(Errno) in
          (try Syscall.lseek(file, to: 0, from: .current), try Syscall.fstat(file).size)
        }
      }
      // Files of `/proc` say 0 and have more.
      guard size > 0 else { return }
      let left = min(UInt64(max(0, size - here)), limit)
      promised = left
      (start, end) = (here, here + Int64(left))
    case .blockDevice:
      diskSize = from.withSource { disk in
        guard let here = try? Syscall.lseek(disk, to: 0, from: .current),
          let size = try? Syscall.lseek(disk, to: 0, from: .end)
        else { return nil }
        _ = try? Syscall.lseek(disk, to: here, from: .start)
        return min(UInt64(max(0, size - here)), limit)
      }
    default: return
    }
  }

  /// What the source kept back of what it promised, if it has become shorter since. One that is as long as it said and ends
  /// all the same, such as those of `/sys`, has only said too much.
  func missing(after received: UInt64, _ from: OpenEndpoint) -> UInt64? {
    guard let promised, received < promised else { return nil }
    let size = from.withSource { try? Syscall.fstat($0).size } ?? 0
    return size < end ? promised - received : nil
  }

  /// Says so when nothing was copied because the source ends before the offset. Files of `/proc`, which have more than they say, may
  /// have given something all the same.
  func remarkIfPastTheEnd(_ from: OpenEndpoint, _ report: inout Report) {
    guard let pastEnd, report.received == 0 else { return }
    report.remark("seek", Self.pastTheEnd(pastEnd.offset, pastEnd.size))
  }

  private static func pastTheEnd(_ offset: Int64, _ size: Int64) -> String {
    "the offset \(offset) is past the end, at \(size)"
  }
}

// MARK: - What an endpoint is

extension OpenEndpoint {
  /// Whether everything that is written goes to the end of it.
  fileprivate func isAppended() throws(Failure) -> Bool {
    try attempt("open") { () throws(Errno) in
      try withSink { file throws(Errno) in try Syscall.statusFlags(of: file) & O_APPEND != 0 }
    }
  }

  /// Refuses what has no offsets.
  func mustBeSeekable(_ option: String) throws(Failure) {
    switch role == .source ? source.kind : sink.kind {
    case .regularFile:
      guard role == .sink, try isAppended() else { return }
      throw Failure(word, role.side, "seek", reason: "\(option): is written at its end", .usage)
    // `--sink-offset` is for files that would else be truncated; a disk has offsets as well.
    case .blockDevice, .characterDevice: return
    default: throw Failure(word, role.side, "seek", reason: "\(option): has no offsets", .usage)
    }
  }

  /// Refuses what is on no disk.
  func mustBeSynchronizable() throws(Failure) {
    guard sink.kind == .regularFile || sink.kind == .blockDevice else {
      throw Failure(word, .sink, "sync", reason: "--sync is for a sink that is a file", .usage)
    }
  }
}

// MARK: - One file, one endpoint

/// The files and disks that are read or written, each by one endpoint only.
final class OccupiedFiles: Sendable {
  private struct File: Sendable, Hashable {
    let device, inode: UInt64
  }

  private let owners = Locked<[File: (word: String, isSource: Bool)]>([:])

  /// Adds the file of an endpoint, if it is one, and throws when another has it.
  func add(_ open: OpenEndpoint) throws(Failure) {
    let isSource = open.role == .source
    guard open.endpoint.place != .digest, isSource ? open.source.isOnDisk : open.sink.isOnDisk else { return }
    let status = try open.attempt("open") { () throws(Errno) in
      isSource ? try open.withSource(Syscall.fstat) : try open.withSink(Syscall.fstat)
    }
    let file = File(device: status.device, inode: status.inode)
    let other = owners.withLock { owners in
      let other = owners[file]
      if other == nil { owners[file] = (open.word, isSource) }
      return other
    }
    guard let other else { return }
    throw Failure(
      open.word, .sink, "open",
      reason: other.isSource
        ? "source and sink are the same file" : "is a sink already, \(other.word.escapedName)", .noSink)
  }
}

extension Descriptor {
  /// Whether there is a disk behind it, or what passes for one.
  var isOnDisk: Bool { kind == .regularFile || kind == .blockDevice }
}
