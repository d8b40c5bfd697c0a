// A copy through a buffer in user memory, as large as one likes: one thread fills it and another empties it, so that a burst of
// the source does not wait for the sink, nor a pause of the source show there.

import Splice
import Synchronization
import SystemPackage

extension CopyPlan {
  /// Through a buffer.
  func fill(
    _ buffer: consuming Buffer, _ stretch: Stretch, _ from: OpenEndpoint, _ to: OpenEndpoint,
    _ watch: inout Watch, _ stop: StopFlag?, _ report: inout Report
  ) throws(Failure) -> (Watch.Outcome, received: UInt64) {
    do throws(Errno) { try buffer.begin(from: from.source, upTo: stretch.limit, moves.options()) } catch {
      throw Failure(using: "thread", error)
    }
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) { try buffer.reader.drain(to: to.sink, waitingIn: poll) } catch let caught {
        error = caught
      }
      return Standing(
        error: error, moved: buffer.reader.delivered, held: buffer.reader.count,
        marks: [UInt64(to.sink.unconfirmed)], fill: buffer.fill)
    }
    let (received, failure) = buffer.finish()
    report.account(
      received: received, delivered: buffer.reader.deliveredBy, why: "through the buffer",
      sinkWhy: stretch.places == nil ? nil : "through the buffer, holes are written as zeros")
    stretch.leave(from, behind: buffer.reader.delivered, &report)
    if case .finished = outcome, let failure { return (.failed(failure), received.total) }
    return (outcome, received.total)
  }
}

extension CopyPlan {
  /// The buffer that was asked for.
  func makeBuffer() throws(Failure) -> Buffer? {
    guard let buffer else { return nil }
    do throws(Errno) { return try Buffer(buffer) } catch { throw Failure(using: "buffer", error) }
  }
}

/// A buffer that is filled once that has begun.
struct Buffer: ~Copyable {
  var reader: PipeReader
  fileprivate let filling: Filling

  /// How full it is: from 0 to 1.
  var fill: Double { Double(reader.count) / Double(reader.capacity) }

  /// Hands out what is in it, until the source has ended.
  mutating func handOut(by fan: FanOut, waitingIn poll: BlockingWait) throws(SpliceError) {
    try fan.fill(from: &reader, waitingIn: poll)
    if let failure = finish().failure { throw failure }
  }

  /// Ends it, and says what came in, and why not everything did.
  func finish() -> (received: PathCounts, failure: SpliceError?) { filling.finish() }

  /// Makes all that it takes but the thread, and begins nothing.
  init(_ size: Int) throws(Errno) {
    let ends = try SplicePipe(.memory, capacity: size).split()
    let reader = ends.reader
    try reader.reserve()
    filling = try Filling(ends.writer)
    self.reader = reader
  }

  /// Begins to be filled by a source that outlives this.
  func begin(from source: borrowing Descriptor, upTo limit: UInt64, _ options: FlowOptions) throws(Errno) {
    try filling.begin(from: source.alias(), upTo: limit, options)
  }

  deinit { _ = filling.finish() }
}

/// Fills a buffer on a thread of its own.
private final class Filling: Sendable {
  private let worker: Worker
  private let writer: Mutex<PipeWriter?>
  private let outcome = Mutex<(received: PathCounts, failure: SpliceError?)>((PathCounts(), nil))

  init(_ writer: consuming PipeWriter) throws(Errno) {
    worker = try Worker("splice-fill")
    self.writer = Mutex(writer)
  }

  /// Begins. The source is another name of a descriptor that is open until the end.
  func begin(from source: consuming Descriptor, upTo limit: UInt64, _ options: FlowOptions) throws(Errno) {
    let source = Mutex<Descriptor?>(source)
    do throws(Errno) {
      try worker.begin { [self] in
        if let source = source.withLock({ $0.take() }), let writer = writer.withLock({ $0.take() }) {
          fill(writer, from: source, upTo: limit, options)
        }
      }
    } catch {
      _ = source.withLock { $0.take() }?.release()
      throw error
    }
  }

  /// Until the source ends, or nobody reads any more. Its end is let go here, after which the reader sees the end of the stream.
  private func fill(
    _ writer: consuming PipeWriter, from source: consuming Descriptor, upTo limit: UInt64,
    _ options: FlowOptions
  ) {
    var failure: SpliceError?
    do throws(SpliceError) {
      try writer.fill(from: source, upTo: limit, options: options, waitingIn: worker.poll)
    } catch let caught { failure = caught }
    let received = writer.receivedBy
    outcome.withLock { $0 = (received, failure) }
    _ = source.release()
  }

  /// Ends it, and says what came in, and why not everything did. The reader sees an end after a failure, too, once it has taken
  /// what came in: so its sinks may end only when there was none.
  func finish() -> (received: PathCounts, failure: SpliceError?) {
    worker.end()
    let (received, failure) = outcome.withLock { $0 }
    return switch failure {
    // Stopped by us, or left by its reader, who says why.
    case .cancelled?, .sink(.brokenPipe)?: (received, nil)
    default: (received, failure)
    }
  }
}
