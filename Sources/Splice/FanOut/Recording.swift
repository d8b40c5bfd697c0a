// A recording: a file that one sink of a fan-out writes, and that others read when they cannot keep up. Or
// the source itself, when it is a file that every sink can read by itself, at its own pace.

import SystemPackage

extension FanOut {
  /// A file that one sink writes, for others to read when they cannot keep up.
  public final class Recording: Sendable {
    /// Open for reading.
    let file: Descriptor

    private struct State {
      /// Where in the file the stream's first byte is, or would be.
      var origin: Int64
      /// Where in the stream it begins.
      var start: UInt64
      var written: UInt64
      var isOver = false
      var readers: [Branch] = []
    }
    private let state: Locked<State>

    /// The file that `sink` writes, whose first byte goes to `offset` of it. `file` is another opening of it,
    /// for reading.
    ///
    /// - Throws: EINVAL for a sink that skips: what it misses is nowhere.
    public init(_ file: consuming Descriptor, writtenBy sink: Sink, at offset: Int64 = 0) throws(Errno) {
      if case .skip = sink.branch.policy { throw .invalidArgument }
      self.file = file
      let start = sink.branch.start
      state = Locked(State(origin: offset - Int64(start), start: start, written: start))
      sink.branch.record(in: self)
    }

    /// The source itself, which lies open from `origin` on.
    init(sharing source: consuming Descriptor, origin: Int64) {
      file = source
      state = Locked(State(origin: origin, start: 0, written: .max))
    }

    /// Where in the file a place of the stream is.
    func offset(of position: UInt64) -> Int64 { state.withLock { $0.origin + Int64(position) } }

    /// Its sink stands earlier in the stream than it was attached at, and has been given nothing yet.
    func moveBack(to start: UInt64) {
      state.withLock { state in
        state.origin += Int64(state.written - start)
        (state.start, state.written) = (start, start)
      }
    }

    func backlog(from position: UInt64) -> Backlog {
      state.withLock {
        Backlog(from: position, of: self, origin: $0.origin, recorded: $0.written, isLast: $0.isOver)
      }
    }

    /// Where in the stream it begins.
    var start: UInt64 { state.withLock { $0.start } }

    func add(_ reader: Branch) { state.withLock { $0.readers.append(reader) } }
    func remove(_ reader: Branch) { state.withLock { $0.readers.removeAll { $0 === reader } } }

    /// The sink has written so far.
    func grew(to position: UInt64) { tell { $0.written = position } }

    /// The sink writes no more.
    func end() { tell { $0.isOver = true } }

    private func tell(_ change: (inout State) -> Void) {
      let now = state.withLock { state in
        change(&state)
        return state
      }
      for reader in now.readers {
        reader.monitor.withState { $0.recorded(upTo: now.written, isLast: now.isOver) }
      }
    }
  }
}
