// A copy of what a server forwards, to an endpoint that may fail, stall, vanish and come back: the server does not notice.

import Logging
import Splice
import Synchronization
import SystemPackage

/// A tap, with a thread of its own.
final class Tap: Sendable {
  private let fan: FanOut
  private let endpoint: Endpoint
  private let logger: Logger
  private let stop: Stop
  private let done: Stop

  /// How long an endpoint that failed is left alone.
  private static let untilTriedAgain = Duration.seconds(1)
  /// How long it has at the end for what it was shown.
  private static let lastBytes = Duration.seconds(1)

  /// Opens the endpoint, again and again if need be, on a thread of its own.
  init(_ endpoint: Endpoint, on fan: FanOut, _ logger: Logger) throws(Errno) {
    self.endpoint = endpoint
    self.logger = logger
    self.fan = fan
    stop = try Stop()
    done = try Stop()
    try Syscall.startThread(name: "splice-tap") { [self] in
      run()
      done.stop()
    }
  }

  /// Lets it have what it was shown, for a while, and ends it.
  func finish() {
    fan.finish()
    // A thread that waits for somebody to come is stopped; one that hands bytes over ends with them.
    let patience = Poll(until: .now + Self.lastBytes, orStoppedBy: done)
    while !done.isStopped, (try? patience.check()) != nil, isServing.load(ordering: .acquiring) {
      patience.pause(for: Self.lastBytes)
    }
    stop.stop()
  }

  /// Leaves the endpoint, and opens it anew: a file that was moved away is followed by another. A file is not emptied by that.
  func reopen() {
    isToReopen.store(true, ordering: .releasing)
    stop.stop()
  }

  private let isServing = Atomic<Bool>(false)
  private let isToReopen = Atomic<Bool>(false)

  private func run() {
    let poll = Poll(orStoppedBy: stop)
    var isFirst = true
    while !fan.isFinished {
      if isToReopen.exchange(false, ordering: .acquiringAndReleasing) { stop.reset() }
      if stop.isStopped { return }
      do throws(Failure) {
        try serve(OpenEndpoint.Manner(poll: poll), truncates: isFirst)
        if !fan.isFinished { logger.notice("tap left", metadata: ["tap": "\(endpoint.word)"]) }
      } catch {
        isFirst = false
        if stop.isStopped { continue }
        logger.warning(
          "tap", metadata: ["tap": "\(endpoint.word)", "act": "\(error.act)", "reason": "\(error.reason)"])
      }
      isFirst = false
      poll.pause(for: Self.untilTriedAgain)
    }
  }

  private func serve(_ manner: OpenEndpoint.Manner, truncates: Bool) throws(Failure) {
    let open = try endpoint.begin(.sink, manner)
    try OpenEndpoint.settle([open], manner)
    if truncates { try open.truncate() } else { try open.seekToEnd() }
    let sink: FanOut.Sink
    do throws(Errno) { sink = try fan.attach(.skip) } catch {
      throw Failure(endpoint.word, .sink, "attach", error, .failedUnderWay)
    }
    isServing.store(true, ordering: .releasing)
    defer { isServing.store(false, ordering: .releasing) }
    logger.info("tap begins", metadata: ["tap": "\(endpoint.word)"])
    do throws(SpliceError) {
      try sink.splice(to: open.sink, waitingIn: manner.poll)
    } catch {
      throw Failure(endpoint.word, .sink, "write", error, .failedUnderWay)
    }
    try open.closeSink(waitingIn: manner.poll)
  }
}
