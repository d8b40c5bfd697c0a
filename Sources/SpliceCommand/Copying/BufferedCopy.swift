// A copy through a buffer, of a pipe's size or as large as one likes: one thread fills it, from one source
// after the other, and another empties it, so that a burst of a source does not wait for the sink, nor a
// pause of the source show there.

import Splice
import Synchronization
import SystemPackage

extension CopyPlan {
  /// Through a buffer.
  func fill(
    _ buffer: consuming Buffer, _ range: CopyRange, _ to: OpenEndpoint, _ watch: inout Watch,
    _ stop: StopFlag?, _ report: inout Report
  ) throws(Failure) -> (Watch.Outcome, received: [UInt64]) {
    do throws(Errno) { try buffer.begin(from: range, moves.options()) } catch {
      throw Failure(using: "thread", error)
    }
    let outcome = watch.run(stoppedBy: stop) { poll in
      var error: SpliceError?
      do throws(SpliceError) {
        try buffer.reader.drain(to: to.sink, options: drains, waitingIn: poll)
      } catch let caught {
        error = caught
      }
      return Progress(
        error: error, moved: buffer.reader.delivered, held: buffer.reader.count,
        marks: [to.unconfirmed], fill: self.buffer == nil ? nil : buffer.fill)
    }
    let (paths, failure) = buffer.finish()
    let received = paths.map(\.total)
    report.account(
      received: paths, delivered: buffer.reader.deliveredBy, why: whyBuffered,
      sinkWhy: range.places == nil ? nil : "\(whyBuffered), holes are written as zeros")
    leave(range, behind: buffer.reader.delivered, of: received, &report)
    if case .finished = outcome, let failure { return (.failed(failure), received) }
    return (outcome, received)
  }

  /// The pace is that of the one who fills.
  private var drains: FlowOptions { FlowOptions(via: moves.via) }

  /// Why bytes take the way they take.
  var whyBuffered: String { buffer == nil ? "one source after the other" : "through the buffer" }

  /// The buffer that was asked for, or that several sources need.
  func makeBuffer() throws(Failure) -> Buffer? {
    do throws(Errno) {
      if let buffer { return try Buffer(SplicePipe(.memory, capacity: buffer)) }
      return sources.count == 1 ? nil : try Buffer(SplicePipe.make(for: moves.via, capacity: pipeSize))
    } catch { throw Failure(using: "buffer", error) }
  }
}

/// A buffer that is filled once that has begun.
struct Buffer: ~Copyable {
  var reader: PipeReader
  fileprivate let filling: Filling

  /// How full it is: from 0 to 1.
  var fill: Double { Double(reader.count) / Double(reader.capacity) }

  /// Hands out what is in it, until the last source has ended.
  mutating func handOut(by fan: FanOut, waitingIn poll: BlockingWait) throws(SpliceError) {
    try fan.fill(from: &reader, waitingIn: poll)
    if let failure = finish().failure { throw failure }
  }

  /// Ends it, and says what came in from each source that was begun, and why not everything did: the last of
  /// them has failed then.
  func finish() -> (received: [PathCounts], failure: SpliceError?) { filling.finish() }

  /// Makes all that it takes but the thread, and begins nothing.
  init(_ pipe: consuming SplicePipe) throws(Errno) {
    let ends = pipe.split()
    let reader = ends.reader
    try reader.reserve()
    filling = try Filling(ends.writer)
    self.reader = reader
  }

  /// Begins to be filled by sources that outlive this.
  func begin(from range: CopyRange, _ options: FlowOptions) throws(Errno) {
    let sources = range.sources.map { Alias($0.source.source.alias()) }
    try filling.begin(from: sources, upTo: range.limit, options)
  }

  deinit { _ = filling.finish() }
}

/// Another name of a descriptor that is open until the end.
private final class Alias: Sendable {
  private let descriptor: Mutex<Descriptor?>

  init(_ descriptor: consuming Descriptor) { self.descriptor = Mutex(descriptor) }

  /// Lends it, once.
  func withDescriptor(_ body: (borrowing Descriptor) throws(SpliceError) -> Void) throws(SpliceError) {
    guard let lent = descriptor.withLock({ $0.take() }) else { return }
    do throws(SpliceError) { try body(lent) } catch {
      _ = lent.release()
      throw error
    }
    _ = lent.release()
  }

  deinit { _ = descriptor.withLock { $0.take() }?.release() }
}

/// Fills a buffer on a thread of its own.
private final class Filling: Sendable {
  private let worker: Worker
  private let writer: Mutex<PipeWriter?>
  private let outcome = Mutex<(received: [PathCounts], failure: SpliceError?)>(([PathCounts()], nil))

  init(_ writer: consuming PipeWriter) throws(Errno) {
    worker = try Worker("splice-fill")
    self.writer = Mutex(writer)
  }

  func begin(from sources: [Alias], upTo limit: UInt64, _ options: FlowOptions) throws(Errno) {
    try worker.begin { [self] in
      if let writer = writer.withLock({ $0.take() }) { fill(writer, from: sources, upTo: limit, options) }
    }
  }

  /// Until the last source ends, or the reader is gone. The writer is let go here, after which the reader
  /// sees the end of the stream.
  private func fill(
    _ writer: consuming PipeWriter, from sources: [Alias], upTo limit: UInt64, _ options: FlowOptions
  ) {
    var received: [PathCounts] = []
    var failure: SpliceError?
    for source in sources where failure == nil && writer.received < limit {
      let before = writer.receivedBy
      do throws(SpliceError) {
        try source.withDescriptor { source throws(SpliceError) in
          try writer.fill(
            from: source, upTo: limit - before.total, options: options, waitingIn: worker.poll)
        }
      } catch let caught { failure = caught }
      received.append(writer.receivedBy.minus(before))
      outcome.withLock { $0 = (received, failure) }
    }
  }

  /// Ends it, and says what came in, and why not everything did. The reader sees an end after a failure, too,
  /// once it has taken what came in: so its sinks may end only when there was none.
  func finish() -> (received: [PathCounts], failure: SpliceError?) {
    worker.end()
    let (received, failure) = outcome.withLock { $0 }
    return switch failure {
    // Stopped by us, or left by its reader, who says why.
    case .cancelled?, .sink(.brokenPipe)?: (received, nil)
    default: (received, failure)
    }
  }
}
