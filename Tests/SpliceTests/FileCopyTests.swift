// From file to file in the library: bytes, holes, limits, and what can be gone on with. The command's tests
// have the rest.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct FileCopyTests {
  /// Data between two holes.
  private static let size = 8 << 20
  private let content = bytes(300_000)

  private func makeSparse() throws -> TemporaryFile {
    let file = try TemporaryFile()
    let descriptor = try file.open(.readWrite)
    try descriptor.withFileDescriptor { file in
      _ = try content.withUnsafeBytes { try file.writeAll(toAbsoluteOffset: 3 << 20, $0) }
      try #require(ftruncate(file.rawValue, off_t(Self.size)) == 0)
    }
    return file
  }

  @Test(arguments: Waiting.allCases, PathChoice.allCases)
  func `bytes and holes arrive`(_ waiting: Waiting, _ via: PathChoice) async throws {
    let source = try makeSparse()
    let sink = try TemporaryFile()
    var copy = FileCopy(options: FlowOptions(via: via))
    let from = try source.open(.readOnly)
    let to = try sink.open(.writeOnly)
    switch waiting {
    case .async: try await copy.run(from: from, to: to)
    case .blocking: try copy.run(from: from, to: to, waitingIn: .poll)
    }
    #expect(try sink.contents == source.contents)
    #expect(copy.paths.total == UInt64(Self.size) && copy.paths.hole > 0)
    #expect(copy.sourceOffset == Self.size && copy.sinkOffset == Self.size)
  }

  @Test func `a part goes to an offset`() async throws {
    let source = try TemporaryFile(content)
    let sink = try TemporaryFile(bytes(1000, seed: 3))
    var copy = FileCopy(from: 100, to: 400, upTo: 5000)
    try await copy.run(from: source.open(.readOnly), to: sink.open(.writeOnly))
    #expect(try sink.contents == Array(bytes(1000, seed: 3)[..<400] + content[100..<5100]))
  }

  /// Whatever is refused is as it was.
  @Test func `a file copy refuses what it cannot copy`() async throws {
    func refused(
      _ copy: FileCopy = FileCopy(), from source: borrowing Descriptor, to sink: borrowing Descriptor
    ) async -> SpliceError? {
      var copy = copy
      do throws(SpliceError) {
        try await copy.run(from: source, to: sink)
        return nil
      } catch { return error }
    }
    let (sparse, old) = (try makeSparse(), bytes(1 << 20, seed: 5))
    let sink = try TemporaryFile(old)
    let source = try sparse.open(.readOnly)
    let appending = Descriptor(owning: try FileDescriptor.open(sink.path, .writeOnly, options: .append))
    #expect(await refused(from: source, to: appending) == .sink(.invalidArgument))
    #expect(try await refused(from: source, to: sink.open(.readOnly)) == .sink(.badFileDescriptor))
    #expect(
      try await refused(FileCopy(from: -1), from: source, to: sink.open(.writeOnly))
        == .source(.invalidArgument))
    #expect(
      try await refused(FileCopy(to: -1), from: source, to: sink.open(.writeOnly)) == .sink(.invalidArgument))
    #expect(try await refused(from: Ends.pipe().far, to: sink.open(.writeOnly)) == .source(.invalidArgument))
    // Itself, and a part that grows into the other; apart they may be.
    let both = try sink.open(.readWrite)
    #expect(await refused(FileCopy(to: 1000), from: both, to: both) == .sink(.invalidArgument))
    #expect(
      await refused(FileCopy(to: 1000, upTo: 1001), from: both, to: both) == .sink(.invalidArgument))
    #expect(try sink.contents == old)
    #expect(await refused(FileCopy(to: 1000, upTo: 1000), from: both, to: both) == nil)
    #expect(try sink.contents == Array(old[..<1000] + old[..<1000] + old[2000...]))
  }

  /// One that began while there was nothing yet knows holes all the same.
  @Test(arguments: Waiting.allCases) func `a file that grows is copied`(_ waiting: Waiting) async throws {
    let (source, sink) = (try TemporaryFile(), try TemporaryFile())
    let from = try source.open(.readWrite)
    let to = try sink.open(.writeOnly)
    var copy = FileCopy()
    for size in [0, 8 << 20] {
      try from.withFileDescriptor { file in try #require(ftruncate(file.rawValue, off_t(size)) == 0) }
      switch waiting {
      case .async: try await copy.run(from: from, to: to)
      case .blocking: try copy.run(from: from, to: to, waitingIn: .poll)
      }
    }
    #expect(copy.paths.hole == 8 << 20 && copy.paths.total == 8 << 20)
    #expect(try sink.contents.count == 8 << 20)
  }

  /// A file that says 0 and has more, and one that has nothing.
  @Test func `files that tell no size are copied`() throws {
    let empty = try TemporaryFile()
    for path in ["/proc/version", empty.path.string] {
      let sink = try TemporaryFile()
      var copy = FileCopy()
      try copy.run(from: device(FilePath(path), .readOnly), to: sink.open(.writeOnly), waitingIn: .poll)
      #expect(try sink.contents == Array(FileManager.default.contents(atPath: path) ?? Data()))
    }
  }

  /// A pace holds it up, a deadline ends it, and it goes on where it was.
  @Test(arguments: Waiting.allCases) func `a file copy goes on where it was`(_ waiting: Waiting) async throws
  {
    let source = try TemporaryFile(content)
    let sink = try TemporaryFile()
    var copy = FileCopy(options: FlowOptions(pace: Pace(bytesPerSecond: 2_000_000)))
    let from = try source.open(.readOnly)
    let to = try sink.open(.writeOnly)
    var ends = 0
    while true {
      do throws(SpliceError) {
        let soon = ContinuousClock.now + .milliseconds(20)
        switch waiting {
        case .async: try await copy.run(from: from, to: to, until: soon)
        case .blocking: try copy.run(from: from, to: to, waitingIn: BlockingWait(until: soon))
        }
        break
      } catch {
        #expect(error == .timedOut)
        ends += 1
      }
    }
    #expect(ends > 0 && copy.paths.total == 300_000)
    #expect(try sink.contents == content)
  }

  @Test func `a cancelled file copy ends`() async throws {
    let source = try TemporaryFile(content)
    let sink = try TemporaryFile()
    let copying = Task {
      var copy = FileCopy(options: FlowOptions(pace: Pace(bytesPerSecond: 1000)))
      try await copy.run(from: source.open(.readOnly), to: sink.open(.writeOnly))
    }
    copying.cancel()
    await #expect(throws: SpliceError.cancelled) { try await copying.value }
  }
}
