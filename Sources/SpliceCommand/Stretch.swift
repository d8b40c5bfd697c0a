// Which part of the source goes where in the sink: offsets, resuming, and what the source has promised.
//
// Everything is checked before anything is changed; sinks are truncated when it begins.

import CSplice
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
  /// Whether two files are all there is, with offsets of their own.
  private(set) var isFromFileToFile = false
  /// Where to begin in them, once it has begun; nil unless both are files.
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
  private let overwrites: Overwriting
  /// What was asked to be left out of a source that ends before that.
  private var pastEnd: (offset: Int64, size: Int64)?

  /// Finds the place in the source, and checks what is asked of the sinks.
  init(_ plan: CopyPlan, _ from: OpenEndpoint, _ sinks: [OpenEndpoint]) throws(Failure) {
    limit = plan.limit
    (sinkOffset, resumes, overwrites) = (plan.sinkOffset, plan.resumes, plan.overwrites)
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
        throw Failure(sinks[0].endpoint, .sink, "resume", reason: "goes from one file to another", .usage)
      }
      try resume(from, sinks[0])
    }
    try find(from)
    guard promised != nil, sinks.count == 1, sinks[0].sink.kind == .regularFile else { return }
    isFromFileToFile = try !sinks[0].isAppended()
  }

  /// Changes the sinks: empties those that are written anew.
  mutating func begin(_ sinks: [OpenEndpoint]) throws(Failure) {
    if !resumes { for to in sinks { try begin(to) } }
    guard isFromFileToFile, let to = sinks.first else { return }
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
      try mayOverwrite(to)
      try to.truncate()
    }
  }

  /// Which files that exist may lose what they have: a shell's `*` names more of them than was meant.
  enum Overwriting: Sendable {
    case nothing, firstSink, everything
  }

  /// Throws for a file that exists, has something in it, and is not to lose that.
  func mayOverwrite(_ to: OpenEndpoint) throws(Failure) {
    guard overwrites != .everything, overwrites == .nothing || to.endpoint.number > 1,
      case .path = to.endpoint.place,
      sinkOffset == nil, !resumes, to.sink.kind == .regularFile
    else { return }
    let size = try to.attempt("open") { () throws(Errno) in
      try to.withSink { file throws(Errno) in try Syscall.fstat(file).size }
    }
    if size == 0 { return }
    let hint = overwrites == .nothing ? "" : " (--force overwrites it)"
    throw Failure(to.endpoint, .sink, "open", reason: "exists already\(hint)", .couldNotOpen(.sink))
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
      throw Failure(from.endpoint, .source, "seek", reason: Self.pastTheEnd(here, size), .usage)
    }
    let left = size - here
    guard done <= left, UInt64(done) <= limit else {
      throw Failure(to.endpoint, .sink, "resume", reason: "is longer than what is to be copied", .usage)
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
      start = here
      // Files of `/proc` say 0 and have more.
      guard size > 0 else { return }
      let left = min(UInt64(max(0, size - here)), limit)
      promised = left
      end = here + Int64(left)
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

  /// Leaves a file's offset behind so many bytes, for those who share it: what no sink has accepted is there for the next one.
  func leave(_ from: OpenEndpoint, behind moved: UInt64, _ report: inout Report) {
    guard from.source.kind == .regularFile else { return }
    from.withSource { _ = try? Syscall.lseek($0, to: start + Int64(moved), from: .start) }
    report.limit(received: moved)
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
      throw Failure(endpoint, role.side, "seek", reason: "\(option): is written at its end", .usage)
    // `--sink-offset` is for files that would else be truncated; a disk has offsets as well.
    case .blockDevice, .characterDevice: return
    default: throw Failure(endpoint, role.side, "seek", reason: "\(option): has no offsets", .usage)
    }
  }

  /// Refuses what is on no disk.
  func mustBeSynchronizable() throws(Failure) {
    guard sink.kind == .regularFile || sink.kind == .blockDevice else {
      throw Failure(endpoint, .sink, "sync", reason: "--sync is for a sink that is a file", .usage)
    }
  }
}

// MARK: - One file, one endpoint

/// The files and disks that are read or written, each by one endpoint only.
final class OccupiedFiles: Sendable {
  /// A file: by its name only where there is none yet.
  enum File: Sendable, Hashable {
    case there(device: UInt64, inode: UInt64)
    case new(FilePath)
  }

  private let owners = Locked<[File: (word: String, isSource: Bool)]>([:])

  /// Adds the file of an endpoint, if it is one, and throws when another has it. It can be given back to ``remove(_:)``.
  @discardableResult
  func add(_ open: OpenEndpoint) throws(Failure) -> File? {
    open.role == .source ? try addSource(open) : try addSink(open)
  }

  /// Adds the file that an endpoint is read from.
  @discardableResult
  func addSource(_ open: OpenEndpoint) throws(Failure) -> File? {
    guard open.source.isOnDisk else { return nil }
    let status = try open.attempt("open") { () throws(Errno) in try open.withSource(Syscall.fstat) }
    return try add(.there(device: status.device, inode: status.inode), of: open.endpoint, isSource: true)
  }

  /// Adds the file that an endpoint is written to.
  @discardableResult
  func addSink(_ open: OpenEndpoint) throws(Failure) -> File? {
    guard !open.endpoint.place.isDigest, open.sink.isOnDisk else { return nil }
    let status = try open.attempt("open") { () throws(Errno) in try open.withSink(Syscall.fstat) }
    return try add(.there(device: status.device, inode: status.inode), of: open.endpoint)
  }

  /// Adds the file that a sink will be, as far as that can be seen before it is opened.
  func add(_ endpoint: Endpoint) throws(Failure) {
    switch endpoint.place {
    case .path(let path), .append(let path):
      guard let status = try? Syscall.status(of: path) else {
        try add(.new(path.lexicallyNormalized()), of: endpoint)
        return
      }
      guard status.type == S_IFREG || status.type == S_IFBLK else { return }
      try add(.there(device: status.device, inode: status.inode), of: endpoint)
    default: return
    }
  }

  /// Another endpoint may have it from now on.
  func remove(_ file: File) { owners.withLock { $0[file] = nil } }

  @discardableResult
  private func add(_ file: File, of endpoint: Endpoint, isSource: Bool = false) throws(Failure) -> File {
    let other = owners.withLock { owners in
      let other = owners[file]
      if other == nil { owners[file] = (endpoint.word, isSource) }
      return other
    }
    guard let other else { return file }
    throw Failure(
      endpoint, .sink, "open",
      reason: other.isSource
        ? "source and sink are the same file" : "is a sink already, \(other.word.escapedName)", .noSink)
  }
}

extension Descriptor {
  /// Whether there is a disk behind it, or what passes for one.
  var isOnDisk: Bool { kind == .regularFile || kind == .blockDevice }
}
