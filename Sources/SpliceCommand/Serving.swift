// One of several sinks that are waited for, served on a thread of its own.

import Splice
import Synchronization
import SystemPackage

/// Hands a sink its bytes until the stream ends.
final class Serving: Sendable {
  private let sink: FanOut.Sink
  private let stop: Stop
  /// Given when the thread has nothing more to do.
  private let done: Stop
  private let descriptor: Mutex<Descriptor?>
  /// What a digest has come to.
  private let digested = Mutex<String?>(nil)
  private let failure = Mutex<SpliceError?>(nil)
  private let truncated = Atomic<Bool>(false)

  /// Begins. The endpoint's descriptor is the thread's from now on.
  init(_ sink: FanOut.Sink, to end: OpenEndpoint) throws(Errno) {
    self.sink = sink
    stop = try Stop()
    done = try Stop()
    var taken = Descriptor(owning: .none)
    swap(&taken, &end.sink)
    descriptor = Mutex(taken)
    let isDigest = end.endpoint.place == .digest
    try Syscall.startThread(name: "splice-sink") { [self] in
      if isDigest {
        makeDigest()
      } else if let own = descriptor.withLock({ $0.take() }) {
        serve(own)
      }
      done.stop()
    }
  }

  var counters: FanOut.Counters { sink.counters }
  var deliveredBy: PathCounts { sink.deliveredBy }

  /// Whether the stream has ended before it should have, so that no peer may take it for finished.
  var isTruncated: Bool {
    get { truncated.load(ordering: .acquiring) }
    set { truncated.store(newValue, ordering: .releasing) }
  }

  private func serve(_ own: consuming Descriptor) {
    do throws(SpliceError) {
      try sink.splice(to: own, waitingIn: Poll(orStoppedBy: stop))
      // Its peer does not have to wait for the others.
      if !isTruncated {
        try own.passEndOn()
        if own.kind == .pipe { return }
      }
    } catch {
      failure.withLock { $0 = error }
      sink.detach()
    }
    var kept: Descriptor? = consume own
    descriptor.withLock { swap(&$0, &kept) }
  }
}

extension Serving {
  /// What a digest has come to, once it has got everything.
  var digest: String? { isTruncated ? nil : digested.withLock { $0 } }

  private func makeDigest() {
    var digest = Digest()
    do throws(SpliceError) {
      let text = try digest.take(from: sink, waitingIn: Poll(orStoppedBy: stop))
      digested.withLock { $0 = text }
    } catch {
      failure.withLock { $0 = error }
      sink.detach()
    }
  }
}

// MARK: - Waiting

extension Serving {
  /// Waits until this sink has got everything, or has failed.
  func wait(waitingIn poll: Poll) throws(SpliceError) {
    while !done.isStopped {
      try poll.check()
      do throws(Errno) { try poll.wait(forAnyOf: [done.interest], atMost: nil) } catch { throw .pipe(error) }
    }
  }
}

// MARK: - Ending

extension Serving {
  /// Ends the thread and then the sink, and says what went wrong with either.
  func end(
    _ open: OpenEndpoint, _ isWhole: Bool, synchronized: Bool, _ manner: OpenEndpoint.Manner
  ) -> Failure? {
    stop.stop()
    while !done.isStopped { Poll(orStoppedBy: done).pause(for: .seconds(60)) }
    if let own = descriptor.withLock({ $0.take() }) { open.sink = own }
    if let error = failure.withLock({ $0 }) {
      // One that has taken everything it was given is not to blame for being stopped.
      if case .cancelled = error, sink.reason == nil, counters.lag == 0 { return nil }
      return sink.failure(error, open.word)
    }
    if !isWhole { return nil }
    do throws(Failure) {
      try open.closeSink(synchronized: synchronized && open.sink.isOnDisk, manner)
      return nil
    } catch { return error }
  }
}

extension FanOut.Sink {
  /// Why this sink failed.
  func failure(_ error: SpliceError, _ word: String) -> Failure {
    let lag = counters.lag
    return switch (reason, error) {
    case (.tooSlow, _):
      Failure(
        word, .sink, "write", reason: "could not keep up, and was let go \(lag) bytes behind",
        errno: Errno.noBufferSpace.name, .failedUnderWay)
    case (_, .cancelled):
      Failure(
        word, .sink, "write", reason: "has not taken its last \(lag) bytes", errno: Errno.timedOut.name,
        .failedUnderWay)
    default: Failure(word, .sink, "write", error, .failedUnderWay)
    }
  }
}
