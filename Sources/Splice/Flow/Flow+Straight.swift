// Straight from a source to a sink, where one of them is a pipe itself: the buffer in the middle is theirs,
// and one call does the work of two.
//
// Not from a pipe to a disk, whose writer would find it locked while the disk is slow; and no socket: what
// has happened to one, such as a reset, is told once, and by a call that cannot say which side it means.

import CSplice
import SystemPackage

extension Flow {
  /// What is known of the calls that go straight.
  struct Straight: Sendable {
    /// Nothing has spoken against them.
    var isPossible = true
    /// Whether a call that moves less than it could says who has to be waited for: with edges that have been
    /// told, nobody would tell again.
    var shortMeansDry = false
    /// Who has to be waited for before the next call.
    var dry: Descriptor.Direction?
    /// Bytes a file has yet to give; nil before it is asked. That it has ended is for the file to say, and
    /// not for a call that may wait for the sink, or fail for want of a reader.
    var left: UInt64?
    /// Whether it is the sink that is waited for.
    var waitsForSink = false

    /// Whether bytes may go straight from this source to this sink.
    static func mayGo(from source: borrowing Descriptor, to sink: borrowing Descriptor) -> Bool {
      switch (source.kind, sink.kind) {
      case (.pipe, .pipe), (.regularFile, .pipe): true
      case (.pipe, .characterDevice): sink.neverWaits
      case (.characterDevice, .pipe): source.neverWaits
      default: false
      }
    }
  }

  /// Splices from a source straight to a sink, past a pipe that is empty. Nil where that cannot be, or where
  /// it is not known who has to be waited for, or who has failed: through the pipe that shows.  C: `splice`
  mutating func passStraight(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    upTo limit: Int, _ waits: Waits, on thread: Thread
  ) throws(SpliceError) -> Outcome? {
    straight.waitsForSink = false
    guard straight.isPossible, pipe.count == 0, source.obstacle(as: .source) == nil,
      sink.obstacle(as: .sink) == nil
    else { return nil }
    if mayWait(for: source, on: thread) { return .halt(.disk) }
    if source.kind == .regularFile, left(in: source) == 0 { return nil }
    if let dry = straight.dry {
      straight.dry = nil
      return waitStraight(for: dry, waits)
    }
    let transfer: Transfer
    do throws(Errno) {
      transfer = try pipe.spliceStraight(
        from: source, at: &sourceOffset, to: sink, at: &sinkOffset, upTo: limit)
    } catch {
      // Only a sink has lost its reader.
      if error == .brokenPipe { throw .sink(error) }
      straight.isPossible = false
      return nil
    }
    switch transfer {
    case .bytes(let count):
      straight.left = straight.left.map { $0 - min($0, UInt64(count)) }
      if straight.shortMeansDry, count < limit { straight.dry = Self.slow(source, sink) }
      return .passed(transfer, transfer, held: 0)
    case .endOfFile: return .moved(.endOfFile, held: 0)
    // A file keeps nobody waiting: it is the sink.
    case .wouldBlock: return source.kind == .regularFile ? waitStraight(for: .sink, waits) : nil
    }
  }

  /// Who it was that had no more, or no more room; nil where that is not known.
  private static func slow(
    _ source: borrowing Descriptor, _ sink: borrowing Descriptor
  ) -> Descriptor.Direction? {
    switch (source.kind, sink.kind) {
    case (.regularFile, _): .sink
    case (.pipe, .characterDevice): .source
    default: nil
    }
  }

  /// What a file has yet to give, by the size that it had at first.
  private mutating func left(in file: borrowing Descriptor) -> UInt64 {
    if let left = straight.left { return left }
    let size = (try? Syscall.fstat(file.raw).size) ?? 0
    let left = UInt64(max(0, size - ((try? file.place(sourceOffset)) ?? size)))
    straight.left = left
    return left
  }

  private mutating func waitStraight(for direction: Descriptor.Direction, _ waits: Waits) -> Outcome {
    guard direction == .sink else { return .moved(.wouldBlock, held: 0) }
    straight.waitsForSink = true
    return .halt(waits.wait(as: .sink, until: nextLook))
  }
}
