// Both directions between two descriptors, in one task.
//
// Each direction is a flow with a pipe of its own, and neither waits for the other: what one wants to wait for and what the
// other wants are waited for together. Where a source ends, its sink is half-closed once the pipe is empty.

import SystemPackage

/// Two pipes, one for each direction between two descriptors.
public struct Duplex: ~Copyable, Sendable {
  /// From the first descriptor to the second.
  public var forward: SplicePipe
  /// From the second descriptor to the first.
  public var backward: SplicePipe

  /// Two new pipes, each with a capacity that is a wish.
  public init(capacity: Int = 1 << 20) throws(Errno) {
    let forward = try SplicePipe(capacity: capacity)
    let backward = try SplicePipe(capacity: capacity)
    self.forward = forward
    self.backward = backward
  }

  /// Which way.
  public enum Direction: String, Sendable, Hashable, CaseIterable {
    /// From the first descriptor to the second.
    case forward
    /// From the second descriptor to the first.
    case backward
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
  /// Moves bytes both ways until both ends have ended, and passes each end on by half-closing the other descriptor, when
  /// that is a socket, after the last byte.
  ///
  /// - Throws: ``Failure`` as soon as one direction fails; calling again resumes both.  C: `splice`, `epoll_wait`, `shutdown`
  public mutating func run(
    between first: borrowing Descriptor, and second: borrowing Descriptor, via: Via = .automatic,
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(Failure) {
    var flows = Flows(first, second, via: via, told: .edges)
    let atFirst = Registration(first, on: readiness)
    let atSecond = Registration(second, on: readiness)
    let keys = (first: atFirst.key, second: atSecond.key)
    let outcome = await withTaskCancellationHandler { () -> Result<Void, Failure> in
      do throws(Failure) {
        return .success(try await loop(&flows, first, second, keys, until: deadline, waitingOn: readiness))
      } catch { return .failure(error) }
    } onCancel: {
      readiness.interrupt(keys.first)
      readiness.interrupt(keys.second)
    }
    try outcome.get()
  }

  private mutating func loop(
    _ flows: inout Flows, _ first: borrowing Descriptor, _ second: borrowing Descriptor,
    _ keys: (first: RegistrationKey, second: RegistrationKey), until deadline: ContinuousClock.Instant?,
    waitingOn readiness: some Readiness
  ) async throws(Failure) {
    while true {
      var halt = try advance(&flows, first, second, on: .mustNotWait)
      if halt == .disk {
        halt = try await DiskThreads.run { () throws(Failure) in
          try advance(&flows, first, second, on: .mayWaitForDisk)
        }
      }
      switch halt {
      case .finished: return
      case .rest: await Task.yield()
      case .disk: break
      case .wait(let forwards, let backwards):
        let interests = Interests(forwards, backwards, keys.first, keys.second)
        do throws(Errno) {
          let woken = try await readiness.wait(for: interests.first, or: interests.second, until: deadline)
          wake(&flows, interests.which(woken), isLast: woken.contains(.last))
        } catch { throw Failure(direction: nil, error: .pipe(error)) }
      }
      if Task.isCancelled { throw Failure(direction: nil, error: .cancelled) }
      if let deadline, deadline <= .now { throw Failure(direction: nil, error: .timedOut) }
    }
  }

  /// The same for programs without async: the calling thread waits.  C: `splice`, `ppoll`, `shutdown`
  public mutating func run(
    between first: borrowing Descriptor, and second: borrowing Descriptor, via: Via = .automatic,
    waitingIn poll: Poll
  ) throws(Failure) {
    var flows = Flows(first, second, via: via, told: .levels)
    let keys = (Interest(first, as: .source).key, Interest(second, as: .source).key)
    try Syscall.withoutSIGPIPE { () throws(Failure) in
      while true {
        let halt = try advance(&flows, first, second, on: .mayWaitForDisk)
        do throws(SpliceError) { try poll.check() } catch {
          throw Failure(direction: nil, error: error)
        }
        switch halt {
        case .finished: return
        case .rest, .disk: continue
        case .wait(let forwards, let backwards):
          let interests = Interests(forwards, backwards, keys.0, keys.1)
          do throws(Errno) {
            wake(&flows, interests.which(try poll.wait(for: interests.first, or: interests.second)))
          } catch { throw Failure(direction: nil, error: .pipe(error)) }
        }
      }
    }
  }
}

// MARK: - Both flows

extension Duplex {
  private struct Flows {
    var forward, backward: Flow
    var forwardEnded = false
    var backwardEnded = false

    init(_ first: borrowing Descriptor, _ second: borrowing Descriptor, via: Via, told: Flow.Telling) {
      forward = Flow(from: first, limit: .max, via: via, told: told)
      backward = Flow(from: second, limit: .max, via: via, told: told)
    }
  }

  /// What both are at a halt for. A direction that has ended waits for nothing.
  private enum Halt: Equatable {
    case wait(forward: Flow.Pause?, backward: Flow.Pause?)
    case rest, disk, finished
  }

  private mutating func advance(
    _ flows: inout Flows, _ first: borrowing Descriptor, _ second: borrowing Descriptor,
    on thread: Flow.Thread
  ) throws(Failure) -> Halt {
    try Syscall.withoutSIGPIPE { () throws(Failure) in
      let forwards = try Self.advance(
        &flows.forward, &forward, from: first, to: second, ended: &flows.forwardEnded, .forward, on: thread)
      let backwards = try Self.advance(
        &flows.backward, &backward, from: second, to: first, ended: &flows.backwardEnded, .backward,
        on: thread)
      return switch (forwards, backwards) {
      case (.finished, .finished): .finished
      case (.disk, _), (_, .disk): .disk
      case (.rest, _), (_, .rest): .rest
      default: .wait(forward: forwards.ifWaiting, backward: backwards.ifWaiting)
      }
    }
  }

  private static func advance(
    _ flow: inout Flow, _ pipe: inout SplicePipe, from source: borrowing Descriptor,
    to sink: borrowing Descriptor,
    ended: inout Bool, _ direction: Direction, on thread: Flow.Thread
  ) throws(Failure) -> Flow.Pause {
    if ended { return .finished }
    do throws(SpliceError) {
      let pause = try flow.run(&pipe, from: source, to: sink, on: thread)
      if pause == .finished {
        ended = true
        try sink.passEndOn()
      }
      return pause
    } catch { throw Failure(direction: direction, error: error) }
  }

  private func wake(_ flows: inout Flows, _ which: (forward: Bool, backward: Bool), isLast: Bool = false) {
    if which.forward { flows.forward.wake(count: forward.count, isLast: isLast) }
    if which.backward { flows.backward.wake(count: backward.count, isLast: isLast) }
  }

  /// What to wait for, and whose each is.
  private struct Interests {
    let first: Interest
    let second: Interest?
    private let firstIsForward: Bool

    init(
      _ forward: Flow.Pause?, _ backward: Flow.Pause?, _ atFirst: RegistrationKey, _ atSecond: RegistrationKey
    ) {
      let forwards = forward.map {
        $0 == .waitSource ? Interest(atFirst, as: .source) : Interest(atSecond, as: .sink)
      }
      let backwards = backward.map {
        $0 == .waitSource ? Interest(atSecond, as: .source) : Interest(atFirst, as: .sink)
      }
      guard let one = forwards ?? backwards else {
        preconditionFailure("a halt to wait with nothing to wait for")
      }
      first = one
      second = forwards == nil ? nil : backwards
      firstIsForward = forwards != nil
    }

    func which(_ woken: Woken) -> (forward: Bool, backward: Bool) {
      firstIsForward
        ? (woken.contains(.first), woken.contains(.second)) : (false, woken.contains(.first))
    }
  }
}

extension Flow.Pause {
  fileprivate var ifWaiting: Flow.Pause? { self == .waitSource || self == .waitSink ? self : nil }
}
