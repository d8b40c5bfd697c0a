// Which part of the sources is copied, and where it goes: offsets and resuming.
//
// Everything is checked before anything is changed; sinks are truncated when it begins.

import CSplice
import Splice
import SystemPackage

/// What is to be copied, and where it goes.
struct CopyRange {
  /// At most this many bytes.
  private(set) var limit: UInt64
  /// What is read, one after the other.
  private(set) var sources: [SourceRange] = []
  /// Whether two files are all there is, with offsets of their own.
  private(set) var isFromFileToFile = false
  /// Where to begin in them, once it has begun; nil unless both are files.
  private(set) var places: Places?

  /// Offsets to begin at.
  struct Places: Sendable, Hashable {
    let source, sink: Int64
  }

  /// Where it goes in each sink.
  let placement: SinkPlacement

  /// Finds the places in the sources, and checks what is asked of the sinks.
  init(_ plan: CopyPlan, _ from: [OpenEndpoint], _ sinks: [OpenEndpoint]) throws(Failure) {
    limit = plan.limit
    placement = SinkPlacement(offset: plan.sinkOffset, resumes: plan.resumes, overwrites: plan.overwrites)
    var left = limit
    for (index, source) in from.enumerated() {
      let range = try SourceRange(source, skipping: index == 0 ? plan.offset ?? 0 : 0, upTo: left)
      left -= range.size ?? 0
      sources.append(range)
    }
    if plan.resumes {
      guard from[0].sourceKind == .regularFile, sinks[0].sinkKind == .regularFile else {
        throw Failure(
          sinks[0].endpoint, .sink, "resume", reason: "copies from one file to one file only", .usage)
      }
      try resume(sinks[0])
    }
    guard sources.count == 1, sources[0].promised != nil, sinks.count == 1,
      sinks[0].sinkKind == .regularFile
    else { return }
    isFromFileToFile = try !sinks[0].isAppended()
  }

  /// Changes the sinks: empties those that are written anew.
  mutating func begin(_ sinks: [OpenEndpoint]) throws(Failure) {
    for to in sinks { try placement.begin(to) }
    guard isFromFileToFile, let to = sinks.first else { return }
    let there = try to.attempt("seek") { () throws(Errno) in
      try to.withSink { file throws(Errno) in try Syscall.lseek(file, to: 0, from: .current) }
    }
    places = Places(source: sources[0].start, sink: there)
  }

  /// Bytes there are to be copied, where every source says how many it has. Inherited ones may be one open
  /// file.
  var size: UInt64? {
    if sources.count(where: \.source.endpoint.isInherited) > 1 { return nil }
    return sources.reduce(0 as UInt64?) { sum, range in sum.flatMap { sum in range.size.map { sum + $0 } } }
  }

  /// Throws when a source has kept back something of what it promised.
  func mustBeWhole(after received: [UInt64]) throws(Failure) {
    for (range, received) in zip(sources, received) { try range.mustBeWhole(after: received) }
  }

  /// Leaves the offsets of files behind what was moved, of what each source has given.
  func leave(behind moved: UInt64, of received: [UInt64]) {
    if sources.count == 1 { return sources[0].leave(behind: moved) }
    var left = moved
    for (range, received) in zip(sources, received) {
      range.source.giveBack(received - min(left, received))
      left -= min(left, received)
    }
  }

  /// The sources whose ends were read, of those that have given this many bytes: not the one in which the
  /// limit was reached, and none after it.
  func ended(after received: [UInt64]) -> ArraySlice<SourceRange> {
    sources.prefix(received.reduce(0, +) < limit ? received.count : received.count - 1)
  }

  /// Moves both to where the sink ends.
  private mutating func resume(_ to: OpenEndpoint) throws(Failure) {
    let from = sources[0]
    let done = try to.attempt("seek") { () throws(Errno) in
      try to.withSink { file throws(Errno) in try Syscall.fstat(file).size }
    }
    if let pastTheEnd = from.pastTheEnd {
      throw Failure(from.source.endpoint, .source, "seek", reason: pastTheEnd, .usage)
    }
    guard done <= from.fileEnd - from.start, UInt64(done) <= limit else {
      throw Failure(
        to.endpoint, .sink, "resume", reason: "the sink is longer than what is to be copied", .usage)
    }
    // The limit is of the whole: the same command, given again, makes the same file.
    if limit != .max { limit -= UInt64(done) }
    sources[0] = try SourceRange(from.source, skipping: done, upTo: limit)
    try to.attempt("seek") { () throws(Errno) in
      try to.withSink { file throws(Errno) in _ = try Syscall.lseek(file, to: done, from: .start) }
    }
  }
}
