// Straight from a source to a sink, where one of them is a pipe itself: the buffer in the middle is theirs,
// and one call does the work of two.

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

    /// Whether bytes may go straight from this source to this sink.
    static func mayGo(from source: borrowing Descriptor, to sink: borrowing Descriptor) -> Bool {
      (source.kind == .pipe || sink.kind == .pipe) && mayTouch(source) && mayTouch(sink)
    }

    /// What a pipe is spliced from and to with no pipe between. A socket is not: whatever it has to tell,
    /// such as a reset, is told once, and by a call that cannot say which side it means.
    private static func mayTouch(_ one: borrowing Descriptor) -> Bool {
      switch one.kind {
      case .pipe, .regularFile, .blockDevice: true
      case .characterDevice: one.neverWaits
      case .directory, .terminal, .tcpSocket, .streamSocket, .otherSocket, .other: false
      }
    }
  }

  /// Splices from a source straight to a sink, past a pipe that is empty. Nil where that cannot be, or where
  /// it is not known who has to be waited for, or who has failed: through the pipe that shows.  C: `splice`
  mutating func passStraight(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    upTo limit: Int, _ waits: Waits, on thread: Thread
  ) throws(SpliceError) -> Outcome? {
    guard straight.isPossible, pipe.count == 0, source.obstacle(as: .source) == nil,
      sink.obstacle(as: .sink) == nil
    else { return nil }
    if mayWait(for: source, on: thread) || thread == .mustNotWait && sink.kind.isDisk { return .halt(.disk) }
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
    // Of a pipe and what keeps nobody waiting, it is the pipe that does.
    let slow: Descriptor.Direction? =
      source.kind != .pipe ? source.kind.isDisk ? .sink : nil : sink.kind == .pipe ? nil : .source
    switch transfer {
    case .bytes(let count):
      if straight.shortMeansDry, count < limit { straight.dry = slow }
      return .passed(transfer, transfer, held: 0)
    case .endOfFile: return .moved(.endOfFile, held: 0)
    case .wouldBlock:
      return slow == .source && !sink.kind.isDisk ? nil : slow.map { waitStraight(for: $0, waits) }
    }
  }

  private func waitStraight(for direction: Descriptor.Direction, _ waits: Waits) -> Outcome {
    switch direction {
    case .source: .moved(.wouldBlock, held: 0)
    case .sink: .halt(waits.wait(as: .sink, until: nextLook))
    }
  }
}
