// An observer in line: sees everything once, in order, whatever the way the bytes go.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct FlowObserverTests {
  private static let content = bytes(2_000_000, seed: 11)

  private static func all() throws -> FlowObserver<[UInt8]> {
    try FlowObserver([]) { all, bytes in
      unsafe bytes.withUnsafeBytes { unsafe all.append(contentsOf: $0) }
    }
  }

  @Test(arguments: Way.allCases, Ends.Kind.allCases)
  func `an observer sees all of it`(_ way: Way, _ kind: Ends.Kind) async throws {
    let observer = try Self.all()
    let out = try TemporaryFile()
    let sink = try out.open(.writeOnly)
    var source = try Ends.make(kind)
    let near = source.giveNear()
    let feeding = onThread {
      let near = Descriptor(owning: near)
      for start in stride(from: 0, to: Self.content.count, by: 7001) {
        try near.writeAll(Self.content[start..<min(start + 7001, Self.content.count)])
      }
    }
    var pipe = try SplicePipe(way.body)
    switch way.waiting {
    case .async: try await pipe.forward(from: source.far, to: sink, watchedBy: observer)
    case .blocking: try pipe.forward(from: source.far, to: sink, watchedBy: observer, waitingIn: .poll)
    }
    try feeding.join()
    #expect(try out.contents == Self.content)
    #expect(observer.withState { $0 } == Self.content)
    #expect(observer.missed == 0)
  }

  /// What a sink refuses was seen, and is not seen again when the flow goes on; whoever takes it bit by bit
  /// changes nothing.
  @Test(arguments: [SplicePipe.Storage.kernel, .memory])
  func `an observer sees each byte once`(_ storage: SplicePipe.Storage) async throws {
    let content = bytes(40_000, seed: 12)
    let observer = try Self.all()
    var pipe = try SplicePipe(storage)
    var source = BytesSource(content)
    await #expect(throws: SpliceError.sink(.noSpace)) {
      try await pipe.forward(from: &source, to: device("/dev/full"), watchedBy: observer)
    }
    let out = try TemporaryFile()
    for _ in 0..<7 {
      try await pipe.drain(to: out.open(.writeOnly, .append), upTo: 5000, watchedBy: observer)
    }
    try await pipe.forward(from: &source, to: out.open(.writeOnly, .append), watchedBy: observer)
    #expect(try out.contents == content)
    #expect(observer.withState { $0 } == content)
  }

  /// What a sink has refused was shown to another observer, and not to this one.
  @Test func `an observer that comes later sees what is left`() async throws {
    let one = try Self.all()
    let two = try Self.all()
    var pipe = try SplicePipe()
    var source = BytesSource(bytes(5000))
    await #expect(throws: SpliceError.sink(.noSpace)) {
      try await pipe.forward(from: &source, to: device("/dev/full"), watchedBy: one)
    }
    try await pipe.drain(to: device("/dev/null"), watchedBy: two)
    #expect(one.withState { $0 } == bytes(5000))
    #expect(two.withState { $0 } == bytes(5000))
  }

  /// Two flows take turns.
  @Test func `two flows share an observer`() async throws {
    let count = try FlowObserver(0) { count, bytes in count += bytes.byteCount }
    try await withThrowingTaskGroup { group in
      for seed in 0..<4 {
        group.addTask {
          var pipe = try SplicePipe()
          var source = BytesSource(bytes(500_000, seed: UInt64(seed)))
          try await pipe.forward(from: &source, to: device("/dev/null"), watchedBy: count)
        }
      }
      try await group.waitForAll()
    }
    #expect(count.withState { $0 } == 2_000_000)
  }
}
