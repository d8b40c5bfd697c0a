// Carries out what a FlowMachine decides, up to the point where somebody has to wait.
//
// Both kinds of waiting, async and blocking, drive this one type; it has no opinion about either. A flow holds no bytes:
// whatever ends it, they are in the pipe.

import SystemPackage

/// A flow under way: the machine, where it is in its files, and what it will do next.
package struct Flow: Sendable {
  private var machine: FlowMachine
  private var action: FlowMachine.Action?
  private let via: Via
  /// Bytes are drained in whole units of so many, until the source has ended.
  private let unit: Int
  /// Offsets of its own, where the descriptors' are not to be used.
  private(set) var sourceOffset: Int64?
  /// Where in the sink bytes go.
  private var sinkOffset: Int64?
  /// Who watches it.
  private let taps: FanOut?
  /// Counts what the sink accepts.
  private let meter: ByteMeter?
  /// How fast it may go on.
  private(set) var pace: Pace?
  private var disk = DiskProbe()

  /// Why a flow came to a halt.
  enum Pause: Sendable, Hashable {
    case waitSource, waitSink
    /// The pace allows no more before this time.
    case waitUntil(Moment)
    /// A turn is over.
    case rest
    /// The next hop may wait for a disk.
    case disk
    case finished
  }

  /// Whether the thread may wait for a disk.
  enum Thread: Sendable, Hashable {
    case mayWaitForDisk, mustNotWait
  }

  /// How the waiter learns that there is more.
  package enum Telling: Sendable, Hashable {
    /// `poll`: as long as there is something.
    case levels
    /// `epoll` with EPOLLET: once for each thing that comes.
    case edges

    /// Whether a read shorter than its buffer may be taken for EAGAIN, which saves a call a message. With levels always.
    /// With edges only where a short read really took everything: TCP stops short at urgent data, of which the edge tells;
    /// a unix socket at a boundary of credentials and a packet pipe at a packet, of which nothing tells.
    func shortReadMeansDry(_ kind: Descriptor.Kind) -> Bool {
      switch self {
      case .levels: kind.isStream || kind == .pipe
      case .edges: kind == .tcpSocket
      }
    }
  }

  package init(
    from source: borrowing Descriptor, at sourceOffset: Int64? = nil, sinkOffset: Int64? = nil,
    limit: UInt64, via: Via, pace: Pace? = nil, unit: Int = 1, taps: FanOut? = nil,
    meter: ByteMeter? = nil, told: Telling
  ) {
    machine = FlowMachine(
      limit: limit, startsBulky: source.kind.isDisk || via != .automatic, mayCopy: via != .splice,
      // Behind a part of a unit a read may be short for want of room.
      shortMeansDry: unit == 1 && told.shortReadMeansDry(source.kind))
    self.sourceOffset = sourceOffset
    self.sinkOffset = sinkOffset
    self.taps = taps
    self.meter = meter
    self.via = via
    self.pace = pace
    self.unit = unit
  }

  /// Bytes the source did not give before it ended, of those it was asked for.
  package var missing: UInt64 { machine.left }

  /// Goes on until it has to wait. Whatever it throws, a later call goes on from there.
  mutating func run(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    on thread: Thread
  ) throws(SpliceError) -> Pause {
    if action == nil {
      // The source tells by itself at the first fill.
      do throws(Errno) { try sink.mustBeOpen(as: .sink) } catch { throw .sink(error) }
    }
    let (via, taps, mayPass) = (via, taps, taps == nil && unit == 1)
    let before = pipe.deliveredBy
    defer { meter?.add(pipe.deliveredBy.minus(before)) }
    return try run(
      &pipe, from: source, on: thread, isSpliced: { sink.obstacle(as: .sink) == nil },
      pass: { pipe, limit throws(SpliceError) in
        mayPass ? try pipe.pass(from: source, to: sink, upTo: limit) : nil
      }
    ) { pipe, offset, count throws(SpliceError) in
      if thread == .mustNotWait, sink.kind.isDisk { return nil }
      var count = count
      if let taps {
        // What they have seen goes before they see more: each byte once.
        if pipe.shownUpTo <= pipe.delivered {
          pipe.shownUpTo = pipe.delivered + UInt64(taps.show(pipe, upTo: count))
        }
        count = min(count, Int(pipe.shownUpTo - pipe.delivered))
      }
      do throws(Errno) {
        return try pipe.drain(to: sink, at: &offset, upTo: count, moreFollows: false, via: via)
      } catch { throw .sink(error) }
    }
  }

  /// The same to whatever takes the bytes: `drain` takes so many, or answers nil when that may wait for a disk. `isSpliced` says
  /// whether it takes them by reference. `pass` takes a small message and hands it over in one, or answers nil where that cannot be.
  @inline(__always)
  mutating func run(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, on thread: Thread, isSpliced: () -> Bool,
    pass: (inout SplicePipe, Int) throws(SpliceError) -> (filled: Transfer, drained: Transfer?)? = { _, _ in
      nil
    },
    drain: (inout SplicePipe, inout Int64?, Int) throws(SpliceError) -> Transfer?
  ) throws(SpliceError) -> Pause {
    var action = self.action ?? machine.next(after: .proceed, count: whole(pipe.count))
    defer { self.action = action }
    while true {
      switch action {
      case .fill(let wanted, let small):
        var limit = wanted
        if let allowed = pace?.allowance(at: .now), let next = pace?.next {
          if allowed == 0 { return .waitUntil(next) }
          limit = min(limit, allowed)
        }
        if source.kind.isDisk {
          if thread == .mayWaitForDisk { disk.look(at: source) }
          if thread == .mustNotWait, disk.mayWait(for: source, at: sourceOffset) { return .disk }
        }
        if small, let (filled, drained) = try pass(&pipe, limit) {
          took(filled)
          let count = if case .bytes(let count) = filled { count } else { 0 }
          action = machine.next(after: .filled(filled, asked: limit), count: count)
          if let drained { action = machine.next(after: .drained(drained), count: pipe.count) }
          continue
        }
        let move: Move
        do throws(Errno) {
          if unit > 1 {
            // What is left of a unit stays in the pipe, and must not fill it.
            if pipe.count > 0, !pipe.hasRoom { try pipe.gather() }
            limit = min(limit, pipe.capacity - pipe.count)
          }
          // Small messages are copied, and so is what would have to be copied on the way out anyway: bytes spliced in only to be
          // read out again would pass the kernel once more.
          let via: Via = small || self.via == .automatic && !isSpliced() ? .copy : self.via
          move = try pipe.fill(from: source, at: &sourceOffset, upTo: limit, via: via)
        } catch { throw .source(error) }
        took(move.transfer)
        action = machine.next(
          after: .filled(move.transfer, asked: min(limit, move.most)),
          count: move.transfer == .endOfFile ? pipe.count : whole(pipe.count))

      case .drain(let count):
        guard let transfer = try drain(&pipe, &sinkOffset, count) else { return .disk }
        action = machine.next(after: .drained(transfer), count: whole(pipe.count))

      case .waitSource:
        pipe.body.rest()
        return .waitSource
      case .waitSink: return .waitSink
      case .rest:
        action = machine.next(after: .proceed, count: whole(pipe.count))
        return .rest
      case .finish:
        pipe.body.rest()
        return .finished
      }
    }
  }

  private mutating func took(_ transfer: Transfer) {
    guard case .bytes(let count) = transfer else { return }
    disk.advance(by: count)
    pace?.took(count)
  }

  /// What may be drained of so many bytes.
  @inline(__always)
  private func whole(_ count: Int) -> Int {
    unit == 1 || machine.sourceEnded || machine.left == 0 ? count : count / unit * unit
  }

  /// Who had the source before may have been told its last edge.
  mutating func doubtSource() { machine.doubtSource() }

  /// What was waited for may be ready, and for the last time when `isLast`.
  mutating func wake(count: Int, isLast: Bool = false) {
    switch action {
    case .waitSource: action = machine.next(after: .sourceReady(isLast: isLast), count: whole(count))
    case .waitSink: action = machine.next(after: .sinkReady, count: whole(count))
    case nil where isLast: machine.doubtSource()
    default: break
    }
  }
}
