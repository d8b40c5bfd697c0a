// Bytes seen in line: each of them, in order, before the sink gets it.

import SystemPackage

/// Sees all bytes of a flow, once and in order, before its sink gets them: for a digest, a count, a log. The
/// flow waits for it, so nothing is missed; a ``FanOut`` that watches a flow never makes it wait, and misses
/// what it has no room for.
///
/// ```swift
/// let lines = try FlowObserver(0) { lines, bytes in
///   lines += bytes.withUnsafeBytes { $0.count { $0 == UInt8(ascii: "\n") } }
/// }
/// try await pipe.forward(from: source, to: sink, watchedBy: lines)
/// print(lines.withState { $0 })
/// ```
///
/// Looking at bytes means to read them, once; they go on by reference all the same.  C: `tee`, `read`
public final class FlowObserver<State: Sendable>: FlowWatcher {
  private struct Place: ~Copyable {
    var state: State
    var missed: UInt64 = 0
    /// What bytes are looked at through: a pipe of the kernel for those in the kernel, one in memory for
    /// those in memory.
    var inKernel: SplicePipe
    var inMemory: SplicePipe
  }

  private let place: Locked<Place>
  private let body: @Sendable (inout State, borrowing RawSpan) -> Void

  /// The largest piece that is looked at in one.
  private static var piece: Int { 1 << 20 }

  /// Begins with a state, which `body` changes with each piece of bytes. It runs where the flow runs, which
  /// it holds up, and two flows that share an observer take turns. It must not ask this observer, nor the
  /// pipe, the end or the fan-out that it watches, which are locked meanwhile. Throws EMFILE and the like
  /// when there is no pipe to look through.
  public init(
    _ state: State, _ body: @escaping @Sendable (inout State, borrowing RawSpan) -> Void
  ) throws(Errno) {
    self.body = body
    place = Locked(
      Place(
        state: state, inKernel: try SplicePipe(.kernel, capacity: Self.piece),
        inMemory: try SplicePipe(.memory, capacity: Self.piece)))
  }

  /// Lends the state, as far as the flow has come.
  public func withState<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try place.withLock { place throws(Failure) in try body(&place.state) }
  }

  /// Bytes that went by unseen: 0, but where a sandbox refuses `tee`.
  public var missed: UInt64 { place.withLock { $0.missed } }

  /// Shows the front of a flow's pipe to `body`.
  public func show(_ pipe: borrowing SplicePipe, upTo limit: Int) -> Int {
    place.withLock { place in
      let seen =
        pipe.beginsInKernel
        ? look(at: pipe, upTo: limit, through: &place.inKernel, &place.state)
        : look(at: pipe, upTo: limit, through: &place.inMemory, &place.state)
      if seen > 0 { return seen }
      let missed = min(limit, pipe.front)
      place.missed += UInt64(missed)
      return missed
    }
  }

  private func look(
    at pipe: borrowing SplicePipe, upTo limit: Int, through glass: inout SplicePipe, _ state: inout State
  ) -> Int {
    guard case .bytes? = try? pipe.tee(to: &glass, upTo: limit) else { return 0 }
    var seen = 0
    while let segment = try? glass.takeSegment() {
      segment.withBytes { body(&state, $0) }
      seen += segment.count
    }
    // What could not be looked at is not looked at later.
    try? glass.discard()
    return seen
  }
}
