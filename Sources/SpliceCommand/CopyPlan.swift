// A copy, planned and carried out: open the source, open the sink, let the library move the bytes, report.

import Splice
import SystemPackage

/// What is to be done.
struct CopyPlan: Sendable {
  let source: Endpoint
  let sink: Endpoint
  let limit: UInt64
  let via: Via
  let explains: Bool
  let stats: StatsFormat?

  /// How long a socket that was our sink is listened to after our end.
  private static let lastWords = Duration.seconds(5)

  /// Does it, says what went wrong, and answers with the status to exit with.
  func run() -> Status {
    let poll = Poll(orStoppedBy: Signals.begin())
    var report = Report(source: source.word, sink: sink.word)
    let began = ContinuousClock.now
    do {
      let manner = OpenEndpoint.Manner(poll: poll, explains: explains)
      let from = try source.openAsSource(manner)
      let to = try sink.openAsSink(manner)
      if from.isSameFile(as: to) {
        throw Failure(sink.word, .sink, "open", reason: "source and sink are the same file", .noSink)
      }
      try to.truncate()
      try move(from, to, poll, &report)
      try end(to, poll)
    } catch let failure as Failure {
      report.failure = failure
    } catch {
      report.failure = Failure("splice", nil, "run", reason: "\(error)", .bug)
    }
    report.seconds = ContinuousClock.now - began
    return finish(report)
  }

  private func move(
    _ from: borrowing OpenEndpoint, _ to: borrowing OpenEndpoint, _ poll: Poll, _ report: inout Report
  ) throws {
    let promised = from.bytesLeft.map { min($0, limit) }
    var pipe: SplicePipe
    do throws(Errno) { pipe = try SplicePipe() } catch {
      throw Failure("pipe", nil, "make", error, .failedUnderWay)
    }
    defer {
      report.account(pipe, from.descriptor, to.descriptor, via)
      from.giveBack(pipe.count)
    }
    do throws(SpliceError) {
      try pipe.splice(from: from.descriptor, to: to.descriptor, upTo: limit, via: via, waitingIn: poll)
    } catch {
      if error == .sink(.brokenPipe), sink.place == .standard { Signals.dieOfLostReader() }
      throw failure(error)
    }
    if let promised, pipe.received < promised {
      throw failure(.truncated(missing: promised - pipe.received))
    }
  }

  private func end(_ to: consuming OpenEndpoint, _ poll: Poll) throws(Failure) {
    let wait = Poll(until: .now + Self.lastWords, orStoppedBy: poll.stop)
    do throws(SpliceError) { try to.finish(waitingIn: wait) } catch {
      throw Failure(sink.word, .sink, "close", error, .failedUnderWay)
    }
  }

  private func failure(_ error: SpliceError) -> Failure {
    switch error {
    case .source, .truncated: Failure(source.word, .source, "read", error, .failedUnderWay)
    case .sink: Failure(sink.word, .sink, "write", error, .failedUnderWay)
    case .pipe: Failure("pipe", nil, "wait", error, .failedUnderWay)
    case .cancelled, .timedOut: Failure(source.word, .source, "read", error, .failedUnderWay)
    }
  }

  private func finish(_ report: Report) -> Status {
    let status = Signals.status ?? report.failure?.status ?? .done
    // A signal is its own message.
    if Signals.status == nil, let failure = report.failure { StandardDescriptors.complain(failure.message) }
    if explains { report.explanation.forEach(StandardDescriptors.complain) }
    if let stats { StandardDescriptors.complain(report.text(stats)) }
    return status
  }
}
