// The whole of it in one call: fill, finish, and serve every sink, each in a task of its own.

import SystemPackage

extension FanOut {
  /// What came of a sink: how many bytes it accepted, or why it did not get them all.
  public typealias Outcome = Result<UInt64, SpliceError>

  /// Hands everything a source gives to sinks that were attached to descriptors, ends the stream, and waits
  /// until each of them has got what it gets. One that fails is let go, and the others go on. Descriptors are
  /// closed at the end of their sinks: a socket once its peer has ended too, or five seconds later.
  ///
  /// - Returns: What came of each, in the order of `sinks`.
  /// - Throws: ``SpliceError`` when the source has failed, the task was cancelled or the deadline has come:
  ///   the stream is bad for all sinks then. That no sink is left is no failure of the source.
  @discardableResult
  public func run(
    from source: borrowing Descriptor, to sinks: [Sink], upTo limit: UInt64 = .max,
    options: FlowOptions = FlowOptions(), until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> [Outcome] {
    let (outcomes, failure) = await withTaskGroup(of: (Int, Outcome).self) { group in
      for (index, sink) in sinks.enumerated() {
        group.addTask {
          do throws(SpliceError) { return (index, .success(try await sink.serve(until: deadline))) } catch {
            return (index, .failure(error))
          }
        }
      }
      var failure: SpliceError?
      do throws(SpliceError) {
        try await fill(from: source, upTo: limit, options: options, until: deadline, waitingOn: readiness)
      } catch {
        // Sinks that were cancelled, or have run out of time, have not left.
        let isOver = deadline.map { $0 <= .now } == true
        failure =
          error != .sink(.brokenPipe) ? error : Task.isCancelled ? .cancelled : isOver ? .timedOut : nil
      }
      if failure == nil { finish() } else { invalidate() }
      var outcomes = sinks.map { _ in Outcome.failure(.cancelled) }
      for await (index, outcome) in group { outcomes[index] = outcome }
      return (outcomes, failure)
    }
    if let failure { throw failure }
    return outcomes
  }
}

extension FanOut.Sink {
  /// Hands its bytes to the descriptor it was attached to, until the stream ends, and closes that: a socket
  /// once its peer has ended too, or five seconds later.
  ///
  /// - Returns: How many bytes it accepted.
  /// - Throws: ``SpliceError``, and it is let go; EBADF when it was attached to nothing, or is served
  ///   already.
  @discardableResult
  public func serve(
    options: FlowOptions = FlowOptions(), until deadline: ContinuousClock.Instant? = nil
  ) async throws(SpliceError) -> UInt64 {
    guard let target = takeTarget() else {
      if isWithoutTarget { hasFailed(.sink(.badFileDescriptor)) }
      throw .sink(.badFileDescriptor)
    }
    let count = try await drain(to: target, options: options, until: deadline)
    let lastWords = ContinuousClock.now + .seconds(5)
    try await target.finish(until: deadline.map { min($0, lastWords) } ?? lastWords)
    return count
  }
}
