// A pipe that an actor owns, and whose turn it is.

import Splice
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct AsyncMutexTests {
  /// What an actor stores, and an async call changes.
  private actor Store {
    private let pipe: AsyncMutex<SplicePipe>
    init() throws { pipe = AsyncMutex(try SplicePipe(.memory)) }

    func put(_ bytes: [UInt8]) async throws {
      try await pipe.withLock { pipe in
        var source = BytesSource(bytes)
        _ = try await source.fill(&pipe, upTo: .max)
      }
    }

    func all() async throws -> [UInt8] {
      try await pipe.withLock { pipe in
        var sink = BytesSink<[UInt8]>()
        try await sink.drain(&pipe)
        return sink.bytes
      }
    }
  }

  @Test func `an actor owns a pipe`() async throws {
    let store = try Store()
    try await store.put([1, 2, 3])
    try await store.put([4])
    #expect(try await store.all() == [1, 2, 3, 4])
  }

  @Test func `one task at a time has the value`() async throws {
    let mutex = AsyncMutex((inside: 0, count: 0))
    try await withThrowingTaskGroup { group in
      for _ in 0..<50 {
        group.addTask {
          for _ in 0..<20 {
            try await mutex.withLock { value in
              #expect(value.inside == 0)
              value.inside += 1
              await Task.yield()
              value.inside -= 1
              value.count += 1
            }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await mutex.withLock { $0.count } == 1000)
  }

  /// In the order they came, and whoever is cancelled leaves the row.
  @Test func `whoever comes first is served first`() async throws {
    let mutex = AsyncMutex([Int]())
    let (opened, open) = AsyncStream<Void>.makeStream()
    let (held, hold) = AsyncStream<Void>.makeStream()
    let holder = Task {
      try await mutex.withLock { _ in
        hold.finish()
        for await _ in opened {}
      }
    }
    for await _ in held {}
    var waiting: [Task<Void, any Error>] = []
    for number in 0..<5 {
      waiting.append(Task { try await mutex.withLock { $0.append(number) } })
      while mutex.waiting < number + 1 { await Task.yield() }
    }
    waiting[2].cancel()
    await #expect(throws: SpliceError.cancelled) { try await waiting[2].value }
    #expect(mutex.waiting == 4)
    open.finish()
    try await holder.value
    for number in [0, 1, 3, 4] { try await waiting[number].value }
    #expect(try await mutex.withLock { $0 } == [0, 1, 3, 4])
  }

  /// What is left of the value is there for the next.
  @Test func `whatever the body throws, the value comes back`() async throws {
    let mutex = AsyncMutex(try SplicePipe(.memory))
    await #expect(throws: SpliceError.sink(.noSpace)) {
      try await mutex.withLock { pipe in
        var source = BytesSource([1, 2, 3] as [UInt8])
        try await pipe.forward(from: &source, to: Descriptor.open("/dev/full", .writeOnly))
      }
    }
    #expect(try await mutex.withLock { $0.count } == 3)
  }

  @Test func `a task that is cancelled does not begin`() async throws {
    let mutex = AsyncMutex(0)
    let task = Task {
      withUnsafeCurrentTask { unsafe $0?.cancel() }
      try await mutex.withLock { $0 = 1 }
    }
    await #expect(throws: SpliceError.cancelled) { try await task.value }
    #expect(try await mutex.withLock { $0 } == 0)
  }

  /// It ends with a wait, whenever that happens.
  @Test func `a task may be cancelled at any moment`() async throws {
    let mutex = AsyncMutex(0)
    for _ in 0..<300 {
      let tasks = (0..<3).map { _ in
        Task {
          try? await mutex.withLock {
            await Task.yield(); $0 += 1
          }
        }
      }
      tasks[1].cancel()
      for task in tasks { await task.value }
    }
    #expect(mutex.waiting == 0)
    #expect(try await mutex.withLock { $0 } >= 600)
  }
}
