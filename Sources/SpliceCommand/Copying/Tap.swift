// A sink that may be late, stall, fail and vanish, beside what must go on: neither the copy nor the server
// that it belongs to notices.
//
// It is opened, attached to a fan-out and served on a thread of its own: that of a server again and again,
// that of a copy once.

import Splice
import Synchronization
import SystemPackage

/// An optional sink, with a thread of its own.
final class Tap: Sendable {
  let endpoint: Endpoint
  private let fan: FanOut
  private let policy: FanOut.Policy
  private let options: OpenEndpoint.Options
  private let hooks: Hooks
  /// Its thread, which is stopped when it is to be opened anew, or to end.
  private let worker: Worker
  /// Given when it is to end, and before the thread is stopped then.
  private let ended: StopFlag
  /// Given when it has been attached, or will not be.
  private let opened: StopFlag
  private let state = Locked(State())
  private let truncated = Atomic<Bool>(false)
  /// Whether it was told to be opened anew, and has not heard it yet. The stop is given for that, and taken
  /// back, under this lock.
  private let isToReopen = Locked(false)

  /// How many descriptors it needs at most, with its part of a fan-out: four words to its thread, its sink,
  /// its program, two pipes, and what tells of each.
  static let descriptors = 20

  /// What is done with it at each stage.
  struct Hooks: Sendable {
    /// Once it is open and before it is attached; whether that is for the first time.
    let prepare: @Sendable (OpenEndpoint, _ isFirst: Bool) throws(Failure) -> Void
    /// Once it is attached.
    var began: @Sendable () -> Void = {}
    /// Once it has left: how long after its opening began it is opened again, if it is.
    var left: @Sendable (Departure) -> Duration? = { _ in nil }
    /// How it is closed.
    var isSynchronized = false
    /// Whether it leaves when its reader is gone, also while there is nothing for it.
    var endsWithReader = false
  }

  /// What has come of it while it was open.
  struct Departure: Sendable {
    /// Why it left, if it failed.
    let failure: Failure?
    /// How it fared, if it was attached: what it has yet to accept, it will not.
    let counters: FanOut.Counters?
  }

  private struct State: Sendable {
    var stage = Stage.opening
    var sink: FanOut.Sink?
    /// Bytes that it accepted before it was opened this time.
    var deliveredBefore: UInt64 = 0
    var failure: Failure?
    /// Its program, until that is waited for.
    var program: Child?
    /// What was wrong with the end of its program.
    var fault: Failure?
    var digest: String?

    /// It is opened, perhaps anew.
    mutating func begin() {
      deliveredBefore += sink?.counters.delivered ?? 0
      (sink, fault) = (nil, nil)
    }

    /// What has come of it; to be told to leave is no failure.
    var departure: Departure {
      Departure(failure: failure?.isInterruption == true ? fault : failure, counters: sink?.counters)
    }
  }

  private enum Stage {
    case opening, taking, ending
  }

  /// Makes all that it takes but its thread, and begins nothing.
  init(
    _ endpoint: Endpoint, on fan: FanOut, _ policy: FanOut.Policy, _ options: OpenEndpoint.Options,
    _ hooks: Hooks
  ) throws(Errno) {
    (self.endpoint, self.fan, self.policy, self.hooks) = (endpoint, fan, policy, hooks)
    worker = try Worker("splice-tap")
    (ended, opened) = (try StopFlag(), try StopFlag())
    self.options = OpenEndpoint.Options(
      poll: worker.poll, idle: options.idle, explains: options.explains,
      pipeSize: options.pipeSize,
      isolatesPrograms: options.isolatesPrograms)
    opened.stop()
  }

  /// Opens the endpoint, on a thread of its own.
  func begin() throws(Errno) {
    opened.reset()
    do throws(Errno) {
      try worker.begin { [self] in
        run()
        opened.stop()
      }
    } catch {
      let failure = Failure(endpoint, .sink, "open", error, .failedUnderWay)
      state.withLock { $0.failure = failure }
      opened.stop()
      throw error
    }
  }

  /// Whether the stream has not ended as it should, or not yet, so that the peer must not take it for
  /// finished.
  var isTruncated: Bool {
    get { truncated.load(ordering: .acquiring) }
    set { truncated.store(newValue, ordering: .releasing) }
  }

  /// Leaves the endpoint, and opens it anew: a file that was moved away is followed by another. A file is not
  /// emptied by that.
  func reopen() {
    isToReopen.withLock { isToReopen in
      isToReopen = true
      worker.stop.stop()
    }
  }

  /// Ends it, whatever it does.
  private func end() {
    ended.stop()
    worker.stop.stop()
  }
}

// MARK: - On its thread

extension Tap {
  private func run() {
    var isFirst = true
    while !fan.isFinished, mayGoOn() {
      let began = ContinuousClock.now
      state.withLock { $0.begin() }
      var failure: Failure?
      do throws(Failure) { try serve(isFirst) } catch { failure = error }
      isFirst = false
      let departure = state.withLock { state in
        state.stage = .opening
        state.failure = failure
        return state.departure
      }
      opened.stop()
      let interval = hooks.left(departure)
      // To end or to be opened anew, and not of itself.
      if worker.stop.isStopped { continue }
      guard let interval else { return }
      options.poll.pause(for: max(.zero, began + interval - .now))
    }
  }

  /// Hears that it is to be opened anew. Nothing but its end ends it: that is looked at last, as what is
  /// taken back may have been said for it.
  private func mayGoOn() -> Bool {
    isToReopen.withLock { isToReopen in
      if isToReopen { worker.stop.reset() }
      isToReopen = false
    }
    return !ended.isStopped
  }

  private func serve(_ isFirst: Bool) throws(Failure) {
    let open = try endpoint.begin(.sink, options)
    let sink: FanOut.Sink
    do throws(Failure) {
      try OpenEndpoint.settle([open], options)
      try hooks.prepare(open, isFirst)
      sink = try attach()
    } catch {
      OpenEndpoint.undo([open])
      throw error
    }
    var failure: Failure?
    do throws(Failure) {
      // Last, as what fails here has no program to end.
      try OpenEndpoint.runPrograms([open], options)
      state.withLock { $0.program = open.child }
      opened.stop()
      hooks.began()
      try take(from: sink, open)
      sink.detach()
      state.withLock { $0.stage = .ending }
      if !isTruncated {
        try open.closeSink(
          synchronized: hooks.isSynchronized && open.isSinkOnDisk, waitingIn: leaving.lastWords)
      }
    } catch {
      failure = error
      sink.detach()
    }
    open.abortSink(failure.map { [$0] } ?? [], waitingIn: leaving.lastWords)
    state.withLock { $0.program = nil }
    // Also the program of a sink that failed has to be waited for.
    let fault = open.reap(mayLoseReader: failure != nil, leaving)
    state.withLock { $0.fault = fault }
    if let failure = failure ?? fault { throw failure }
  }

  /// How its end is waited for: one that is left to be opened anew has time to take what it was given, a
  /// program as well as what a socket has accepted.
  private var leaving: OpenEndpoint.Options {
    isToReopen.withLock { $0 }
      ? OpenEndpoint.Options(
        poll: BlockingWait(until: .now + .seconds(5), orStoppedBy: ended), idle: options.idle)
      : options
  }

  private func attach() throws(Failure) -> FanOut.Sink {
    do throws(Errno) {
      let sink = try fan.attach(policy, seesTheSame: endpoint.place.isDigest, comesAgain: true)
      state.withLock { state in
        state.stage = .taking
        state.sink = sink
      }
      return sink
    } catch { throw Failure(endpoint, .sink, "attach", error, .failedUnderWay) }
  }

  private func take(from sink: FanOut.Sink, _ open: OpenEndpoint) throws(Failure) {
    do throws(SpliceError) {
      if case .digest(let algorithm) = endpoint.place {
        var digest = Digest(algorithm)
        let text = try digest.take(from: sink, waitingIn: options.poll)
        state.withLock { $0.digest = text }
      } else {
        try sink.drain(to: open.sink, waitingIn: options.poll)
      }
    } catch {
      // Its reader has left, and there was nothing for it.
      if hooks.endsWithReader, error == .sink(.brokenPipe), sink.counters.lag == 0 { return }
      // One that was told to leave, and has everything, is whole.
      if let failure = sink.failure(error, endpoint) { throw failure }
    }
  }
}

// MARK: - For whom it belongs to

extension Tap {
  /// Waits until all of them are attached or will not be, and no longer than that: what is there at once gets
  /// the first byte.
  static func awaitOpening(_ taps: [Tap], atMost time: Duration, stoppedBy stop: StopFlag?) {
    wait(for: taps, \.opened, BlockingWait(until: .now + time, orStoppedBy: stop))
  }

  /// Lets those that take something have what they were given, and end, within a time that they share; one
  /// that was not open yet is given up at once. The fan-out has been finished.
  static func finish(_ taps: [Tap], within time: Duration, stoppedBy stop: StopFlag?) {
    let poll = BlockingWait(until: .now + time, orStoppedBy: stop)
    var left = taps
    while (try? poll.check()) != nil {
      left.removeAll(where: \.worker.isDone)
      if left.isEmpty { return }
      for tap in left where tap.isOpening { tap.end() }
      try? poll.wait(forAnyOf: left.map(\.worker.done.interest), atMost: .milliseconds(100))
    }
    for tap in taps { tap.end() }
    // Programs are told to end now, and killed when they do not. One that hears nothing, such as one that
    // waits for a disk, is left behind.
    wait(for: taps, \.worker.done, BlockingWait(until: .now + .seconds(3)))
    // One that holds the lock of its pipe while it waits for something keeps the tap's thread from telling
    // it.
    for tap in taps { tap.state.withLock { $0.program?.kill() } }
    wait(for: taps, \.worker.done, BlockingWait(until: .now + .seconds(1)))
  }

  private static func wait(for taps: [Tap], _ what: KeyPath<Tap, StopFlag>, _ poll: BlockingWait) {
    for tap in taps {
      while !tap[keyPath: what].isStopped, (try? poll.check()) != nil {
        try? poll.wait(forAnyOf: [tap[keyPath: what].interest], atMost: nil)
      }
    }
  }

  private var isOpening: Bool { state.withLock { $0.stage == .opening } }

  /// Whether it has failed, and is not opened again yet.
  var hasFailed: Bool { state.withLock { $0.failure != nil } }

  /// How it fares.
  var counters: FanOut.Counters { state.withLock { $0.sink?.counters } ?? FanOut.Counters() }

  /// Bytes that it accepted, however often it was opened, and bytes that went by without it: it was too slow,
  /// or not there.
  var passed: (delivered: UInt64, skipped: UInt64) {
    // In this order: what comes in between counts as neither.
    let position = fan.position
    let (delivered, underWay) = state.withLock { state -> (UInt64, Int) in
      let counters = state.sink?.counters ?? FanOut.Counters()
      return (state.deliveredBefore + counters.delivered, state.stage == .opening ? 0 : counters.lag)
    }
    return (delivered, position - min(position, delivered + UInt64(max(0, underWay))))
  }

  /// Where in the stream it is.
  var position: UInt64 { state.withLock { $0.sink?.position } ?? 0 }

  /// What has come of it, once it has ended or was given up.
  func account(in report: inout Report, asSink index: Int) {
    let state = state.withLock { $0 }
    report.account(
      sink: index, state.sink?.deliveredBy ?? PathCounts(), counters, late: state.sink?.start ?? fan.position,
      digest: isTruncated ? nil : state.digest)
    if let failure = failure(state) { report.add(failure) }
  }

  private func failure(_ state: State) -> Failure? {
    func late(_ act: String) -> Failure {
      var failure = Failure(
        endpoint, .sink, act, reason: "not open before the end of the copy", errno: Errno.timedOut.name,
        .failedUnderWay)
      failure.isInterruption = true
      return failure
    }
    return switch state.failure {
    case let failure? where state.sink == nil && failure.isInterruption: late(failure.act)
    case let failure?: failure
    case nil: state.sink == nil ? late("open") : nil
    }
  }
}
