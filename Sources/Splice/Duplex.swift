// Both directions between two descriptors, in one task.
//
// Each direction is a flow with a pipe of its own, and neither waits for the other: what one wants to wait for and what the
// other wants are waited for together. Where a source ends, its sink is half-closed once the pipe is empty, and the other
// direction goes on alone.

import SystemPackage

/// Two pipes, one for each direction between two descriptors.
public struct Duplex: ~Copyable, Sendable {
  /// From the first descriptor to the second.
  public var forward: SplicePipe
  /// From the second descriptor to the first.
  public var backward: SplicePipe

  /// Two new pipes, each with a capacity that is a wish, and borrowed from a pool while bytes are in it: a connection that is idle, or
  /// only has small messages, holds none.
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
    public var forward: FanOut?
    /// From the second descriptor to the first.
    public var backward: FanOut?

    /// Nobody, unless named.
    public init(forward: FanOut? = nil, backward: FanOut? = nil) {
      self.forward = forward
      self.backward = backward
    }
  }

  /// What counts the bytes of which direction.
  public struct Meters: Sendable {
    /// From the first descriptor to the second.
    public var forward: ByteMeter?
    /// From the second descriptor to the first.
    public var backward: ByteMeter?

    /// None, unless named.
    public init(forward: ByteMeter? = nil, backward: ByteMeter? = nil) {
      self.forward = forward
      self.backward = backward
    }
  }

  /// Which direction failed, and at which end; or why both were ended. What they had taken is still in their pipes.
  public struct Failure: Error, Sendable, Hashable {
    /// The direction that failed; nil when both were ended, by a deadline, a stop or a failure to wait.
    public let direction: Direction?
    /// What happened to it.
    public let error: SpliceError

    /// Names a failure.
    public init(direction: Direction?, error: SpliceError) {
      self.direction = direction
      self.error = error
    }
  }
}

// MARK: - Running

extension Duplex {
  /// What ends both directions early, and how fast each may be.
  public struct Limits: Sendable, Hashable {
    /// Both end when no byte was accepted either way for so long, or up to a quarter longer. Nothing is done for this at a byte or a message.
    public var idle: Duration?
    /// Once one direction has ended, the other is not waited for any more when it had no byte accepted for so long.
    public var halfClose: Duration?
    /// How fast each direction may be.
    public var pace: Pace?

    /// None, unless named.
    public init(idle: Duration? = nil, halfClose: Duration? = nil, pace: Pace? = nil) {
      self.idle = idle
      self.halfClose = halfClose
      self.pace = pace
    }
  }

  /// How both directions came to their end.
  public struct Ending: Sendable, Hashable {
    /// The direction whose source ended first.
    public let first: Direction
    /// Whether the other one was idle for the time that is given to it then, and has not ended.
    public let otherWasIdle: Bool
  }

  /// Moves bytes both ways until both ends have ended, and passes each end on by half-closing the other descriptor, when
  /// that is a socket, after the last byte.
  ///
  /// - Parameters:
  ///   - first: One of the two.
  ///   - second: The other.
  ///   - via: Which paths may be used.
  ///   - limits: What ends both early, and how fast each may be.
  ///   - taps: Sinks that watch a direction, and can neither slow it nor break it.
  ///   - meters: Count what each sink has accepted, as soon as it has.
  ///   - deadline: Gives up then.
  ///   - readiness: Where to wait for descriptors.
  /// - Returns: Who ended first.
  /// - Throws: ``Failure`` as soon as one direction fails; calling again resumes both.  C: `splice`, `epoll_wait`, `shutdown`
  @discardableResult
  public mutating func run(
    between first: borrowing Descriptor, and second: borrowing Descriptor, via: Via = .automatic,
    within limits: Limits = Limits(), watchedBy taps: Taps = Taps(), countedBy meters: Meters = Meters(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(Failure) -> Ending {
    // Held for as long as either direction runs.
    let atFirst = Registration(first.raw, on: readiness)
    let atSecond = Registration(second.raw, on: readiness)
    let flows = Flows(
      forward: Flow(
        from: first, limit: .max, via: via, pace: limits.pace, taps: taps.forward, meter: meters.forward,
        told: .edges),
      backward: Flow(
        from: second, limit: .max, via: via, pace: limits.pace, taps: taps.backward, meter: meters.backward,
        told: .edges),
      waitedFor: Keys(atFirst.key, atSecond.key, atSecond.key, atFirst.key))
    if readiness.mayHaveToldLastEdge(of: atFirst.key) { flows.forward.doubtSource() }
    if readiness.mayHaveToldLastEdge(of: atSecond.key) { flows.backward.doubtSource() }
    readiness.pair(atFirst.key, atSecond.key)
    // How much less one direction alone is waited for than both, if it is.
    let alone = limits.waitsLess ? limits.halfClose : nil
    var stillness = Stillness(limits.idle, moved)
    let stopped = await withTaskCancellationHandler { () -> SpliceError? in
      while true {
        do throws(SpliceError) {
          try await drive(until: stillness.nextLook(or: deadline), waitingOn: readiness) {
            woken, thread throws(SpliceError) in
            try Syscall.withoutSIGPIPE { () throws(SpliceError) in
              try step(flows, woken, from: first, to: second, from: second, to: first, on: thread)
            }
          }
          try flows.passEndOn(first, second)
          if flows.areOver { return nil }
          if let alone { stillness = Stillness(alone, moved) }
        } catch {
          guard error == .timedOut, stillness.mayGoOn(moved, deadline) else { return error }
        }
      }
    } onCancel: {
      readiness.interrupt(atFirst.key)
      readiness.interrupt(atSecond.key)
    }
    switch (stopped, flows.ended) {
    case (nil, let ended?): return Ending(first: ended, otherWasIdle: false)
    case (.timedOut, let ended?) where alone != nil && deadline.map { $0 > .now } != false:
      return Ending(first: ended, otherWasIdle: true)
    case (let error, _): throw Failure(direction: flows.failed, error: error ?? .cancelled)
    }
  }

  private var moved: UInt64 { forward.delivered + backward.delivered }

  /// The same for programs without async: the calling thread waits.  C: `splice`, `ppoll`, `shutdown`
  public mutating func run(
    between first: borrowing Descriptor, and second: borrowing Descriptor, via: Via = .automatic,
    watchedBy taps: Taps = Taps(), waitingIn poll: Poll
  ) throws(Failure) {
    let flows = Flows(
      forward: Flow(from: first, limit: .max, via: via, taps: taps.forward, told: .levels),
      backward: Flow(from: second, limit: .max, via: via, taps: taps.backward, told: .levels),
      waitedFor: Keys(polling: first, second, second, first))
    repeat {
      _ = try run(flows, from: first, to: second, from: second, to: first, waitingIn: poll)
      do throws(SpliceError) { try flows.passEndOn(first, second) } catch {
        throw Failure(direction: flows.failed, error: error)
      }
    } while !flows.areOver
  }

  /// Moves bytes both ways between four descriptors until one direction has ended, and says which. Its end is the caller's to
  /// pass on, and the other direction to go on with, alone.
  package mutating func run(
    _ flows: Flows, from first: borrowing Descriptor, to second: borrowing Descriptor,
    from third: borrowing Descriptor, to fourth: borrowing Descriptor, waitingIn poll: Poll
  ) throws(Failure) -> Direction {
    do throws(SpliceError) {
      try drive(alarms: flows.alarms, waitingIn: poll) { woken, thread throws(SpliceError) in
        try step(flows, woken, from: first, to: second, from: third, to: fourth, on: thread)
      }
    } catch { throw Failure(direction: flows.failed, error: error) }
    return flows.endedNow
  }
}

extension Duplex.Limits {
  /// Whether one direction alone is waited for less long than both.
  fileprivate var waitsLess: Bool { halfClose.map { $0 <= idle ?? $0 } ?? false }
}

extension Duplex.Direction {
  package var other: Self { self == .forward ? .backward : .forward }
}

// MARK: - Both flows

extension Duplex {
  /// Both flows, and what has become of them. An object, since the memory of a task is given out by the kilobyte.
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
    /// Whose the first of two interests is.
    fileprivate var firstIsForward = true
    fileprivate let keys: Keys
    /// Sinks that are sockets, for `poll`: the failure of one ends both directions, whatever they wait for.
    fileprivate var alarms: Poll.Alarms
    /// One of them was told, and both have yet to be asked.
    fileprivate var isAlarmed = false

    package init(forward: Flow, backward: Flow, waitedFor keys: Keys) {
      (self.forward, self.backward, self.keys) = (forward, backward, keys)
      alarms = keys.alarms
    }

    fileprivate func end(_ direction: Direction) {
      areOver = ended != nil
      if ended == nil { ended = direction }
      endedNow = direction
    }

    /// The end of the one that has just ended becomes its sink's.
    fileprivate func passEndOn(
      _ first: borrowing Descriptor, _ second: borrowing Descriptor
    ) throws(SpliceError) {
      failed = endedNow
      switch endedNow {
      case .forward: try second.passEndOn()
      case .backward: try first.passEndOn()
      }
      failed = nil
    }
  }

  /// What is waited for: the forward source and sink, the backward source and sink.
  package struct Keys: Sendable {
    fileprivate let first, second, third, fourth: RegistrationKey
    fileprivate var alarms = Poll.Alarms()

    fileprivate init(
      _ first: RegistrationKey, _ second: RegistrationKey, _ third: RegistrationKey, _ fourth: RegistrationKey
    ) {
      (self.first, self.second, self.third, self.fourth) = (first, second, third, fourth)
    }

    /// For `poll`, which keeps no table, with an alarm for each sink that is a socket.
    package init(
      polling first: borrowing Descriptor, _ second: borrowing Descriptor, _ third: borrowing Descriptor,
      _ fourth: borrowing Descriptor
    ) {
      self.init(
        Interest(first, as: .source).key, Interest(second, as: .sink).key,
        Interest(third, as: .source).key, Interest(fourth, as: .sink).key)
      // A pipe that has lost its reader is noticed at the next byte, as others notice it.
      if second.kind.isSocket { alarms.first = self.second }
      if fourth.kind.isSocket { alarms.second = self.fourth }
    }
  }

  private mutating func step(
    _ flows: Flows, _ woken: Woken, from first: borrowing Descriptor, to second: borrowing Descriptor,
    from third: borrowing Descriptor, to fourth: borrowing Descriptor, on thread: Flow.Thread
  ) throws(SpliceError) -> Halt {
    flows.failed = nil
    if woken.contains(.failed) { flows.isAlarmed = true }
    let isLast = woken.contains(.last)
    if woken.contains(flows.firstIsForward ? .first : .second) {
      flows.forward.wake(count: forward.count, isLast: isLast)
    }
    if woken.contains(flows.firstIsForward ? .second : .first) {
      flows.backward.wake(count: backward.count, isLast: isLast)
    }
    // Nil for the one that has ended already.
    var forwards, backwards: Flow.Pause?
    do throws(SpliceError) {
      if flows.ended != .forward {
        forwards = try flows.forward.run(&forward, from: first, to: second, on: thread)
      }
    } catch {
      flows.failed = .forward
      throw error
    }
    do throws(SpliceError) {
      if flows.ended != .backward {
        backwards = try flows.backward.run(&backward, from: third, to: fourth, on: thread)
      }
    } catch {
      flows.failed = .backward
      throw error
    }
    switch (forwards, backwards) {
    case (.finished, _):
      flows.end(.forward)
      return .finished
    case (_, .finished):
      flows.end(.backward)
      return .finished
    case (.disk, _), (_, .disk): return .disk
    case (.rest, _), (_, .rest): return .rest
    default:
      let (one, oneTime) = forwards?.wait(flows.keys.first, flows.keys.second) ?? (nil, nil)
      let (two, twoTime) = backwards?.wait(flows.keys.third, flows.keys.fourth) ?? (nil, nil)
      // What one had sent before it failed was taken above, as far as the other one took it.
      if flows.isAlarmed { try check(flows, second, fourth) }
      flows.firstIsForward = one != nil
      let time = oneTime.map { min($0, twoTime ?? $0) } ?? twoTime
      return .wait(one ?? two, or: one == nil ? nil : two, until: time)
    }
  }

  /// Throws if one of both sinks has failed.
  private func check(
    _ flows: Flows, _ second: borrowing Descriptor, _ fourth: borrowing Descriptor
  ) throws(SpliceError) {
    if let errno = second.takeSocketError() {
      flows.failed = .forward
      throw .sink(errno)
    }
    if let errno = fourth.takeSocketError() {
      flows.failed = .backward
      throw .sink(errno)
    }
    // Nothing that ends it, and a poll would tell it again and again.
    flows.isAlarmed = false
    flows.alarms = Poll.Alarms()
  }
}

extension Flow.Pause {
  /// What this one waits for.
  fileprivate func wait(
    _ source: RegistrationKey, _ sink: RegistrationKey
  ) -> (Interest?, Moment?) {
    switch self {
    case .waitSource: (Interest(source, as: .source), nil)
    case .waitSink: (Interest(sink, as: .sink), nil)
    case .waitUntil(let time): (nil, time)
    case .rest, .disk, .finished: (nil, nil)
    }
  }
}
