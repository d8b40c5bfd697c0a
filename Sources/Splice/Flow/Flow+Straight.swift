// Straight from a source to a sink, where one of them is a pipe itself: the buffer in the middle is theirs,
// and one call does the work of two.

import SystemPackage

extension Descriptor.Kind {
  /// What a pipe is spliced from and to with no pipe between. A socket is not: whatever it has to tell, such
  /// as a reset, is told once, and by a call that cannot say which side it means.
  fileprivate var goesStraight: Bool {
    switch self {
    case .pipe, .regularFile, .blockDevice, .characterDevice: true
    case .directory, .terminal, .tcpSocket, .streamSocket, .otherSocket, .other: false
    }
  }
}

extension Flow {
  /// Whether bytes may go straight from this source to this sink.
  static func goesStraight(from source: borrowing Descriptor, to sink: borrowing Descriptor) -> Bool {
    (source.kind == .pipe || sink.kind == .pipe) && source.kind.goesStraight && sink.kind.goesStraight
      && (source.kind == .pipe || source.kind.isDisk || source.neverWaits)
      && (sink.kind == .pipe || sink.kind.isDisk || sink.neverWaits)
  }

  /// Splices from a source straight to a sink, past a pipe that is empty. Nil where that cannot be, or where
  /// it is not known who has to be waited for, or who has failed: through the pipe that shows.  C: `splice`
  mutating func passStraight(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    upTo limit: Int, _ waits: Waits, on thread: Thread
  ) throws(SpliceError) -> Outcome? {
    guard goesStraight, pipe.count == 0, source.obstacle(as: .source) == nil, sink.obstacle(as: .sink) == nil
    else { return nil }
    if mayWait(for: source, on: thread) || thread == .mustNotWait && sink.kind.isDisk { return .halt(.disk) }
    let transfer: Transfer
    do throws(Errno) {
      transfer = try pipe.spliceStraight(
        from: source, at: &sourceOffset, to: sink, at: &sinkOffset, upTo: limit)
    } catch {
      // Only a sink has lost its reader.
      if error == .brokenPipe { throw .sink(error) }
      goesStraight = false
      return nil
    }
    switch transfer {
    case .bytes: return .passed(transfer, transfer, held: 0)
    case .endOfFile: return .moved(.endOfFile, held: 0)
    case .wouldBlock:
      // A disk keeps nobody waiting: it is the other.
      if source.kind.isDisk { return .halt(waits.wait(as: .sink, until: nextLook)) }
      return sink.kind.isDisk ? .moved(.wouldBlock, held: 0) : nil
    }
  }
}
