// Which part of the source goes where in the sink: offsets, resuming, and what the source has promised.
//
// Everything is checked here before anything is changed, and the sink is truncated at the very end of it.

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
  /// Where the source would end.
  private var end: Int64 = 0

  /// Offsets to begin at.
  struct Places: Sendable, Hashable {
    let source, sink: Int64
  }

  /// Finds the places in all, and truncates the sinks where they are to be written anew.
  init(_ plan: CopyPlan, _ from: OpenEndpoint, _ sinks: [OpenEndpoint]) throws(Failure) {
    limit = plan.limit
    for (index, to) in sinks.enumerated() {
      if try from.isSameFile(as: to) {
        throw Failure(to.word, .sink, "open", reason: "source and sink are the same file", .noSink)
      }
      for other in sinks[..<index] where try other.isSameSink(as: to) {
        throw Failure(to.word, .sink, "open", reason: "is a sink already, \(other.word)", .noSink)
      }
    }
    if let offset = plan.offset {
      try from.attempt("seek") { () throws(Errno) in
        try from.withSource { file throws(Errno) in _ = try Syscall.lseek(file, to: offset, from: .current) }
      }
    }
    if plan.resumes {
      guard from.source.kind == .regularFile, sinks[0].sink.kind == .regularFile else {
        throw Failure(sinks[0].word, .sink, "resume", reason: "goes from one file to another", .usage)
      }
      try resume(from, sinks[0])
    } else {
      for to in sinks { try Self.begin(to, at: plan.sinkOffset) }
    }
    try find(from, sinks)
  }

  /// Goes to an offset of a file that keeps what it has, or empties it.
  private static func begin(_ to: OpenEndpoint, at offset: Int64?) throws(Failure) {
    guard to.sink.kind == .regularFile || to.sink.kind == .blockDevice else { return }
    if let offset {
      if try to.isAppended() { return }
      try to.attempt("seek") { () throws(Errno) in
        try to.withSink { file throws(Errno) in _ = try Syscall.lseek(file, to: offset, from: .current) }
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
    let left = try from.attempt("seek") { () throws(Errno) in
      try from.withSource { file throws(Errno) in
        try Syscall.fstat(file).size - Syscall.lseek(file, to: 0, from: .current)
      }
    }
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

  private mutating func find(_ from: OpenEndpoint, _ sinks: [OpenEndpoint]) throws(Failure) {
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
      end = here + Int64(left)
      guard sinks.count == 1, let to = sinks.first, to.sink.kind == .regularFile, try !to.isAppended() else {
        return
      }
      let there = try to.attempt("seek") { () throws(Errno) in
        try to.withSink { file throws(Errno) in try Syscall.lseek(file, to: 0, from: .current) }
      }
      places = Places(source: here, sink: there)
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
}

// MARK: - What an endpoint is

extension OpenEndpoint {
  /// Whether this source and that sink are the same file or disk.
  func isSameFile(as sink: OpenEndpoint) throws(Failure) -> Bool {
    guard source.kind == .regularFile || source.kind == .blockDevice, sink.endpoint.place != .digest else {
      return false
    }
    let mine = try attempt("open") { () throws(Errno) in try withSource(Syscall.fstat) }
    let theirs = try sink.attempt("open") { () throws(Errno) in try sink.withSink(Syscall.fstat) }
    return mine.device == theirs.device && mine.inode == theirs.inode
  }

  /// Whether two sinks are the same file or disk.
  func isSameSink(as other: OpenEndpoint) throws(Failure) -> Bool {
    guard sink.kind == .regularFile || sink.kind == .blockDevice, other.endpoint.place != .digest else {
      return false
    }
    let mine = try attempt("open") { () throws(Errno) in try withSink(Syscall.fstat) }
    let theirs = try other.attempt("open") { () throws(Errno) in try other.withSink(Syscall.fstat) }
    return mine.device == theirs.device && mine.inode == theirs.inode
  }

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
