// What is broadcast: the fan-out, its recording, and the viewers who are there.

import CoreMetrics
import Logging
import Splice
import SystemPackage

extension Broadcast {
  /// What the source, the recorder and the viewers share.
  final class Mount: Sendable {
    let options: Options
    let fan: FanOut
    let recorder: Recorder?
    let logger: Logger
    let measures: BroadcastMeasures
    /// Clients that may become viewers, and those that feed.
    let serving: Serving
    let senders: Serving
    private let maxViewers: Int
    fileprivate let pace: Pace?

    private struct State {
      var viewers: [ObjectIdentifier: Viewing] = [:]
      var taken = 0
      /// Of viewers that have left.
      var past = Totals()
      /// Who feeds now.
      var source: String?
      /// Why the last source failed, if it did: a viewer must not take the end for one that was meant.
      var failure: SpliceError?
    }
    private let state = Locked(State())

    init(_ options: Options, _ metrics: any MetricsFactory, _ logger: Logger) throws(Errno) {
      self.options = options
      self.logger = logger
      pace = options.rateLimit.map { Pace(bytesPerSecond: $0) }
      let fan = try FanOut(
        alignedTo: options.alignment, pieceSize: Self.pieceSize, needsSinks: false,
        keepsParts: options.alignment > 1)
      recorder = try options.recording.map { recording throws(Errno) in
        try Recorder(fan, recording, logger)
      }
      self.fan = fan
      let most = Self.viewers(of: options, descriptors: try Syscall.descriptorLimit())
      maxViewers = min(options.maxViewers ?? most, Self.mostViewers)
      // Who is too many is told so.
      serving = try Serving(
        atMost: maxViewers + Self.atTheDoor, drainTimeout: options.drainTimeout, metrics, of: "broadcast",
        logger)
      senders = try Serving(atMost: 1, drainTimeout: .zero, metrics, of: "broadcast_source", logger)
      measures = BroadcastMeasures(of: options.path, metrics)
    }

    /// More than there can be descriptors.
    private static let mostViewers = 1 << 30
    /// Clients that are not viewers yet, or are told why they will not be.
    private static let atTheDoor = 64

    /// As much as has gathered at the source: viewers who keep up share a pipe, so its size costs nothing.
    private static let pieceSize = 1 << 20

    /// A viewer needs its socket, and two events to wait with; those who fall behind share some pipes.
    private static func viewers(of options: Options, descriptors: Int) -> Int {
      let others = options.otherDescriptors + 8 * max(1, options.threads) + 64 + FanOut.mostDescriptors
      return max(1, (descriptors - others - atTheDoor) / 3)
    }
  }
}

/// What viewers have got, all of them together.
struct Totals: Sendable {
  var delivered: UInt64 = 0
  var skipped: UInt64 = 0
  var replayed: UInt64 = 0

  mutating func add(_ counters: FanOut.Counters) {
    delivered += counters.delivered
    skipped += counters.skipped
    replayed += counters.replayed
  }
}

/// A viewer that is there.
struct Viewing: Sendable {
  let client: String
  let since: ContinuousClock.Instant
  let sink: FanOut.Sink
}

// MARK: - Viewers

extension Broadcast.Mount {
  /// Why the stream was cut off, if it was: viewers get what is left, and then a reset.
  var sourceFailure: SpliceError? {
    get { state.withLock { $0.failure } }
    set { state.withLock { $0.failure = newValue == .cancelled ? nil : newValue } }
  }

  private func takePlace() -> Bool {
    state.withLock { state in
      guard state.taken < maxViewers else { return false }
      state.taken += 1
      return true
    }
  }

  func leavePlace() { state.withLock { $0.taken -= 1 } }

  /// Viewers that are there.
  var viewers: [Viewing] { state.withLock { Array($0.viewers.values) }.sorted { $0.since < $1.since } }
  /// How many that are.
  var places: Int { state.withLock { $0.taken } }

  /// What viewers have got so far, those who have left included.
  var totals: Totals {
    let (past, sinks) = state.withLock { ($0.past, $0.viewers.values.map(\.sink)) }
    return sinks.reduce(into: past) { $0.add($1.counters) }
  }

  /// The place of a viewer in the stream, from here on; nil, and said, when there is none.
  func enter() -> FanOut.Sink? {
    guard !serving.connections.isClosed, takePlace() else {
      measures.tooMany.increment()
      return nil
    }
    do throws(Errno) { return try attach() } catch {
      leavePlace()
      measures.notServed.increment()
      logger.warning("cannot serve a viewer", metadata: ["reason": "\(error)"])
      return nil
    }
  }

  /// Shows a viewer the stream from its place on, until it ends or the viewer leaves, says what came of it, and
  /// takes the place back.
  func show(
    _ sink: FanOut.Sink, _ socket: consuming Descriptor, to client: SocketAddress,
    whenItCloses: FlowOptions.SinkClosing, on executor: EpollExecutor
  ) async {
    let since = ContinuousClock.now
    let key = ObjectIdentifier(sink)
    state.withLock { $0.viewers[key] = Viewing(client: "\(client)", since: since, sink: sink) }
    measures.viewersTotal.increment()
    var failure: SpliceError?
    do throws(SpliceError) {
      try await sink.drain(
        to: socket, options: FlowOptions(whenSinkCloses: whenItCloses), waitingOn: executor)
      if sourceFailure != nil {
        await socket.abort(until: .now + Self.lastWords, waitingOn: executor)
        failure = .pipe(.badMessage)
      } else {
        try await socket.finish(until: .now + Self.lastWords, waitingOn: executor)
      }
    } catch { failure = error }
    state.withLock { state in
      state.viewers[key] = nil
      state.past.add(sink.counters)
      state.taken -= 1
    }
    say(client, since, sink, failure)
  }

  /// How long a viewer that has got everything has to end.
  private static var lastWords: Duration { .seconds(5) }

  /// A sink, with all that it takes to wait for it: one that is served does not fail for want of descriptors
  /// later.
  private func attach() throws(Errno) -> FanOut.Sink {
    let sink = try makeSink()
    try sink.reserve()
    return sink
  }

  private func makeSink() throws(Errno) -> FanOut.Sink {
    guard let recording = recorder?.recording, options.slowViewers == .replay else {
      return try fan.attach(options.slowViewers == .detach ? .detach() : .skip)
    }
    // Of what is recorded, whole units back from where the stream is now.
    let position = fan.position
    let wish = position - min(position, options.backlog)
    let start = max(wish - wish % UInt64(options.alignment), recording.start)
    do throws(Errno) {
      return try fan.attach(.replay(recording), from: start < recording.end ? start : nil)
    } catch {
      // What was to be read has been removed meanwhile.
      guard error == .invalidArgument else { throw error }
      return try fan.attach(.replay(recording))
    }
  }

  private func say(
    _ client: SocketAddress, _ since: ContinuousClock.Instant, _ sink: FanOut.Sink, _ failure: SpliceError?
  ) {
    let counters = sink.counters
    var metadata: Logger.Metadata = [
      "client": "\(client)",
      "seconds": "\(Double(Int((ContinuousClock.now - since) / .milliseconds(1))) / 1000)",
      "delivered": "\(counters.delivered)", "why": "\(why(sink, failure))",
    ]
    if counters.skipped > 0 { metadata["skipped"] = "\(counters.skipped)" }
    if counters.replayed > 0 { metadata["replayed"] = "\(counters.replayed)" }
    logger.info("viewer", metadata: metadata)
  }

  private func why(_ sink: FanOut.Sink, _ failure: SpliceError?) -> String {
    switch (sink.reason, failure) {
    case (.tooSlow(let lag)?, _):
      measures.tooSlow.increment()
      return "too slow: \(lag) bytes behind"
    case (.recordingLost?, _):
      measures.recordingLost.increment()
      return "what it needed next was not recorded"
    case (_, .cancelled?): return "drain timeout"
    case (nil, .pipe(.badMessage)?): return "the source failed"
    case (_, let failure?): return failure.reason
    case (_, nil): return "end"
    }
  }
}

// MARK: - The source

extension Broadcast.Mount {
  /// Who feeds now.
  var source: String? { state.withLock { $0.source } }

  /// Has a source feed until it ends, and says how it did. What it ended with of a unit is dropped when another
  /// source may follow.
  func feed(
    _ name: String, mayFollow: () -> Bool, _ body: () async throws -> Void
  ) async -> SpliceError? {
    state.withLock { $0.source = name }
    let before = fan.position
    logger.notice("source", metadata: ["source": "\(name)", "at": "\(before)"])
    var failure: (any Error)?
    do { try await body() } catch { failure = error }
    state.withLock { $0.source = nil }
    let mayFollow = mayFollow()
    let dropped = (try? fan.endUnit(dropping: mayFollow)) ?? 0
    let why = failure.map { ($0 as? SpliceError)?.reason ?? "\($0)" } ?? "end"
    var metadata: Logger.Metadata = [
      "source": "\(name)", "bytes": "\(fan.position - before)", "why": "\(why)",
    ]
    if mayFollow, dropped > 0 { metadata["dropped"] = "\(dropped)" }
    logger.notice("source ended", metadata: metadata)
    // What ends a stream badly without a word of the kernel's is an error of input.
    return failure.map { $0 as? SpliceError ?? .source(.ioError) }
  }

  /// Hands out what a descriptor gives, until it ends.
  func hand(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, on executor: EpollExecutor
  ) async throws(SpliceError) {
    try await fan.fill(from: source, upTo: limit, options: flows, waitingOn: executor)
  }

  /// One pace for all sources.
  var flows: FlowOptions { FlowOptions(pace: pace) }
}
