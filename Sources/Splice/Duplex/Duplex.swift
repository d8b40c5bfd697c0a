// Both directions between two descriptors, in one task.
//
// Each direction is a flow with a pipe of its own, and neither waits for the other: what one wants to wait
// for and what the other wants are waited for together. Where a source ends, its sink is half-closed once the
// pipe is empty, and the other direction goes on alone.

import SystemPackage

/// Two pipes, one for each direction between two descriptors.
public struct Duplex: ~Copyable, Sendable {
  /// From the first descriptor to the second.
  public var forward: SplicePipe
  /// From the second descriptor to the first.
  public var backward: SplicePipe

  /// Two new pipes, each with a capacity that is a wish, and borrowed from a pool while bytes are in it: a
  /// connection that is idle, or only has small messages, holds none.
  public init(capacity: Int = 1 << 20, from pool: PipePool = .shared) {
    forward = SplicePipe(from: pool, capacity: capacity)
    backward = SplicePipe(from: pool, capacity: capacity)
  }

  /// Which way.
  public enum Direction: String, Sendable, Hashable, CaseIterable {
    /// From the first descriptor to the second.
    case forward
    /// From the second descriptor to the first.
    case backward
  }

  /// Who watches which direction.
  public struct Taps: Sendable {
    /// From the first descriptor to the second.
    public var forward: (any FlowWatcher)?
    /// From the second descriptor to the first.
    public var backward: (any FlowWatcher)?

    /// None by default.
    public init(forward: (any FlowWatcher)? = nil, backward: (any FlowWatcher)? = nil) {
      self.forward = forward
      self.backward = backward
    }
  }

  /// How each direction goes about its work.
  public struct Options: Sendable {
    /// From the first descriptor to the second.
    public var forward: FlowOptions
    /// From the second descriptor to the first.
    public var backward: FlowOptions
    /// Both end when no byte was accepted either way for this long, or up to a quarter longer; for how long a
    /// pace lets nothing pass (a twentieth of a second, or the time of a byte) comes on top. A peer that
    /// still takes what its socket has accepted is not idle. Nothing is done for this at a byte or a message.
    public var idle: Duration?
    /// Once one direction has ended, the other is not waited for any more when both were idle for this long.
    public var halfClose: Duration?

    /// The usual, but for what is named. A ``FlowOptions/idle`` is one direction's own.
    public init(
      forward: FlowOptions = FlowOptions(), backward: FlowOptions = FlowOptions(), idle: Duration? = nil,
      halfClose: Duration? = nil
    ) {
      self.forward = forward
      self.backward = backward
      self.idle = idle
      self.halfClose = halfClose
    }

    /// Both directions alike, each of them as fast as that.
    public init(
      _ both: FlowOptions, idle: Duration? = nil, halfClose: Duration? = nil
    ) {
      self.init(forward: both, backward: both, idle: idle, halfClose: halfClose)
      backward.pace = both.pace.map { Pace(bytesPerSecond: $0.bytesPerSecond) }
    }

    /// How long nothing may move before that is `time` of silence: a pause of the pace is none.
    fileprivate func silence(_ time: Duration) -> Duration {
      time + [forward, backward].compactMap { $0.pace?.longestPause }.reduce(.zero, max)
    }
  }

  /// Which direction failed, and at which end; or why both were ended. What they had taken is still in their
  /// pipes.
  public struct Failure: Error, Sendable, Hashable {
    /// The direction that failed; nil when both were ended, by a deadline, a stop or a failure to wait.
    public let direction: Direction?
    /// What happened to it.
    public let error: SpliceError

    /// Names a failure.
    package init(direction: Direction?, error: SpliceError) {
      self.direction = direction
      self.error = error
    }
  }
}

// MARK: - Running

extension Duplex {
  /// How both directions came to their end.
  public struct Ending: Sendable, Hashable {
    /// The direction whose source ended first.
    public let first: Direction
    /// Whether the other one was idle for the time that is given to it then, and has not ended.
    public let otherWasIdle: Bool
  }

  /// Moves bytes both ways until both ends have ended, and passes each end on by half-closing the other
  /// descriptor, when that is a socket, after the last byte.
  ///
  /// - Parameters:
  ///   - first: One of the two.
  ///   - second: The other.
  ///   - options: How each direction goes about its work, and what ends both early.
  ///   - taps: Who watches a direction, and can neither slow it nor break it.
  ///   - deadline: Gives up then.
  ///   - readiness: Where to wait for descriptors.
  /// - Returns: Who ended first.
  /// - Throws: ``Failure`` as soon as one direction fails. Where that is because its sink's peer has closed,
  ///   and has not reset a TCP connection, the other direction first goes on to its end: what that peer has
  ///   said before arrives. Calling again resumes both.  C: `splice`, `epoll_wait`, `shutdown`
  @discardableResult
  public mutating func run(
    between first: borrowing Descriptor, and second: borrowing Descriptor, options: Options = Options(),
    watchedBy taps: Taps = Taps(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(Failure) -> Ending {
    let flows = begin(
      between: first, and: second, options: options, watchedBy: taps, until: deadline, waitingOn: readiness)
    return try await run(flows, between: first, and: second)
  }

  /// Makes what one ``run(_:between:and:)`` needs: while that waits, nothing else is in the memory of its
  /// task.
  package func begin(
    between first: borrowing Descriptor, and second: borrowing Descriptor, options: Options,
    watchedBy taps: Taps = Taps(), until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: any Readiness
  ) -> Flows {
    let watch = Watch(first.raw, second.raw, on: readiness)
    let flows = Flows(
      between: first, and: second, options, watchedBy: taps, told: .edges, waitedFor: Keys(watch),
      until: deadline, progress(first, second))
    flows.watch = watch
    return flows
  }

  /// Moves bytes both ways until both ends have ended, once.
  package mutating func run(
    _ flows: Flows, between first: borrowing Descriptor, and second: borrowing Descriptor
  ) async throws(Failure) -> Ending {
    if let watch = flows.watch {
      await withTaskCancellationHandler {
        var stopped: SpliceError?
        repeat {
          watch.doubtSources(of: flows)
          do throws(SpliceError) {
            try await drive(until: flows.nextLook, waitingOn: watch.readiness) {
              ready, thread throws(SpliceError) in
              try Syscall.withoutSIGPIPE { () throws(SpliceError) in
                try step(flows, ready, from: first, to: second, from: second, to: first, on: thread)
              }
            }
            stopped = nil
          } catch { stopped = error }
        } while flows.mayGoOn(after: stopped, first, second) { progress(first, second) }
      } onCancel: {
        watch.interrupt()
      }
      flows.watch = nil
    }
    return try flows.ending(first, second)
  }

  /// What sockets have accepted, and what their peers have yet to take of that.
  private func progress(_ first: borrowing Descriptor, _ second: borrowing Descriptor) -> IdleTimer.Progress {
    let moved = forward.delivered + backward.delivered
    return moved == 0 ? .none : .init(moved, first.unconfirmed, second.unconfirmed)
  }

  /// Moves bytes both ways until both ends have ended, while the calling thread waits.  C: `splice`, `ppoll`,
  /// `shutdown`
  @discardableResult
  public mutating func run(
    between first: borrowing Descriptor, and second: borrowing Descriptor, options: Options = Options(),
    watchedBy taps: Taps = Taps(),
    waitingIn poll: BlockingWait
  ) throws(Failure) -> Ending {
    let flows = Flows(
      between: first, and: second, options, watchedBy: taps, told: .levels,
      waitedFor: Keys(polling: first, second, second, first), until: poll.deadline,
      progress(first, second))
    var stopped: SpliceError?
    repeat {
      do throws(Failure) {
        let slice = BlockingWait(until: flows.nextLook?.instant, orStoppedBy: poll.stop)
        _ = try run(flows, from: first, to: second, from: second, to: first, waitingIn: slice)
        stopped = nil
      } catch { stopped = error.error }
    } while flows.mayGoOn(after: stopped, first, second) { progress(first, second) }
    return try flows.ending(first, second)
  }

  /// Moves bytes both ways between four descriptors until one direction has ended, and says which. Its end is
  /// the caller's to pass on, unless that is ``Flows/refusal``, and the other direction to go on with, alone.
  package mutating func run(
    _ flows: Flows, from first: borrowing Descriptor, to second: borrowing Descriptor,
    from third: borrowing Descriptor, to fourth: borrowing Descriptor, waitingIn poll: BlockingWait
  ) throws(Failure) -> Direction {
    do throws(SpliceError) {
      var drive = ThreadDrive(waitingIn: poll)
      while try drive.wait(
        for: try step(
          flows, drive.ready, from: first, to: second, from: third, to: fourth, on: .mayWaitForDisk),
        orFailureOf: flows.alarms
      ) {}
    } catch { throw Failure(direction: flows.failed, error: error) }
    return flows.endedNow
  }
}

extension Duplex.Options {
  /// For how long one direction alone is waited for, if that is less than both are.
  fileprivate var alone: Duration? { halfClose.flatMap { $0 <= idle ?? $0 ? silence($0) : nil } }
}

extension Duplex.Direction {
  package var other: Self { self == .forward ? .backward : .forward }
}

// MARK: - Both flows

extension Duplex {
  /// Both flows, and what has become of them. An object, since the memory of a task is given out by the
  /// kilobyte.
  package final class Flows {
    package var forward, backward: Flow
    /// The direction that ended first.
    fileprivate private(set) var ended: Direction?
    /// Both have.
    fileprivate private(set) var areOver = false
    /// The one that ended last.
    fileprivate private(set) var endedNow = Direction.forward
    /// The direction that has failed.
    fileprivate var failed: Direction?
    /// What ended one direction, whose sink's peer has closed. Unless that was a reset, the other goes on to
    /// its end, and then this is thrown.
    package private(set) var refusal: Failure?
    /// Whose the first of two interests is.
    fileprivate var firstIsForward = true
    fileprivate let keys: Keys
    /// Sinks that are sockets, for `poll`: the failure of one ends both directions, whatever they wait for.
    fileprivate var alarms: BlockingWait.Alarms
    /// One of them was told, and both have yet to be asked.
    fileprivate var isAlarmed = false
    /// Ends both when nothing moves.
    private var idleTimer = IdleTimer(nil, .none)
    private var deadline: Moment?
    /// For how long one direction alone may be idle.
    private var alone: Duration?
    /// What ended them before both were over.
    private var stopped: SpliceError?
    /// While they run in a task.
    fileprivate var watch: Watch?

    package init(forward: Flow, backward: Flow, waitedFor keys: Keys) {
      (self.forward, self.backward, self.keys) = (forward, backward, keys)
      alarms = keys.alarms
    }

    fileprivate convenience init(
      between first: borrowing Descriptor, and second: borrowing Descriptor, _ options: Options,
      watchedBy taps: Taps, told: Flow.TriggerMode, waitedFor keys: Keys,
      until deadline: ContinuousClock.Instant?, _ progress: @autoclosure () -> IdleTimer.Progress
    ) {
      self.init(
        forward: Flow(
          from: first, limit: .max, options: options.forward, taps: taps.forward, told: told),
        backward: Flow(
          from: second, limit: .max, options: options.backward, taps: taps.backward, told: told),
        waitedFor: keys)
      alone = options.alone
      self.deadline = deadline.map(Moment.init)
      idleTimer = IdleTimer(options.idle.map(options.silence), progress())
    }

    /// When to look whether they are idle, or to give up.
    fileprivate var nextLook: Moment? { idleTimer.nextLook(or: deadline) }

    /// What was waited for has come.
    fileprivate func wake(_ ready: ReadySet, _ forwardCount: Int, _ backwardCount: Int) {
      failed = nil
      if ready.contains(.failed) {
        isAlarmed = true
        // A poll would tell it again and again.
        alarms = BlockingWait.Alarms()
      }
      let isLast = ready.contains(.last)
      if ready.contains(firstIsForward ? .first : .second) {
        forward.wake(count: forwardCount, isLast: isLast)
      }
      if ready.contains(firstIsForward ? .second : .first) {
        backward.wake(count: backwardCount, isLast: isLast)
      }
    }

    /// Goes on in one direction; nil for the one that has ended already.
    fileprivate func advance(
      _ direction: Direction, _ run: (inout Flow) throws(SpliceError) -> StepResult
    ) throws(SpliceError) -> StepResult? {
      if ended == direction { return nil }
      do throws(SpliceError) {
        return direction == .forward ? try run(&forward) : try run(&backward)
      } catch {
        guard ended == nil, error.isLostPeer else {
          failed = direction
          throw error
        }
        refuse(direction, error)
        return .finished
      }
    }

    /// The peer of one direction's sink has closed. What that one said before it left is still to be read.
    fileprivate func refuse(_ direction: Direction, _ error: SpliceError) {
      if refusal == nil { refusal = Failure(direction: direction, error: error) }
    }

    /// The direction that was refused, and has yet to be ended for that.
    fileprivate var refused: Direction? {
      refusal.flatMap { $0.direction == ended ? nil : $0.direction }
    }

    /// Throws what one direction has met, if that is a reset: behind one, whatever follows would look like an
    /// end.
    fileprivate func mustNotBeReset(_ direction: Direction, _ sink: borrowing Descriptor) throws(SpliceError)
    {
      guard let refusal, sink.hasResets() else { return }
      failed = direction
      throw refusal.error
    }

    /// What both wait for.
    fileprivate func wait(_ forwards: StepResult?, _ backwards: StepResult?) -> Wait {
      let (one, two) = (forwards?.interest, backwards?.interest)
      firstIsForward = one != nil
      let times = (forwards?.time, backwards?.time)
      let time = times.0.map { min($0, times.1 ?? $0) } ?? times.1
      if one == nil, two == nil, let time { return Wait(pausing: keys.forward.source, until: time) }
      return Wait(one ?? two, one == nil ? nil : two, until: time)
    }

    fileprivate func end(_ direction: Direction) {
      areOver = ended != nil
      if ended == nil { ended = direction }
      endedNow = direction
    }

    /// A drive has come to its end, which is one direction's unless `error` was met: whether there is to be
    /// another one.
    fileprivate func mayGoOn(
      after error: SpliceError?, _ first: borrowing Descriptor, _ second: borrowing Descriptor,
      _ progress: () -> IdleTimer.Progress
    ) -> Bool {
      do throws(SpliceError) {
        if let error { throw error }
        try passEndOn(first, second)
        if let alone, !areOver { idleTimer = IdleTimer(alone, progress()) }
        return !areOver
      } catch {
        // One direction's own idle time is its failure.
        if error == .timedOut, failed == nil, idleTimer.mayGoOn(progress(), deadline) {
          // A failure that was told to a task at the very time of the look has been used up by that.
          if watch != nil { isAlarmed = true }
          return true
        }
        stopped = error
        return false
      }
    }

    /// How both have come to their end. A connection that was cut off is reset when it is closed.
    fileprivate func ending(
      _ first: borrowing Descriptor, _ second: borrowing Descriptor
    ) throws(Failure) -> Ending {
      let ending = Result { () throws(Failure) in try outcome() }
      let isWhole = if case .success(let ending) = ending { !ending.otherWasIdle } else { false }
      first.flowEnded(isWhole)
      second.flowEnded(isWhole)
      return try ending.get()
    }

    private func outcome() throws(Failure) -> Ending {
      switch (stopped, ended) {
      case (nil, let ended?):
        if let refusal { throw refusal }
        return Ending(first: ended, otherWasIdle: false)
      case (.timedOut, let ended?) where alone != nil && failed == nil && deadline.map { $0 > .now } != false:
        if let refusal { throw refusal }
        return Ending(first: ended, otherWasIdle: true)
      case (let error, _): throw Failure(direction: failed, error: error ?? .cancelled)
      }
    }

    /// The end of the one that has just ended becomes its sink's.
    fileprivate func passEndOn(
      _ first: borrowing Descriptor, _ second: borrowing Descriptor
    ) throws(SpliceError) {
      if refusal?.direction == endedNow { return }
      // The last end too, although a close may follow: a sink that was reset meanwhile says so here.
      do throws(SpliceError) {
        switch endedNow {
        case .forward: try second.halfClose()
        case .backward: try first.halfClose()
        }
      } catch {
        guard !areOver else {
          failed = endedNow
          throw error
        }
        // That peer has failed, and what it has said before is still to be read: as when a write had met it.
        ended = nil
        refuse(endedNow, error)
      }
    }
  }

  /// What each direction waits for.
  package struct Keys: Sendable {
    fileprivate let forward, backward: Waits
    fileprivate var alarms = BlockingWait.Alarms()

    private init(_ forward: Waits, _ backward: Waits) {
      (self.forward, self.backward) = (forward, backward)
    }

    fileprivate init(_ watch: Watch) {
      self.init(
        Waits(source: watch.first, sink: watch.second), Waits(source: watch.second, sink: watch.first))
    }

    /// For `poll`, which keeps no table, with an alarm for each sink that is a socket.
    package init(
      polling first: borrowing Descriptor, _ second: borrowing Descriptor, _ third: borrowing Descriptor,
      _ fourth: borrowing Descriptor
    ) {
      self.init(
        Waits(source: RegistrationKey(polling: first.raw), sink: RegistrationKey(polling: second.raw)),
        Waits(source: RegistrationKey(polling: third.raw), sink: RegistrationKey(polling: fourth.raw)))
      // A pipe that has lost its reader is noticed at the next byte, as others notice it.
      if second.kind.isSocket { alarms.first = forward.sink }
      if fourth.kind.isSocket { alarms.second = backward.sink }
    }
  }

  /// Two descriptors that a task waits for, until it is let go.
  fileprivate final class Watch: Sendable {
    let readiness: any Readiness
    private let atFirst, atSecond: Registration
    var first: RegistrationKey { atFirst.key }
    var second: RegistrationKey { atSecond.key }

    init(_ first: FileDescriptor, _ second: FileDescriptor, on readiness: any Readiness) {
      self.readiness = readiness
      atFirst = Registration(first, on: readiness)
      atSecond = Registration(second, on: readiness)
      readiness.pair(self.first, self.second)
    }

    /// An edge was told to whoever had them before, or used up by a look at the idle time.
    func doubtSources(of flows: Flows) {
      if readiness.mayHaveToldLastEdge(of: first) { flows.forward.doubtSource() }
      if readiness.mayHaveToldLastEdge(of: second) { flows.backward.doubtSource() }
    }

    func interrupt() {
      readiness.interrupt(first)
      readiness.interrupt(second)
    }
  }

  private mutating func step(
    _ flows: Flows, _ ready: ReadySet, from first: borrowing Descriptor, to second: borrowing Descriptor,
    from third: borrowing Descriptor, to fourth: borrowing Descriptor, on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    flows.wake(ready, forward.count, backward.count)
    let forwards = try flows.advance(.forward) { flow throws(SpliceError) in
      try flow.run(&forward, from: first, to: second, flows.keys.forward, on: thread)
    }
    let backwards = try flows.advance(.backward) { flow throws(SpliceError) in
      try flow.run(&backward, from: third, to: fourth, flows.keys.backward, on: thread)
    }
    if let refused = flows.refused {
      return try end(flows, refused, refused == .forward ? backwards : forwards, second, fourth)
    }
    switch (forwards, backwards) {
    case (.finished, _):
      flows.end(.forward)
      return .finished
    case (_, .finished):
      flows.end(.backward)
      return .finished
    case (.disk, _), (_, .disk): return .disk
    case (.yield, _), (_, .yield): return .yield
    default:
      // What only its pace holds back is still to arrive, if its source has it.
      if flows.isAlarmed, forwards?.isPause != true, backwards?.isPause != true {
        try check(flows, second, fourth)
        if let refused = flows.refused { return try end(flows, refused, nil, second, fourth) }
      }
      return .wait(flows.wait(forwards, backwards))
    }
  }

  /// Ends a direction that was refused. What the other one has is first handed on as far as it is taken at
  /// once, and its pace allows, if a reset ends that one too.
  private func end(
    _ flows: Flows, _ refused: Direction, _ other: StepResult?, _ second: borrowing Descriptor,
    _ fourth: borrowing Descriptor
  ) throws(SpliceError) -> StepResult {
    switch other {
    case .yield?: return .yield
    case .disk?: return .disk
    case let other? where other.isPause: return .wait(flows.wait(other, nil))
    default: break
    }
    switch refused {
    case .forward: try flows.mustNotBeReset(refused, second)
    case .backward: try flows.mustNotBeReset(refused, fourth)
    }
    flows.end(refused)
    return .finished
  }

  /// Looks whether one of both sinks has failed, which was told.
  private func check(
    _ flows: Flows, _ second: borrowing Descriptor, _ fourth: borrowing Descriptor
  ) throws(SpliceError) {
    try check(flows, .forward, second)
    try check(flows, .backward, fourth)
    flows.isAlarmed = false
  }

  private func check(
    _ flows: Flows, _ direction: Direction, _ sink: borrowing Descriptor
  ) throws(SpliceError) {
    guard let errno = sink.takeSocketError() else { return }
    flows.refuse(direction, .sink(errno))
    guard sink.hasResets() || flows.ended == direction.other else { return }
    flows.failed = direction
    throw .sink(errno)
  }
}

extension StepResult {
  /// The descriptor that one direction waits for.
  fileprivate var interest: Interest? { if case .wait(let wait) = self { wait.first } else { nil } }

  /// Whether nothing but its pace is waited for.
  fileprivate var isPause: Bool { interest == nil && time != nil }

  /// When its rate lets something pass.
  fileprivate var time: Moment? { if case .wait(let wait) = self { wait.deadline } else { nil } }
}
