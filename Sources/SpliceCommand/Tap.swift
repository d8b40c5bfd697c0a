// A sink that may be late, stall, fail and vanish, beside what must go on: neither the copy nor the server that it belongs to notices.
//
// It is opened, attached to a fan-out and served on a thread of its own: that of a server again and again, that of a copy once.

import Logging
import Splice
import Synchronization
import SystemPackage

/// A sink that nobody waits for, with a thread of its own.
final class Tap: Sendable {
  let endpoint: Endpoint
  private let fan: FanOut
  private let policy: FanOut.Policy
  private let manner: OpenEndpoint.Manner
  private let hooks: Hooks
  /// Interrupts what it does: it is to be opened anew, or to end.
  private let stop: Stop
  /// Given when it is to end, and before `stop` then.
  private let ended: Stop
  /// Given when it has been attached, or will not be.
  private let opened: Stop
  private let done: Stop
  private let state = Locked(State())
  private let truncated = Atomic<Bool>(false)
  /// Whether it was told to be opened anew, and has not heard it yet. `stop` is given for that, and taken back, under this lock.
  private let isToReopen = Locked(false)

  /// What is done with it at each stage.
  struct Hooks: Sendable {
    /// Once it is open and before it is attached; whether that is for the first time.
    let prepare: @Sendable (OpenEndpoint, _ isFirst: Bool) throws(Failure) -> Void
    /// Once it is attached.
    var began: @Sendable () -> Void = {}
    /// Once it has left, for a reason if it failed: how long it is left alone until it is opened again, if it is.
    var left: @Sendable (Failure?) -> Duration? = { _ in nil }
    /// How it is closed.
    var isSynchronized = false
  }

  private struct State: Sendable {
    var stage = Stage.opening
    var sink: FanOut.Sink?
    var failure: Failure?
    var digest: String?
  }

  private enum Stage {
    case opening, taking, ending
  }

  /// Opens the endpoint, on a thread of its own.
  init(
    _ endpoint: Endpoint, on fan: FanOut, _ policy: FanOut.Policy, _ manner: OpenEndpoint.Manner,
    _ hooks: Hooks
  ) throws(Errno) {
    (self.endpoint, self.fan, self.policy, self.hooks) = (endpoint, fan, policy, hooks)
    (stop, ended, opened, done) = (try Stop(), try Stop(), try Stop(), try Stop())
    self.manner = OpenEndpoint.Manner(
      poll: Poll(orStoppedBy: stop), idle: manner.idle, explains: manner.explains, pipeSize: manner.pipeSize)
    try Syscall.startThread(name: "splice-tap") { [self] in
      run()
      opened.stop()
      done.stop()
    }
  }

  /// Whether the stream has ended before it should have, so that the peer must not take it for finished.
  var isTruncated: Bool {
    get { truncated.load(ordering: .acquiring) }
    set { truncated.store(newValue, ordering: .releasing) }
  }

  /// Leaves the endpoint, and opens it anew: a file that was moved away is followed by another. A file is not emptied by that.
  func reopen() {
    isToReopen.withLock { isToReopen in
      isToReopen = true
      stop.stop()
    }
  }

  /// Ends it, whatever it does.
  private func end() {
    ended.stop()
    stop.stop()
  }
}

// MARK: - On its thread

extension Tap {
  private func run() {
    var isFirst = true
    while !fan.isFinished, mayGoOn() {
      var failure: Failure?
      do throws(Failure) { try serve(isFirst) } catch { failure = error }
      isFirst = false
      state.withLock { state in
        state.stage = .opening
        state.failure = failure
      }
      // To end or to be opened anew, and not of itself.
      if stop.isStopped { continue }
      guard let pause = hooks.left(failure) else { return }
      manner.poll.pause(for: pause)
    }
  }

  /// Hears that it is to be opened anew. Nothing but its end ends it: that is looked at last, as what is taken back may have been said for it.
  private func mayGoOn() -> Bool {
    isToReopen.withLock { isToReopen in
      if isToReopen { stop.reset() }
      isToReopen = false
    }
    return !ended.isStopped
  }

  private func serve(_ isFirst: Bool) throws(Failure) {
    let open = try endpoint.begin(.sink, manner)
    let sink: FanOut.Sink
    do throws(Failure) {
      try OpenEndpoint.settle([open], manner)
      try hooks.prepare(open, isFirst)
      try OpenEndpoint.runPrograms([open], manner)
      sink = try attach()
    } catch {
      open.undo()
      throw error
    }
    opened.stop()
    hooks.began()
    var failure: Failure?
    do throws(Failure) {
      try take(from: sink, open)
      state.withLock { $0.stage = .ending }
      if !isTruncated { try open.closeSink(synchronized: hooks.isSynchronized && open.sink.isOnDisk, manner) }
    } catch {
      failure = error
      sink.detach()
    }
    open.abortSink(failure.map { [$0] } ?? [], manner)
    // Also the program of a sink that failed has to be waited for.
    let fault = open.reap(mayLoseReader: failure != nil, reaping)
    if let failure = failure ?? fault { throw failure }
  }

  /// How its program is waited for: one that is left to be run anew has time to finish what it was given.
  private var reaping: OpenEndpoint.Manner {
    isToReopen.withLock { $0 }
      ? OpenEndpoint.Manner(poll: Poll(until: .now + .seconds(5), orStoppedBy: ended), idle: manner.idle)
      : manner
  }

  private func attach() throws(Failure) -> FanOut.Sink {
    do throws(Errno) {
      let sink = try fan.attach(policy, seesTheSame: endpoint.place == .digest)
      state.withLock { state in
        state.stage = .taking
        state.sink = sink
      }
      return sink
    } catch { throw Failure(endpoint.word, .sink, "attach", error, .failedUnderWay) }
  }

  private func take(from sink: FanOut.Sink, _ open: OpenEndpoint) throws(Failure) {
    do throws(SpliceError) {
      if endpoint.place == .digest {
        var digest = Digest()
        let text = try digest.take(from: sink, waitingIn: manner.poll)
        state.withLock { $0.digest = text }
      } else {
        try sink.splice(to: open.sink, waitingIn: manner.poll)
      }
    } catch { throw sink.failure(error, endpoint.word) }
  }
}

// MARK: - For whom it belongs to

extension Tap {
  /// Waits until all of them are attached or will not be, and no longer than that: what is there at once gets the first byte.
  static func awaitOpening(_ taps: [Tap], atMost time: Duration, stoppedBy stop: Stop?) {
    wait(for: taps, \.opened, Poll(until: .now + time, orStoppedBy: stop))
  }

  /// Lets those that take something have what they were given, and end, within a time that they share; one that was not open yet is given
  /// up at once. The fan-out has been finished.
  static func finish(_ taps: [Tap], within time: Duration, stoppedBy stop: Stop?) {
    let poll = Poll(until: .now + time, orStoppedBy: stop)
    var left = taps
    while (try? poll.check()) != nil {
      left.removeAll(where: \.done.isStopped)
      if left.isEmpty { return }
      for tap in left where tap.isOpening { tap.end() }
      try? poll.wait(forAnyOf: left.map(\.done.interest), atMost: .milliseconds(100))
    }
    for tap in taps { tap.end() }
    // Programs are told to end now, and killed when they do not. One that hears nothing, such as one that waits for a disk, is left behind.
    wait(for: taps, \.done, Poll(until: .now + .seconds(3)))
  }

  private static func wait(for taps: [Tap], _ what: KeyPath<Tap, Stop>, _ poll: Poll) {
    for tap in taps {
      while !tap[keyPath: what].isStopped, (try? poll.check()) != nil {
        try? poll.wait(forAnyOf: [tap[keyPath: what].interest], atMost: nil)
      }
    }
  }

  private var isOpening: Bool { state.withLock { $0.stage == .opening } }

  /// How it fares.
  var counters: FanOut.Counters { state.withLock { $0.sink?.counters } ?? FanOut.Counters() }

  /// What has come of it, once it has ended or was given up.
  func account(in report: inout Report, asSink index: Int) {
    let state = state.withLock { $0 }
    report.account(
      sink: index, state.sink?.deliveredBy ?? PathCounts(), counters, late: state.sink?.start ?? fan.position,
      digest: isTruncated ? nil : state.digest)
    if let failure = failure(state) { report.add(failure, ofSink: index) }
  }

  private func failure(_ state: State) -> Failure? {
    func late(_ act: String) -> Failure {
      Failure(
        endpoint.word, .sink, act, reason: "was not there before the end", errno: Errno.timedOut.name,
        .failedUnderWay)
    }
    return switch state.failure {
    case let failure? where state.sink == nil && failure.errno == Errno.interrupted.name: late(failure.act)
    case let failure?: failure
    case nil: state.sink == nil ? late("open") : nil
    }
  }
}

// MARK: - Of a server

extension Tap {
  /// A copy of what a server forwards, to an endpoint that is opened again when it fails, and that begins where it is then.
  convenience init(_ endpoint: Endpoint, on fan: FanOut, _ logger: Logger) throws(Errno) {
    let word = endpoint.word.escapedName
    try self.init(
      endpoint, on: fan, .skip, OpenEndpoint.Manner(poll: Poll()),
      Hooks(
        prepare: { open, isFirst throws(Failure) in
          if isFirst { try open.truncate() } else { try open.seekToEnd() }
        },
        began: { logger.info("tap begins", metadata: ["tap": "\(word)"]) },
        left: { failure in
          if let failure {
            logger.warning(
              "tap", metadata: ["tap": "\(word)", "act": "\(failure.act)", "reason": "\(failure.reason)"])
          } else if !fan.isFinished {
            logger.notice("tap left", metadata: ["tap": "\(word)"])
          }
          return .seconds(1)
        }))
  }

  /// Lets all those of a server have what they were shown, for a second, and ends them.
  static func finish(_ taps: [Tap]) {
    for tap in taps { tap.fan.finish() }
    finish(taps, within: .seconds(1), stoppedBy: nil)
  }
}
