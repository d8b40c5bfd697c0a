// split: two ends for two tasks.

import SystemPackage

extension SplicePipe {
  /// Takes this pipe apart into two ends, which may live in different tasks or threads and wait for each
  /// other.
  ///
  /// Letting the writer go is the end of stream for the reader; letting the reader go is EPIPE for the
  /// writer. The accounts go on: `received - delivered == count`.  C: `pipe`
  public consuming func split() -> PipeEnds {
    let pipe = SharedPipe(self)
    return PipeEnds(
      reader: PipeReader(end: PipeEnd(of: pipe, .reader)), writer: PipeWriter(end: PipeEnd(of: pipe, .writer))
    )
  }
}

extension SplicePipe {
  mutating func release(_ side: Side) throws(Errno) -> FileDescriptor { try rings.release(side) }
  var loneEnd: FileDescriptor? { rings.loneEnd }
  var hasHungUp: Bool { rings.hasHungUp }

  /// What came in unseen by this process is received, too.
  mutating func recount() {
    let before = count
    rings.recount()
    if count > before { receivedBy.splice += UInt64(count - before) }
  }

}

/// Both ends of a pipe, to be taken apart.
@frozen public struct PipeEnds: ~Copyable, Sendable {
  /// Where bytes come out.
  public var reader: PipeReader
  /// Where they go in.
  public var writer: PipeWriter
}

/// Holds one end open. A class, since Swift 6.3 cannot inline the deinit of a noncopyable struct across
/// modules.
final class PipeEnd: Sendable {
  let pipe: SharedPipe
  private let side: Side

  init(of pipe: SharedPipe, _ side: Side) {
    self.pipe = pipe
    self.side = side
  }

  deinit { pipe.close(side) }
}

// MARK: - Two tasks

extension PipeEnds {
  /// Runs a reader and a writer side by side, each with its end, which is let go when it returns or throws.
  ///
  /// - Returns: What the two return.
  /// - Throws: The first error of the two; the other is cancelled, and waited for.
  public consuming func run<Read: Sendable, Written: Sendable>(
    reading: @escaping @Sendable (inout PipeReader) async throws -> Read,
    writing: @escaping @Sendable (inout PipeWriter) async throws -> Written
  ) async throws -> (read: Read, written: Written) {
    // Taken out by the task, so that nothing else holds an end open.
    let (readerEnd, writerEnd) = (Locked<PipeEnd?>(reader.end), Locked<PipeEnd?>(writer.end))
    _ = consume self
    return try await withThrowingTaskGroup(of: Share<Read, Written>.self) { tasks in
      tasks.addTask {
        var reader = PipeReader(end: readerEnd.takeOut())
        return .read(try await reading(&reader))
      }
      tasks.addTask {
        var writer = PipeWriter(end: writerEnd.takeOut())
        return .written(try await writing(&writer))
      }
      var outcome: (read: Read?, written: Written?)
      for try await result in tasks {
        switch result {
        case .read(let value): outcome.read = value
        case .written(let value): outcome.written = value
        }
      }
      guard let read = outcome.read, let written = outcome.written else { throw CancellationError() }
      return (read, written)
    }
  }
}

/// What one of the two returned.
private enum Share<Read: Sendable, Written: Sendable>: Sendable {
  case read(Read), written(Written)
}

extension Locked where Value == PipeEnd? {
  fileprivate func takeOut() -> PipeEnd {
    withLock { end in
      guard let taken = end.take() else { preconditionFailure("an end is taken once") }
      return taken
    }
  }
}
