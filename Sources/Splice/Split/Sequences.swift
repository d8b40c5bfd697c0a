// Async sequences of segments, as a source and as what comes out of a pipe.

import SystemPackage

/// A source that is an async sequence of segments. None of them is copied into a pipe in memory.
///
/// It goes to another task with its base: the iterator is its own.
public struct SequenceSource<Base: AsyncSequence>: SpliceSource, ~Copyable where Base.Element == PipeSegment {
  private var iterator: Base.AsyncIterator
  /// What the pipe had no room for.
  private var rest: PipeSegment?

  /// Takes the elements in turn, each when the pipe has room for it.
  public init(_ base: Base) { iterator = base.makeAsyncIterator() }

  /// Takes arrays of bytes, `Data`, `ByteBufferView`, whatever is a collection of bytes, each in turn, when
  /// the pipe has room for it. Each is copied once.
  public init<Elements: AsyncSequence>(copying base: Elements)
  where
    Base == AsyncMapSequence<Elements, PipeSegment>, Elements.Element: Collection & SendableMetatype,
    Elements.Element.Element == UInt8
  {
    self.init(base.map { PipeSegment(copying: $0) })
  }

  /// Puts the next element in, or what is left of the one before.
  public mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    if rest == nil { rest = try await iterator.next(isolation: #isolation) }
    guard var segment = rest else { return .endOfFile }
    defer { rest = segment.count > 0 ? segment : nil }
    return try pipe.splice(from: &segment, upTo: limit)
  }
}

// The iterator was made here of a base that may be shared, and cannot be copied out of here: so one task at a
// time has it.
extension SequenceSource: @unchecked Sendable where Base: Sendable {}

/// What comes out of a pipe, as an async sequence of read-only segments. Who iterates slowly holds the writer
/// back; a cancelled iteration leaves the bytes in the pipe, where another one finds them.
public struct PipeSegments: AsyncSequence, Sendable {
  let end: PipeEnd

  /// Takes the next one out.
  public struct Iterator: AsyncIteratorProtocol {
    let end: PipeEnd

    /// The oldest bytes; nil at the end.
    public mutating func next() async throws(SpliceError) -> PipeSegment? { try await end.next() }

    /// The oldest bytes; nil at the end.
    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(SpliceError) -> PipeSegment? {
      try await end.next()
    }
  }

  /// Goes on where the last one stopped.
  public func makeAsyncIterator() -> Iterator { Iterator(end: end) }
}

extension PipeReader {
  /// What comes out of this end, as an async sequence.
  public consuming func segments() -> PipeSegments { PipeSegments(end: end) }

  /// The oldest bytes, without copying them out of a pipe in memory. Waits for them; nil when nothing will
  /// follow.
  public mutating func next() async throws(SpliceError) -> PipeSegment? { try await end.next() }
}

extension PipeEnd {
  func next() async throws(SpliceError) -> PipeSegment? {
    while true {
      if Task.isCancelled { throw .cancelled }
      var segment: PipeSegment?
      let transfer: Transfer
      do throws(Errno) {
        transfer = try pipe.asReader { pipe throws(Errno) in
          segment = try pipe.takeSegment()
          return segment.map { .bytes($0.count) } ?? .wouldBlock
        }
      } catch { throw .pipe(error) }
      if let segment { return segment }
      if transfer == .endOfFile { return nil }
      try await pipe.wait(as: .reader, on: .epoll)
    }
  }
}

// MARK: - Ends as drivers

extension PipeReader: SpliceSource {
  /// Moves what another task wrote.
  public mutating func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    while true {
      let transfer: Transfer
      do throws(Errno) { transfer = try splice(to: &pipe, upTo: limit) } catch {
        throw SpliceError.source(error)
      }
      guard transfer == .wouldBlock, pipe.hasRoom else { return transfer }
      try await wait()
    }
  }
}

extension PipeWriter: SpliceSink {
  /// Moves bytes to where another task reads.
  public mutating func drain(_ pipe: inout SplicePipe) async throws {
    do throws(Errno) {
      guard try splice(from: &pipe) == .wouldBlock else { return }
    } catch { throw SpliceError.sink(error) }
    try await wait()
  }

  /// Hands a segment over, whole, and waits until there is room for it. Whatever ends it, what is left in
  /// `segment` did not go in.
  public mutating func send(_ segment: inout PipeSegment) async throws(SpliceError) {
    while segment.count > 0 {
      do throws(Errno) {
        if case .bytes = try splice(from: &segment) { continue }
      } catch { throw .sink(error) }
      try await wait()
    }
  }

  /// Takes the front of a segment in, by reference. What did not fit stays in `segment`.
  public mutating func splice(from segment: inout PipeSegment) throws(Errno) -> Transfer {
    try end.pipe.asWriter { pipe throws(Errno) in try pipe.splice(from: &segment) }
  }
}
