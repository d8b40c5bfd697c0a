// A copy through a buffer in user memory, as large as one likes: one thread fills it and another empties it, so that a burst of
// the source does not wait for the sink, nor a pause of the source show there.

import Splice
import Synchronization
import SystemPackage

extension CopyPlan {
  /// Through a buffer of so many bytes.
  func fill(
    _ size: Int, _ stretch: Stretch, _ from: OpenEndpoint, _ to: OpenEndpoint, _ watch: inout Watch,
    _ stop: Stop?, _ report: inout Report
  ) throws(Failure) -> (Watch.Outcome, received: UInt64) {
    var buffer = try makeBuffer(size, stretch, from)
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) { try buffer.reader.splice(to: to.sink, waitingIn: poll) } catch let caught {
        error = caught
      }
      return Standing(
        error: error, moved: buffer.reader.delivered, held: buffer.reader.count, fill: buffer.fill)
    }
    let (received, failure) = buffer.finish()
    let left = buffer.reader.count
    report.account(
      received: received, delivered: buffer.reader.deliveredBy, why: "through the buffer",
      sinkWhy: stretch.places == nil ? nil : "through the buffer, holes are written as zeros")
    // Bytes that were read and not delivered are the file's still.
    if left > 0, from.source.kind == .regularFile {
      from.withSource { _ = try? Syscall.lseek($0, to: -Int64(left), from: .current) }
    }
    if case .finished = outcome, let failure { return (.failed(failure), received.total) }
    return (outcome, received.total)
  }
}

extension CopyPlan {
  /// A buffer that begins to be filled.
  func makeBuffer(_ size: Int, _ stretch: Stretch, _ from: OpenEndpoint) throws(Failure) -> Buffer {
    do throws(Errno) {
      return try from.withSource { raw throws(Errno) in
        try Buffer(size, from: Descriptor(duplicating: raw), upTo: stretch.limit, pace: moves.pace)
      }
    } catch { throw Failure("buffer", nil, "use", error, .failedUnderWay) }
  }
}

/// A buffer that is being filled.
struct Buffer: ~Copyable {
  var reader: PipeReader
  fileprivate let filling: Filling

  /// How full it is: from 0 to 1.
  var fill: Double { Double(reader.count) / Double(reader.capacity) }

  /// Hands out what is in it, until the source has ended.
  mutating func handOut(by fan: FanOut, waitingIn poll: Poll) throws(SpliceError) {
    try fan.splice(from: &reader, waitingIn: poll)
    if let failure = finish().failure { throw failure }
  }

  /// Ends it, and says what came in, and why not everything did.
  func finish() -> (received: PathCounts, failure: SpliceError?) { filling.finish() }

  init(
    _ size: Int, from source: consuming Descriptor, upTo limit: UInt64, pace: Pace?
  ) throws(Errno) {
    let ends = try SplicePipe(.memory, capacity: size).split()
    let reader = ends.reader
    filling = try Filling(ends.writer, from: source, upTo: limit, pace: pace)
    self.reader = reader
  }
}

/// Fills a buffer on a thread of its own.
private final class Filling: Sendable {
  private let stop: Stop
  private let done: Stop
  private let outcome = Mutex<(received: PathCounts, failure: SpliceError?)>((PathCounts(), nil))

  init(
    _ writer: consuming PipeWriter, from source: consuming Descriptor, upTo limit: UInt64, pace: Pace?
  ) throws(Errno) {
    stop = try Stop()
    done = try Stop()
    let ends = Mutex<Ends?>(Ends(source: source, writer: writer))
    try Syscall.startThread(name: "splice-fill") { [self] in
      if let ends = ends.withLock({ $0.take() }) { fill(ends, upTo: limit, pace: pace) }
      done.stop()
    }
  }

  private struct Ends: ~Copyable, Sendable {
    let source: Descriptor
    var writer: PipeWriter
  }

  /// Until the source ends, or nobody reads any more. Its end is let go here, after which the reader sees the end of the stream.
  private func fill(_ ends: consuming Ends, upTo limit: UInt64, pace: Pace?) {
    var failure: SpliceError?
    do throws(SpliceError) {
      try ends.writer.splice(from: ends.source, upTo: limit, pace: pace, waitingIn: Poll(orStoppedBy: stop))
    } catch { failure = error }
    let received = ends.writer.receivedBy
    outcome.withLock { $0 = (received, failure) }
  }

  /// Ends it, and says what came in, and why not everything did. The reader sees an end after a failure, too, once it has taken
  /// what came in: so its sinks may end only when there was none.
  func finish() -> (received: PathCounts, failure: SpliceError?) {
    stop.stop()
    while !done.isStopped { Poll(orStoppedBy: done).pause(for: .seconds(60)) }
    let (received, failure) = outcome.withLock { $0 }
    return switch failure {
    // Stopped by us, or left by its reader, who says why.
    case .cancelled?, .sink(.brokenPipe)?: (received, nil)
    default: (received, failure)
    }
  }
}
