// One of several sinks that are waited for, served on a thread of its own.

import Splice
import Synchronization
import SystemPackage

/// Hands a sink its bytes until the stream ends.
final class SinkWorker: Sendable {
  let endpoint: Endpoint
  private let sink: FanOut.Sink
  private let worker: Worker
  private let descriptor = Mutex<Descriptor?>(nil)
  /// The socket that is being written to.
  private let socket = Mutex<FileDescriptor?>(nil)
  /// What a digest has come to.
  private let digested = Mutex<String?>(nil)
  private let failure = Mutex<Failure?>(nil)
  private let truncated = Atomic<Bool>(true)

  /// Makes all that it takes, and begins nothing.
  init(_ endpoint: Endpoint, _ sink: FanOut.Sink) throws(Errno) {
    (self.endpoint, self.sink) = (endpoint, sink)
    worker = try Worker("splice-sink")
    try sink.reserve()
  }

  /// Begins. The endpoint's descriptor is the thread's until the end.
  func begin(_ open: OpenEndpoint) throws(Errno) {
    if let own = open.takeSink() { keep(own) }
    try worker.begin { [self] in run() }
  }

  var counters: FanOut.Counters { sink.counters }
  /// Where in the stream it is.
  var position: UInt64 { sink.position }
  var deliveredBy: PathCounts { sink.deliveredBy }

  /// Whether the stream has not ended as it should, or not yet: no peer may take it for finished.
  var isTruncated: Bool {
    get { truncated.load(ordering: .acquiring) }
    set { truncated.store(newValue, ordering: .releasing) }
  }

  private func keep(_ own: consuming Descriptor) {
    var kept: Descriptor? = consume own
    descriptor.withLock { swap(&$0, &kept) }
  }
}

// MARK: - On its thread

extension SinkWorker {
  private func run() {
    do throws(SpliceError) {
      if case .digest(let algorithm) = endpoint.place {
        try makeDigest(algorithm)
      } else if let own = descriptor.withLock({ $0.take() }) {
        try serve(own)
      }
    } catch {
      let failed = sink.failure(error, endpoint)
      // One that was stopped with nothing left to take has not failed, and has seen no end.
      isTruncated = true
      failure.withLock { $0 = failed }
      sink.detach()
      Signals.nudge()
    }
  }

  private func serve(_ own: consuming Descriptor) throws(SpliceError) {
    if own.kind.isStream { own.withFileDescriptor { number in socket.withLock { $0 = number } } }
    defer { socket.withLock { $0 = nil } }
    do throws(SpliceError) {
      try sink.drain(to: own, waitingIn: worker.poll)
      // Its peer does not have to wait for the others.
      if !isTruncated {
        try own.halfClose()
        if own.kind == .pipe {
          try? own.close()
          StandardDescriptors.letGo(endpoint.place, as: .sink)
          return
        }
      }
    } catch {
      keep(own)
      throw error
    }
    keep(own)
  }

  private func makeDigest(_ algorithm: Digest.Algorithm) throws(SpliceError) {
    var digest = Digest(algorithm)
    let text = try digest.take(from: sink, waitingIn: worker.poll)
    digested.withLock { $0 = text }
  }
}

// MARK: - How it fares

extension SinkWorker {
  /// What a digest has come to, once it has got everything.
  var digest: String? { isTruncated ? nil : digested.withLock { $0 } }

  /// What the socket has accepted and its peer not yet taken.
  var unconfirmed: Int {
    socket.withLock { socket in socket.flatMap { try? Syscall.bytesUnconfirmed(in: $0) } ?? 0 }
  }

  var hasFailed: Bool { failure.withLock { $0 != nil } }

  /// Whether it is still to be waited for: it has neither failed nor got everything.
  var isWorking: Bool { !worker.isDone && !hasFailed }

  /// Why it has failed, once, for the one who says so.
  func takeNews() -> Failure? {
    failure.withLock { failure in
      guard let news = failure, !news.isSaid else { return nil }
      failure?.isSaid = true
      return news
    }
  }
}

// MARK: - Waiting

extension SinkWorker {
  /// Waits until this sink has got everything, or has failed.
  func wait(waitingIn poll: BlockingWait) throws(SpliceError) {
    try worker.wait(waitingIn: poll)
  }
}

// MARK: - Ending

extension SinkWorker {
  /// Ends the thread, and gives the descriptor back.
  func end(_ open: OpenEndpoint) {
    worker.end()
    if let own = descriptor.withLock({ $0.take() }) { open.putSink(own) }
  }

  /// Ends the sink, once its thread has ended, and says what went wrong with either.
  func close(_ open: OpenEndpoint, synchronized: Bool, waitingIn poll: BlockingWait) -> Failure? {
    if let failure = failure.withLock({ $0 }) { return failure }
    if isTruncated { return nil }
    do throws(Failure) {
      try open.closeSink(synchronized: synchronized && open.isSinkOnDisk, waitingIn: poll)
      return nil
    } catch { return error }
  }
}

extension FanOut.Sink {
  /// Why this sink failed; nil when it was stopped and had taken everything that it was given, which is no
  /// failure.
  func failure(_ error: SpliceError, _ endpoint: Endpoint) -> Failure? {
    let lag = counters.lag
    switch (reason, error) {
    case (.tooSlow, _):
      return Failure(
        endpoint, .sink, "write", reason: "too slow: detached \(lag) bytes behind",
        errno: Errno.noBufferSpace.name, .failedUnderWay)
    case (nil, .cancelled) where lag == 0: return nil
    case (_, .cancelled):
      var failure = Failure(
        endpoint, .sink, "write", reason: "has not taken its last \(lag) bytes", errno: Errno.timedOut.name,
        .failedUnderWay)
      failure.isInterruption = true
      return failure
    default: return Failure(endpoint, .sink, "write", error, .failedUnderWay)
    }
  }
}
