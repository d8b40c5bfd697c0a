// A recording: files that sinks of a fan-out write, one after the other, and that others read when they cannot
// keep up. Or the source itself, when it is a file that every sink can read by itself, at its own pace.

import SystemPackage

extension FanOut {
  /// What sinks write to files, for others to read when they cannot keep up.
  public final class Recording: Sendable {
    /// Open for reading.
    final class File: Sendable {
      let descriptor: Descriptor
      init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

      var isRemoved: Bool { (try? Syscall.fstat(descriptor.raw)).map { $0.names == 0 } ?? false }
    }

    /// A file that has a part of the stream.
    fileprivate struct Part {
      let file: File
      /// Where in the file the stream's first byte is, or would be.
      var origin: Int64
      /// Where in the stream it begins and, once nothing more is written to it, ends.
      var start: UInt64
      var end: UInt64?
    }

    fileprivate struct State {
      var parts: [Part] = []
      /// So far the last part is written.
      var written: UInt64 = 0
      /// Who writes it.
      var writer: ObjectIdentifier?
      var unit = 1
      /// Where the last part begins, and bytes of those before it.
      var begun: UInt64 = 0
      var before: UInt64 = 0
      /// Whether what comes behind the last part will be recorded, or has to be missed.
      var goesOn = true
      var isOver = false
      var readers: [Branch] = []
    }

    private let state = Locked(State())
    /// Whether it is over when its sink is.
    private let isOfOneSink: Bool
    /// Whether who misses a part of it goes on behind that.
    var mayHaveGaps: Bool { !isOfOneSink }
    /// Whether it is the source itself.
    let isShared: Bool

    /// Where a byte of the stream is.
    enum Place {
      /// In a file, with so many behind it.
      case file(File, at: Int64, count: Int)
      /// It is not written yet.
      case pending
      /// It was not recorded, or not kept. What comes next that was, if there is such a thing.
      case lost(before: UInt64?)
      /// It is not here, and nothing will be recorded any more.
      case over
    }

    /// So many bytes of whole units are read at once.
    private static let mostUnits = 128 << 10

    /// Without a file yet: see ``begin(_:writtenBy:at:)``. What its sinks miss is missing in it, and who reads
    /// it misses that too.
    package init() { (isOfOneSink, isShared) = (false, false) }

    /// The file that `sink` writes, whose first byte goes to `offset` of it, and nothing else: when that sink
    /// is let go, those who need more than it has written are let go as well. `file` is another opening of it,
    /// for reading.
    ///
    /// - Throws: EINVAL for a sink that skips: what it misses is nowhere.
    public init(_ file: consuming Descriptor, writtenBy sink: Sink, at offset: Int64 = 0) throws(Errno) {
      (isOfOneSink, isShared) = (true, false)
      try begin(file, writtenBy: sink, at: offset)
    }

    /// The source itself, which lies open from `origin` on.
    init(sharing source: consuming Descriptor, origin: Int64) {
      (isOfOneSink, isShared) = (true, true)
      let part = Part(file: File(source), origin: origin, start: 0)
      state.withLock { ($0.parts, $0.written) = ([part], .max) }
    }

    /// From now on `sink` writes this file, and the one before has all it will have. Called between two flows
    /// of the sink: what it accepts next goes to `offset`. `file` is another opening of it, for reading.
    ///
    /// - Throws: EINVAL for a sink that skips: what it misses is nowhere.
    package func begin(
      _ file: consuming Descriptor, writtenBy sink: Sink, at offset: Int64 = 0
    ) throws(Errno) {
      if case .skip = sink.branch.policy { throw .invalidArgument }
      let file = File(file)
      // The sink tells of what it accepts from here on.
      sink.branch.record(in: self)
      let start = sink.position
      tell { state in
        state.endPart()
        state.goesOn = true
        state.parts.append(Part(file: file, origin: offset - Int64(start), start: start))
        state.before += state.written - state.begun
        (state.written, state.begun) = (start, start)
        state.writer = ObjectIdentifier(sink.branch)
        state.unit = sink.branch.unit
      }
    }

    /// Files that have no name any more are read no more, so that their disk has room again; nor are those
    /// before the last `count`. Who needs one goes on with the next.
    package func forget(keeping count: Int = .max) {
      tell { state in
        state.parts.removeAll { $0.end != nil && $0.file.isRemoved }
        state.parts.removeFirst(max(0, state.parts.count - max(1, count)))
      }
    }

    /// No sink records for a while: who needs what comes now misses it, and does not wait.
    package func pause() { tell { $0.goesOn = false } }

    /// A sink is about to be attached that will record: what it is given is waited for, until there is a file
    /// with it.
    package func resume() { tell { $0.goesOn = true } }

    /// Nothing is recorded any more: who needs what is not there is let go.
    package func finish() {
      tell { state in
        state.endPart()
        state.isOver = true
      }
    }

    /// Where in the stream it begins: of what is kept.
    public var start: UInt64 { state.withLock { $0.parts.first?.start ?? $0.written } }

    /// So far it is written: where in the stream.
    package var end: UInt64 { state.withLock { $0.written } }

    /// Whether no sink writes it now.
    package var isPaused: Bool { state.withLock { $0.writer == nil && !$0.isOver } }

    /// The file that was written last has no more than up to a place, since it was cut there.
    package func cut(to position: UInt64) {
      tell { state in
        guard let last = state.parts.indices.last, state.parts[last].start <= position else { return }
        state.written = min(state.written, position)
        state.endPart()
        state.parts[last].end = min(state.parts[last].end ?? position, position)
      }
    }

    /// Bytes that were recorded, also in files that are kept no more.
    package var recorded: UInt64 { state.withLock { $0.before + $0.written - $0.begun } }
  }
}

extension FanOut.Recording.State {
  fileprivate mutating func endPart() {
    if let last = parts.indices.last, parts[last].end == nil { parts[last].end = written }
    writer = nil
  }
}

// MARK: - Its sinks

extension FanOut.Recording {
  /// A sink stands earlier in the stream than it was attached at, and has been given nothing yet.
  func moveBack(to start: UInt64) {
    state.withLock { state in
      guard let last = state.parts.indices.last else { return }
      state.parts[last].origin += Int64(state.written - start)
      (state.parts[last].start, state.written) = (start, start)
    }
  }

  /// A sink has written so far.
  func grew(to position: UInt64, by sink: Branch) {
    tell { if $0.writer == ObjectIdentifier(sink) { $0.written = position } }
  }

  /// A sink writes no more.
  func end(by sink: Branch) {
    tell { state in
      guard state.writer == ObjectIdentifier(sink) else { return }
      state.endPart()
      if isOfOneSink { state.isOver = true }
    }
  }
}

// MARK: - Its readers

extension FanOut.Recording {
  /// Where in the file a place of the stream is, of a file that is shared.
  func offset(of position: UInt64) -> Int64 {
    state.withLock { ($0.parts.first?.origin ?? 0) + Int64(position) }
  }

  /// A file that is shared.
  var shared: FileDescriptor? { state.withLock { $0.parts.first?.file.descriptor.raw } }

  func add(_ reader: Branch) { state.withLock { $0.readers.append(reader) } }
  func remove(_ reader: Branch) { state.withLock { $0.readers.removeAll { $0 === reader } } }

  /// Where a part of the stream is, or the front of it: whole units, as long as more may follow.
  func place(of range: Range<UInt64>) -> Place { state.withLock { $0.place(of: range) } }

  private func tell(_ change: (inout State) -> Void) {
    let readers = state.withLock { state in
      change(&state)
      return state.readers
    }
    for reader in readers { reader.monitor.withState { $0.recordingHasChanged() } }
  }
}

extension FanOut.Recording.State {
  fileprivate func place(of range: Range<UInt64>) -> FanOut.Recording.Place {
    let position = range.lowerBound
    for part in parts {
      if position < part.start { return .lost(before: part.start) }
      let end = part.end ?? written
      if position < end {
        // What is missing ends with a whole unit, or with the stream, and so does a part.
        let isLast = part.end != nil || range.upperBound <= end
        let upTo = whole(position..<min(end, range.upperBound), isLast: isLast)
        if upTo == position { return .pending }
        return .file(part.file, at: part.origin + Int64(position), count: Int(upTo - position))
      }
      if part.end == nil { return .pending }
    }
    return isOver ? .over : goesOn ? .pending : .lost(before: nil)
  }

  /// The end of a range, or that of the last whole unit in it; units are counted from the stream's first byte.
  private func whole(_ range: Range<UInt64>, isLast: Bool) -> UInt64 {
    if unit == 1 { return range.upperBound }
    let most = range.lowerBound + UInt64(FanOut.Recording.mostUnits)
    if isLast, range.upperBound <= most { return range.upperBound }
    let end = min(range.upperBound, most)
    return max(range.lowerBound, end - end % UInt64(unit))
  }
}
