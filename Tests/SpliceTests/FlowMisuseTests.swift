// What cannot be, given to every flow of the library: a typed error that names the side, at once.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

/// Every flow that has a descriptor as its source, or its sink, or both.
private enum Mover: String, CaseIterable, Sendable {
  case forward, toCode, fromCode, drain, readerDrain, writerFill, fanFill, sinkDrain, fanRun, sendfile,
    duplex,
    fileCopy

  var hasSource: Bool { ![.fromCode, .drain, .readerDrain, .sinkDrain].contains(self) }
  var hasSink: Bool { ![.toCode, .writerFill, .fanFill].contains(self) }
  /// A file is needed to move anything at all.
  var isOfFiles: Bool { self == .sendfile || self == .fileCopy }

  var waitings: [Waiting] {
    [.toCode, .fromCode, .fanRun].contains(self) ? [.async] : [.async, .blocking]
  }

  static var all: [(Mover, Waiting)] {
    allCases.flatMap { mover in mover.waitings.map { (mover, $0) } }
  }

  static func all(where suits: (Mover) -> Bool) -> [(Mover, Waiting)] { all.filter { suits($0.0) } }

  func run(
    _ waiting: Waiting, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    upTo limit: UInt64 = .max, until deadline: ContinuousClock.Instant? = nil, stop: StopFlag? = nil
  ) async throws(SpliceError) {
    do {
      let poll = BlockingWait(until: deadline, orStoppedBy: stop)
      var pipe = try SplicePipe()
      switch (self, waiting) {
      case (.forward, .async):
        try await pipe.forward(from: source, to: sink, upTo: limit, until: deadline)
      case (.forward, .blocking): try pipe.forward(from: source, to: sink, upTo: limit, waitingIn: poll)
      case (.toCode, _):
        var bytes = BytesSink<[UInt8]>()
        try await pipe.forward(from: source, to: &bytes, upTo: limit, until: deadline)
      case (.fromCode, _):
        var bytes = BytesSource([1, 2, 3] as [UInt8])
        try await pipe.forward(from: &bytes, to: sink, upTo: limit, until: deadline)
      case (.drain, .async):
        _ = try pipe.write([1, 2, 3])
        try await pipe.drain(to: sink, upTo: limit, until: deadline)
      case (.drain, .blocking):
        _ = try pipe.write([1, 2, 3])
        try pipe.drain(to: sink, upTo: limit, waitingIn: poll)
      case (.readerDrain, _), (.writerFill, _):
        let ends = pipe.split()
        var reader = ends.reader
        var writer = ends.writer
        _ = try writer.write([1, 2, 3])
        switch (self, waiting) {
        case (.readerDrain, .async): try await reader.drain(to: sink, upTo: limit, until: deadline)
        case (.readerDrain, .blocking): try reader.drain(to: sink, upTo: limit, waitingIn: poll)
        case (_, .async): try await writer.fill(from: source, upTo: limit, until: deadline)
        case (_, .blocking): try writer.fill(from: source, upTo: limit, waitingIn: poll)
        }
      case (.fanFill, _), (.sinkDrain, _), (.fanRun, _):
        let fan = try FanOut()
        switch (self, waiting) {
        case (.fanRun, _):
          let target = try fan.attach(to: Descriptor(twin: sink))
          for outcome in try await fan.run(from: source, to: [target], upTo: limit, until: deadline) {
            _ = try outcome.get()
          }
        case (.fanFill, .async):
          let other = try fan.attach(.skip)
          defer { other.detach() }
          try await fan.fill(from: source, upTo: limit, until: deadline)
        case (.fanFill, .blocking):
          let other = try fan.attach(.skip)
          defer { other.detach() }
          try fan.fill(from: source, upTo: limit, waitingIn: poll)
        default:
          let target = try fan.attach()
          var bytes = BytesSource([1, 2, 3] as [UInt8])
          try await fan.fill(from: &bytes)
          switch waiting {
          case .async: try await target.drain(to: sink, upTo: limit, until: deadline)
          case .blocking: try target.drain(to: sink, upTo: limit, waitingIn: poll)
          }
        }
      case (.sendfile, .async):
        var offset: Int64 = 0
        try await Splice.sendfile(from: source, at: &offset, count: min(limit, 10), to: sink, until: deadline)
      case (.sendfile, .blocking):
        var offset: Int64 = 0
        try Splice.sendfile(from: source, at: &offset, count: min(limit, 10), to: sink, waitingIn: poll)
      case (.duplex, _):
        var duplex = Duplex()
        do throws(Duplex.Failure) {
          switch waiting {
          case .async: try await duplex.run(between: source, and: sink, until: deadline)
          case .blocking: try duplex.run(between: source, and: sink, waitingIn: poll)
          }
        } catch { throw error.error }
      case (.fileCopy, .async):
        var copy = FileCopy(upTo: limit)
        try await copy.run(from: source, to: sink, until: deadline)
      case (.fileCopy, .blocking):
        var copy = FileCopy(upTo: limit)
        try copy.run(from: source, to: sink, waitingIn: poll)
      }
    } catch let error as SpliceError { throw error } catch {
      Issue.record("\(error) names no side")
      throw .pipe(error as? Errno ?? .ioError)
    }
  }
}

extension Descriptor {
  /// What a caller has who closed the number behind our back.
  fileprivate static var nothing: Descriptor { Descriptor(owning: FileDescriptor(rawValue: -1)) }

  /// Another one like this, closed if this is.
  fileprivate init(twin other: borrowing Descriptor) throws {
    let number = other.withFileDescriptor { $0.rawValue }
    self = number < 0 ? .nothing : try Descriptor(duplicating: FileDescriptor(rawValue: number))
  }
}

@Suite(.mayBlock) struct FlowMisuseTests {
  private func file() throws -> Descriptor { try TemporaryFile(bytes(1000)).open(.readWrite) }

  @Test(arguments: Mover.all(where: \.hasSource))
  fileprivate func `a closed source is an error`(_ mover: Mover, _ waiting: Waiting) async throws {
    // Which of the two a direction of a `Duplex` asks first is its own affair.
    let errors: [SpliceError] =
      [.source(.badFileDescriptor)] + (mover == .duplex ? [.sink(.badFileDescriptor)] : [])
    let sink = mover == .duplex ? try Ends.unix().twinOfFar() : try file()
    await fails(errors) { () throws(SpliceError) in try await mover.run(waiting, from: .nothing, to: sink) }
  }

  @Test(arguments: Mover.all(where: \.hasSink))
  fileprivate func `a closed sink is an error`(_ mover: Mover, _ waiting: Waiting) async throws {
    let errors: [SpliceError] =
      [.sink(.badFileDescriptor)] + (mover == .duplex ? [.source(.badFileDescriptor)] : [])
    let source = mover == .duplex ? try Ends.unix().twinOfFar() : try file()
    await fails(errors) { () throws(SpliceError) in try await mover.run(waiting, from: source, to: .nothing) }
  }

  @Test(arguments: Mover.all(where: { $0.hasSource && $0 != .duplex }))
  fileprivate func `a directory as the source is an error`(_ mover: Mover, _ waiting: Waiting) async throws {
    let sink = try file()
    await fails([.source(.isDirectory), .source(.invalidArgument)]) { () throws(SpliceError) in
      try await mover.run(waiting, from: Self.directory(), to: sink)
    }
  }

  @Test(arguments: Mover.all(where: { $0.hasSink && $0 != .duplex }))
  fileprivate func `a directory as the sink is an error`(_ mover: Mover, _ waiting: Waiting) async throws {
    let source = try file()
    await fails([.sink(.badFileDescriptor), .sink(.isDirectory), .sink(.invalidArgument)]) {
      () throws(SpliceError) in
      try await mover.run(waiting, from: source, to: Self.directory())
    }
  }

  /// What can be done at once may be done, and nothing is waited for.
  @Test(arguments: Mover.all)
  fileprivate func `a deadline that has passed ends a flow at once`(
    _ mover: Mover, _ waiting: Waiting
  ) async throws {
    let silent = try Ends.unix()
    let full = try Ends.fullPipe()
    let from = try file()
    let to = try file()
    await fails([.timedOut]) { () throws(SpliceError) in
      if mover == .fileCopy {
        try await mover.run(waiting, from: from, to: to, until: .now - .seconds(1))
      } else if mover == .sendfile {
        try await mover.run(waiting, from: from, to: full.near, until: .now - .seconds(1))
      } else if mover == .duplex {
        try await mover.run(waiting, from: silent.far, to: silent.near, until: .now - .seconds(1))
      } else {
        try await mover.run(waiting, from: silent.far, to: full.near, until: .now - .seconds(1))
      }
    }
  }

  @Test(arguments: Mover.all(where: { !$0.isOfFiles }))
  fileprivate func `a task that is cancelled already moves nothing`(
    _ mover: Mover, _ waiting: Waiting
  ) async throws {
    let silent = try Ends.unix()
    let full = try Ends.fullPipe()
    switch waiting {
    case .async:
      let from = Handover(try silent.twinOfFar())
      let to = Handover(mover == .duplex ? try silent.twinOfNear() : try full.twinOfNear())
      let task = Task {
        withUnsafeCurrentTask { unsafe $0?.cancel() }
        try await mover.run(.async, from: from.take(), to: to.take())
      }
      await #expect(throws: SpliceError.cancelled) { try await task.value }
    case .blocking:
      let stop = try StopFlag()
      stop.stop()
      await fails([.cancelled]) { () throws(SpliceError) in
        if mover == .duplex {
          try await mover.run(.blocking, from: silent.far, to: silent.near, stop: stop)
        } else {
          try await mover.run(.blocking, from: silent.far, to: full.near, stop: stop)
        }
      }
    }
  }

  /// Nothing is taken, nothing is asked, and nothing fails.
  @Test(arguments: Mover.all(where: { $0 != .duplex }))
  fileprivate func `a limit of zero moves nothing`(_ mover: Mover, _ waiting: Waiting) async throws {
    let from = try file()
    let to = try file()
    try await mover.run(waiting, from: from, to: to, upTo: 0)
    #expect(try from.withFileDescriptor { try $0.seek(offset: 0, from: .current) } == 0)
    #expect(try to.withFileDescriptor { try $0.seek(offset: 0, from: .end) } == 1000)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `an end that is bad or alone says so`(_ storage: SplicePipe.Storage) async throws {
    let source = try file()
    let ends = try SplicePipe(storage).split()
    var reader = ends.reader
    var writer = ends.writer
    reader.invalidate()
    await fails([.pipe(.badMessage)]) { () throws(SpliceError) in try await reader.drain(to: source) }
    await fails([.pipe(.badMessage)]) { () throws(SpliceError) in try await writer.fill(from: source) }
    #expect(throws: Errno.badMessage) { try writer.write([1]) }
    let others = try SplicePipe(storage).split()
    var alone = others.writer
    _ = consume others.reader
    await fails([.sink(.brokenPipe)]) { () throws(SpliceError) in try await alone.fill(from: source) }
    await fails([.sink(.brokenPipe)]) { () throws(SpliceError) in
      try alone.fill(from: source, waitingIn: .poll)
    }
  }

  private static func directory() throws(SpliceError) -> Descriptor {
    do throws(Errno) { return try Descriptor.open("/tmp", .readOnly) } catch { throw .pipe(error) }
  }

  private func fails(
    _ errors: [SpliceError], _ body: () async throws(SpliceError) -> Void,
    at place: SourceLocation = #_sourceLocation
  ) async {
    do throws(SpliceError) {
      try await body()
      Issue.record("it did not fail", sourceLocation: place)
    } catch { #expect(errors.contains(error), "\(error)", sourceLocation: place) }
  }
}

extension Ends {
  fileprivate borrowing func twinOfNear() throws -> Descriptor { try Descriptor(twin: near) }
  fileprivate borrowing func twinOfFar() throws -> Descriptor { try Descriptor(twin: far) }

  /// A pipe whose writing end takes nothing.
  fileprivate static func fullPipe() throws -> Ends {
    let ends = try Ends.pipe(size: 4096)
    try ends.near.writeAll(bytes(4096))
    return ends
  }
}
