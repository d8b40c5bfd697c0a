// From one regular file to another: data by the best way there is, holes as holes, and in order.
//
// The invariant: the copy makes the sink no longer than what has been copied, and never shorter than it is.
// So a copy that was killed goes on where the sink ends, and copies to other parts of one file may run at the
// same time; a hole at the end is made last, when its last byte is written. Nothing is in flight between two
// calls: a pipe is used and emptied within one, and what a failed one had not delivered is in the source
// still.

import CSplice
import SystemPackage

/// A copy of a stretch of one file to another, which can be gone on with after whatever stopped it.
///
/// ```swift
/// var copy = FileCopy()
/// try await copy.run(from: old, to: new)  // both open on regular files
/// print(copy.paths)  // how much was shared, copied by the kernel, or is a hole
/// ```
public struct FileCopy: Sendable {
  /// Bytes copied, by the way they travelled.
  public private(set) var paths = PathCounts()
  /// Why the ways that would have been faster were not taken.
  public private(set) var refusals: [TransferPath: Errno] = [:]
  /// Where it is in both files, holes included that are not in the sink yet.
  private var atSource, atSink: Int64
  /// Of the hole just skipped, what the sink will only have when something follows, or at the end.
  private var owedHole: Int64 = 0
  private let end: Int64
  /// Where it began in the sink.
  private let sinkStart: Int64
  private let options: FlowOptions
  private var ways: [TransferPath]
  /// The stretch of data the offset is in ends here.
  private var dataEnd: Int64 = 0
  /// Whether the source does not tell how long it is, and is read to its end.
  private var saysNothing = false

  /// One call shares or copies no more than this: a signal is heard between two.
  private static let largestShare: Int64 = 1 << 40
  private static let largestCopy: Int64 = 16 << 20
  /// What bytes go through where the kernel does not copy them by itself.
  private static let pipeSize = 1 << 20

  /// Begins at an offset of each, for at most this many bytes. The descriptors' own offsets stay as they are.
  /// Of the options, the idle time is none of a disk's.
  public init(
    from sourceOffset: Int64 = 0, to sinkOffset: Int64 = 0, upTo limit: UInt64 = .max,
    options: FlowOptions = FlowOptions()
  ) {
    (atSource, atSink) = (sourceOffset, sinkOffset)
    sinkStart = sinkOffset
    let (last, overflow) = UInt64(clamping: sourceOffset).addingReportingOverflow(limit)
    end = overflow ? .max : Int64(clamping: last)
    self.options = options
    ways = options.via == .automatic ? [.reflink, .copyFileRange] : []
  }

  /// Where it is in the source: behind the last byte that is in the sink.
  public var sourceOffset: Int64 { atSource - owedHole }

  /// Where it is in the sink.
  public var sinkOffset: Int64 { atSink - owedHole }

  /// Goes on to the end of the source or to the limit, while the calling thread waits for the disks. The copy
  /// makes the sink no longer than what has been copied, and never shorter than it is; after an error it can
  /// be gone on with. EINVAL for what is no regular file, for a sink that is opened to append, and for two
  /// parts of one file that may overlap: with a limit they do not.  C: `lseek` with SEEK_DATA, `ioctl` with
  /// FICLONERANGE, `copy_file_range`, `splice`, `fallocate`, `pwrite`
  public mutating func run(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, waitingIn poll: BlockingWait
  ) throws(SpliceError) {
    try check(source, sink)
    var pipe: SplicePipe?
    try run(from: source, to: sink, through: &pipe, pipeSize: Self.pipeSize, waitingIn: poll)
  }

  /// Copies in a task: threads for disks do it, a short while each, so that a cancellation is heard.
  public mutating func run(
    from source: borrowing Descriptor, to sink: borrowing Descriptor,
    until deadline: ContinuousClock.Instant? = nil
  ) async throws(SpliceError) {
    var pipe: SplicePipe?
    var isChecked = false
    while true {
      if Task.isCancelled { throw .cancelled }
      do throws(SpliceError) {
        return try await DiskThreads.shared.run { () throws(SpliceError) in
          if !isChecked { try check(source, sink) }
          isChecked = true
          let slice = ContinuousClock.now + .milliseconds(100)
          let poll = BlockingWait(until: deadline.map { min($0, slice) } ?? slice)
          try run(
            from: source, to: sink, through: &pipe, pipeSize: Self.pipeSize, pausing: false, waitingIn: poll)
        }
      } catch {
        guard error == .timedOut, deadline.map({ $0 > .now }) != false else { throw error }
      }
      // Not on the disk's thread, which others need.
      guard let (allowed, next) = options.pace?.allowance(at: .now), allowed == 0 else { continue }
      try? await Task.sleep(until: deadline.map { min($0, next.instant) } ?? next.instant)
    }
  }

  /// Refuses what is no two regular files, open for this, of which one part goes to another: EINVAL, or
  /// EBADF.
  private mutating func check(
    _ source: borrowing Descriptor, _ sink: borrowing Descriptor
  ) throws(SpliceError) {
    let from: Syscall.FileStatus
    do throws(Errno) {
      try source.mustBeOpen(as: .source)
      from = try Syscall.fstat(source.raw)
      guard source.kind == .regularFile, atSource >= 0 else { throw .invalidArgument }
    } catch { throw .source(error) }
    do throws(Errno) {
      try sink.mustBeOpen(as: .sink)
      // What is appended has no places.
      guard sink.kind == .regularFile, atSink >= 0, try Syscall.statusFlags(of: sink.raw) & O_APPEND == 0
      else {
        throw .invalidArgument
      }
      let to = try Syscall.fstat(sink.raw)
      let isSame = (from.device, from.inode) == (to.device, to.inode)
      if isSame, abs(atSource - atSink) < end - atSource { throw .invalidArgument }
    } catch { throw .sink(error) }
    // Files such as those of /proc say 0 and have more. Another run may find a file that has grown.
    saysNothing = from.size == 0
    dataEnd = saysNothing ? .max : atSource
  }

  /// Through an empty pipe where it needs one, which it makes if there is none.
  package mutating func run(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, through pipe: inout SplicePipe?,
    pipeSize: Int, pausing: Bool = true, waitingIn poll: BlockingWait
  ) throws(SpliceError) {
    while atSource < end {
      try poll.check()
      if atSource >= dataEnd {
        guard let data = try nextData(in: source) else { break }
        if data > atSource {
          try skip(data - atSource, in: sink)
          continue
        }
      }
      var count = min(dataEnd, end) - atSource
      if let (allowed, next) = options.pace?.allowance(at: .now) {
        if allowed == 0 {
          if !pausing { throw .timedOut }
          _ = try? poll.wait(for: nil, until: next.instant)
          continue
        }
        count = min(count, Int64(allowed))
      }
      let before = atSource
      let isMore = try copy(count, from: source, to: sink, &pipe, pipeSize, poll)
      options.pace?.took(Int(atSource - before))
      if !isMore { break }
    }
    // The hole at the end. An empty copy has none, wherever it began.
    do throws(Errno) {
      if atSink > sinkStart, try Syscall.fstat(sink.raw).size < atSink {
        // Not ftruncate: the file may have become longer since it was asked for its size.
        _ = try Syscall.pwrite(sink.raw, [0], at: atSink - 1)
      }
    } catch { throw .sink(error) }
    payHole()
  }
}

// MARK: - Data and holes

extension FileCopy {
  /// Where the next data begins, the end of the file when that is a hole, and nil at the end.
  private mutating func nextData(in source: borrowing Descriptor) throws(SpliceError) -> Int64? {
    do throws(Errno) {
      let size = try Syscall.fstat(source.raw).size
      guard atSource < size else { return nil }
      do throws(Errno) {
        let data = try Syscall.seek(source.raw, to: .data, from: atSource)
        if data == atSource { dataEnd = try Syscall.seek(source.raw, to: .hole, from: data) }
        return min(data, size, end)
      } catch {
        // ENXIO: a hole up to the end. Anything else: a file system that knows no holes.
        if error == .noSuchAddressOrDevice {
          // Of one that was cut meanwhile, no more than there is.
          let now = try Syscall.fstat(source.raw).size
          return atSource < now ? min(now, end) : nil
        }
        dataEnd = size
        return atSource
      }
    } catch { throw .source(error) }
  }

  /// Leaves a hole in the sink; where something is there already it is taken out.
  private mutating func skip(_ count: Int64, in sink: borrowing Descriptor) throws(SpliceError) {
    guard count <= .max - atSink else { throw .sink(.fileTooLarge) }
    do throws(Errno) {
      let old = try Syscall.fstat(sink.raw).size - atSink
      if old > 0 {
        do throws(Errno) { try Syscall.punchHole(in: sink.raw, at: atSink, count: min(old, count)) } catch {
          // Zeros are copied like data, where there can be no holes.
          guard error == .notSupported || error == .noFunction || error == .notPermitted else { throw error }
          dataEnd = atSource + count
          return
        }
      }
    } catch { throw .sink(error) }
    atSource += count
    atSink += count
    owedHole += count
  }

  /// The hole is in the sink now.
  private mutating func payHole() {
    add(Move(transfer: .bytes(Int(owedHole)), path: .hole))
    owedHole = 0
  }

  private mutating func add(_ move: Move) {
    paths.add(move)
    var counts = PathCounts()
    counts.add(move)
    options.meter?.add(counts)
  }

  /// Bytes behind it are in the sink, and so is it.
  private mutating func advance(by count: Int64) {
    guard count > 0 else { return }
    payHole()
    atSource += count
    atSink += count
  }
}

// MARK: - Ways

extension FileCopy {
  /// Copies some of it by the best way left. False when the source has ended.
  private mutating func copy(
    _ count: Int64, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    _ pipe: inout SplicePipe?,
    _ pipeSize: Int, _ poll: BlockingWait
  ) throws(SpliceError) -> Bool {
    while !saysNothing, let way = ways.first {
      do throws(Errno) {
        let copied = try inKernel(way, count, from: source, to: sink)
        // Nothing copied and no reason given: a file such as those of /proc, of which splice knows more.
        if copied > 0 { return true }
        refusals[way] = .notSupported
      } catch {
        // Whatever it is, splice will tell whose it is.
        refusals[way] = error
      }
      ways.removeFirst()
    }
    return try throughPipe(count, from: source, to: sink, &pipe, pipeSize, poll)
  }

  private mutating func inKernel(
    _ way: TransferPath, _ count: Int64, from source: borrowing Descriptor, to sink: borrowing Descriptor
  ) throws(Errno) -> Int64 {
    let copied: Int64
    if way == .reflink {
      copied = min(count, Self.largestShare)
      try Syscall.cloneRange(of: source.raw, at: atSource, to: sink.raw, at: atSink, count: copied)
    } else {
      var (from, to) = (atSource, atSink)
      copied = Int64(
        try Syscall.copyFileRange(
          from: source.raw, at: &from, to: sink.raw, at: &to, count: Int(min(count, Self.largestCopy))))
    }
    advance(by: copied)
    add(Move(transfer: .bytes(Int(copied)), path: way))
    return copied
  }

  private mutating func throughPipe(
    _ count: Int64, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    _ kept: inout SplicePipe?,
    _ pipeSize: Int, _ poll: BlockingWait
  ) throws(SpliceError) -> Bool {
    var pipe: SplicePipe
    if let usable = kept.take() {
      pipe = usable
    } else {
      do throws(Errno) { pipe = try SplicePipe.make(for: options.via, capacity: pipeSize) } catch {
        throw .pipe(error)
      }
    }
    var flow = Flow(
      from: source, at: atSource, sinkOffset: atSink, limit: UInt64(min(count, Self.largestCopy)),
      options: FlowOptions(via: options.via), told: .levels)
    let before = pipe.deliveredBy
    let outcome: Result<UInt64, SpliceError>
    do throws(SpliceError) {
      outcome = .success(try pipe.run(&flow, from: source, to: sink, waitingIn: poll))
    } catch { outcome = .failure(error) }
    let delivered = pipe.deliveredBy.minus(before)
    advance(by: Int64(delivered.total))
    paths.add(delivered)
    options.meter?.add(delivered)
    // What is left of a failed one is in the source still.
    if pipe.count == 0 { kept = consume pipe }
    _ = try outcome.get()
    return flow.missing == 0
  }
}
