// sendfile: the legacy spelling, made of the same parts.
//
// The kernel's sendfile is a splice into a hidden pipe of 16 slots and a splice out of it. This one has a
// pipe of its own, larger, which can be lent; it takes any sink, and says when the file ended before it was
// promised to.

import SystemPackage

/// Sends part of a file to any sink, and leaves the file's own offset alone.
///
/// A turn moves a few MiB at the most, so a fast peer cannot hold the thread.
///
/// - Parameters:
///   - file: A regular file, or anything else that can be read at an offset.
///   - offset: Where to begin; afterwards, behind the last byte the sink accepted, whatever happened. Calling
///     again with it resumes.
///   - count: How many bytes are promised.
///   - sink: Where they go.
///   - options: Paths, pace, idle time and meter.
///   - deadline: Gives up then, with ``SpliceError/timedOut``.
///   - readiness: Where to wait for descriptors.
/// - Throws: ``SpliceError/truncated(missing:)`` when the file ended first, after what there was has been
///   sent.
///
/// C: `sendfile`
public func sendfile(
  from file: borrowing Descriptor, at offset: inout Int64, count: UInt64, to sink: borrowing Descriptor,
  options: FlowOptions = FlowOptions(), until deadline: ContinuousClock.Instant? = nil,
  waitingOn readiness: some Readiness = .epoll
) async throws(SpliceError) {
  var pipe = try SplicePipe.forSendfile()
  var flow = Flow(from: file, at: offset, limit: count, options: options, told: .edges)
  // What is left in the pipe when a sink fails is in the file still, and this pipe is nobody's: it goes, and
  // the offset tells.
  defer { offset += Int64(pipe.delivered) }
  _ = try await pipe.run(&flow, from: file, to: sink, until: deadline, waitingOn: readiness)
  if flow.missing > 0 { throw .truncated(missing: flow.missing) }
}

/// Sends part of a file to any sink, while the calling thread waits: for programs without async.
/// C: `sendfile`
public func sendfile(
  from file: borrowing Descriptor, at offset: inout Int64, count: UInt64, to sink: borrowing Descriptor,
  options: FlowOptions = FlowOptions(), waitingIn poll: BlockingWait
) throws(SpliceError) {
  var pipe = try SplicePipe.forSendfile()
  var flow = Flow(from: file, at: offset, limit: count, options: options, told: .levels)
  defer { offset += Int64(pipe.delivered) }
  _ = try pipe.run(&flow, from: file, to: sink, waitingIn: poll)
  if flow.missing > 0 { throw .truncated(missing: flow.missing) }
}

extension SplicePipe {
  fileprivate static func forSendfile() throws(SpliceError) -> SplicePipe {
    do throws(Errno) { return try SplicePipe() } catch { throw .pipe(error) }
  }
}
