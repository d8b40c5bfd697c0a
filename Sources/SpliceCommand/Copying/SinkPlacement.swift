// Where a sink is written, and what it may lose by that.

import CSplice
import Splice
import SystemPackage

/// Where the bytes go in a sink: to its beginning, which empties it, to an offset, or behind what a resumed
/// copy has.
struct SinkPlacement: Sendable {
  let offset: Int64?
  let resumes: Bool
  let overwrites: Overwriting

  /// Which files that exist may lose what they have: a shell's `*` names more of them than was meant.
  enum Overwriting: Sendable {
    case nothing, firstSink, everything
  }

  /// Goes to the offset of a file that keeps what it has, or empties it.
  func begin(_ to: OpenEndpoint) throws(Failure) {
    guard !resumes, to.isSinkOnDisk else { return }
    if let offset {
      if try to.isAppended() { return }
      try to.attempt("seek") { () throws(Errno) in
        try to.withSink { file throws(Errno) in _ = try Syscall.lseek(file, to: offset, from: .current) }
      }
    } else {
      try mayOverwrite(to)
      try to.truncate()
    }
  }

  /// Throws for a file that exists, has something in it, and is not to lose that. Where nothing may be
  /// overwritten, a file that this command has not made is not its own to write: another one may be about to.
  func mayOverwrite(_ to: OpenEndpoint) throws(Failure) {
    guard overwrites != .everything, overwrites == .nothing || to.endpoint.number > 1,
      case .path = to.endpoint.place, offset == nil, !resumes, to.sinkKind == .regularFile
    else { return }
    if to.newFile != nil { return }
    let size = try to.attempt("open") { () throws(Errno) in
      try to.withSink { file throws(Errno) in try Syscall.fstat(file).size }
    }
    if size == 0, overwrites == .firstSink { return }
    let hint = overwrites == .nothing ? "" : " (--force overwrites it)"
    throw Failure(to.endpoint, .sink, "open", reason: "exists already\(hint)", .couldNotOpen(.sink))
  }
}

// MARK: - What an endpoint is

extension OpenEndpoint {
  /// Whether everything that is written goes to the end of it.
  func isAppended() throws(Failure) -> Bool {
    try attempt("open") { () throws(Errno) in
      try withSink { file throws(Errno) in try Syscall.statusFlags(of: file) & O_APPEND != 0 }
    }
  }

  /// Refuses what has no offsets.
  func mustBeSeekable(_ option: String) throws(Failure) {
    switch role == .source ? source.kind : sink.kind {
    case .regularFile:
      guard role == .sink, try isAppended() else { return }
      throw Failure(endpoint, role.side, "seek", reason: "\(option): is append-only", .usage)
    // `--sink-offset` is for files that would else be truncated; a disk has offsets as well.
    case .blockDevice, .characterDevice: return
    default: throw Failure(endpoint, role.side, "seek", reason: "\(option): has no offsets", .usage)
    }
  }

  /// Refuses what is on no disk.
  func mustBeSynchronizable() throws(Failure) {
    guard sinkKind == .regularFile || sinkKind == .blockDevice else {
      throw Failure(endpoint, .sink, "sync", reason: "--sync is for a sink that is a file", .usage)
    }
  }
}
