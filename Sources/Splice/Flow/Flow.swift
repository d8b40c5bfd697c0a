// Carries out what a FlowMachine decides, up to the point where somebody has to wait.
//
// Both kinds of waiting, async and blocking, drive this one type; it has no opinion about either. A flow
// holds no bytes: whatever ends it, they are in the pipe.

import SystemPackage

/// Who watches a flow, as a ``FanOut`` does: it is shown what the sink is about to get, each byte once, and
/// does not wait.
public protocol FlowWatcher: AnyObject, Sendable {
  /// Looks at the front of a pipe, no more than `limit` bytes of it: with ``SplicePipe/tee(to:upTo:)``, which
  /// takes nothing away.
  ///
  /// - Returns: How many of the first bytes have been looked at, or missed, at least one: so many may go on
  ///   now.
  func show(_ pipe: borrowing SplicePipe, upTo limit: Int) -> Int
}

/// A flow under way: the machine, where it is in its files, and what it will do next.
package struct Flow: Sendable {
  private var machine: FlowMachine
  private var action: FlowMachine.Action?
  /// How it begins.
  private var beginning = FlowMachine.Event.proceed
  private let options: FlowOptions
  /// Bytes are drained in whole units of this many bytes, until the source has ended.
  private let unit: Int
  /// Whether the end of the source ends a unit as well; else the part of one stays in the pipe.
  private let endsUnits: Bool
  /// Offsets of its own, where the descriptors' are not to be used.
  private(set) var sourceOffset: Int64?
  /// Where in the sink bytes go.
  private var sinkOffset: Int64?
  /// The sink may have hung up, and is to be asked before the source is waited for.
  private var sinkIsDoubtful = false
  /// What the source answered when it had given all it had; told once that has been handed on.
  private var left: SpliceError?
  /// Who watches it.
  let taps: (any FlowWatcher)?
  /// What the pace lets Swift code give.
  private var granted = Int.max
  /// Bytes that were taken, and bytes that were handed on.
  private var moved: UInt64 = 0
  /// When it would have stood still for too long; made when it begins.
  private var idleTimer: IdleTimer?
  private var disk = DiskProbe()
  /// Whose file that is, if there are several.
  private weak var known: (AnyObject & Sendable)?

  /// What came of asking one side.
  enum Outcome {
    /// What moved, of no more than `most` bytes; the flow holds so many now.
    case moved(Transfer, most: Int = .max, held: Int)
    /// A small message was taken from the source and handed to the sink in one.
    case passed(Transfer, Transfer, held: Int)
    /// It cannot be asked now. The flow asks the same again once that is over.
    case halt(StepResult)
  }

  /// Whether the thread may wait for a disk.
  enum Thread: Sendable, Hashable {
    case mayWaitForDisk, mustNotWait
  }

  /// How the waiter learns that there is more.
  package enum TriggerMode: Sendable, Hashable {
    /// `poll`: as long as there is something.
    case levels
    /// `epoll` with EPOLLET: once for each thing that comes.
    case edges

    /// Whether a read shorter than its buffer may be taken for EAGAIN, which saves a call a message. With
    /// levels always. With edges only where a short read really took everything: TCP stops short at urgent
    /// data, of which the edge tells; a unix socket at a boundary of credentials and a packet pipe at a
    /// packet, of which nothing tells.
    func shortReadMeansDry(_ kind: Descriptor.Kind) -> Bool {
      switch self {
      case .levels: kind.isStream || kind == .pipe
      case .edges: kind == .tcpSocket
      }
    }
  }

  package init(
    from source: borrowing Descriptor, at sourceOffset: Int64? = nil, sinkOffset: Int64? = nil,
    limit: UInt64, options: FlowOptions = FlowOptions(), unit: Int = 1, endsUnits: Bool = true,
    taps: (any FlowWatcher)? = nil, told: TriggerMode
  ) {
    machine = FlowMachine(
      limit: limit, startsBulky: source.kind.isDisk || options.via != .automatic,
      mayCopy: options.via != .splice,
      // Behind a part of a unit a read may be short for want of room.
      shortMeansDry: unit == 1 && told.shortReadMeansDry(source.kind))
    self.sourceOffset = sourceOffset
    self.sinkOffset = sinkOffset
    self.taps = taps
    self.options = options
    (self.unit, self.endsUnits) = (unit, endsUnits)
  }

  /// Of which one side, or both, is not a descriptor: another task's, or Swift code.
  init(
    limit: UInt64, options: FlowOptions = FlowOptions(), unit: Int = 1, endsUnits: Bool = true,
    taps: (any FlowWatcher)? = nil
  ) {
    // Nothing is worth copying into a pipe that is spliced out of by somebody else, but for what splice does
    // not get past.
    machine = FlowMachine(limit: limit, startsBulky: true, mayCopy: false)
    beginning = .rested
    (self.options, self.unit, self.endsUnits, self.taps) = (options, unit, endsUnits, taps)
  }

  /// Bytes the source did not give before it ended, of those it was asked for.
  package var missing: UInt64 { machine.left }

  /// Goes on until it has to wait: takes from the one side with `give`, up to this many bytes, which are
  /// better copied if `small`; hands what it holds to the other with `take`. A sink that still takes what it
  /// has accepted, of which so much is `unconfirmed`, does not stand still. Whatever it throws, a later call
  /// goes on from there.
  @inline(__always)
  mutating func run(
    holding count: Int, _ waits: Waits, unconfirmed: @autoclosure () -> Int = 0,
    give: (inout Flow, Int, _ small: Bool) throws(SpliceError) -> Outcome,
    take: (inout Flow, Int) throws(SpliceError) -> Outcome
  ) throws(SpliceError) -> StepResult {
    var held = count
    var action = self.action ?? machine.next(after: beginning, count: whole(held))
    defer { self.action = action }
    if options.idle != nil { try mustNotStandStill(unconfirmed) }
    while true {
      switch action {
      case .fill(let wanted, let small):
        var limit = wanted
        if let (allowed, next) = options.pace?.allowance(at: .now) {
          if allowed == 0 {
            // That it may take nothing is not its standing still.
            idleTimer = nil
            return waits.pause(until: next)
          }
          limit = min(limit, allowed)
          granted = limit
        }
        switch try give(&self, limit, small) {
        case .halt(let halt): return halted(halt)
        case .moved(let filled, let most, let now):
          held = now
          took(filled)
          // Behind the last bytes nothing completes a unit.
          let isOver = endsUnits && (filled == .endOfFile || machine.left == UInt64(filled.count))
          action = machine.next(
            after: .filled(filled, asked: min(limit, most)), count: isOver ? held : whole(held))
        case .passed(let filled, let drained, let now):
          held = now
          took(filled)
          _ = machine.next(after: .filled(filled, asked: limit), count: max(1, held))
          action = machine.next(after: .drained(drained), count: held)
        }

      case .drain(let count):
        switch try take(&self, count) {
        case .halt(let halt): return halted(halt)
        case .moved(let drained, _, let now), .passed(_, let drained, let now):
          held = now
          moved &+= UInt64(drained.count)
          action = machine.next(after: .drained(drained), count: whole(held))
        }

      case .waitSource: return waits.wait(as: .source, until: nextLook)
      case .waitSink: return waits.wait(as: .sink, until: nextLook)
      case .yield:
        action = machine.next(after: .rested, count: whole(held))
        return .yield
      case .finish:
        if let left {
          self.left = nil
          throw left
        }
        return .finished
      }
    }
  }

  /// Waiting for another end gives the others their turn, as waiting for a descriptor does.
  private mutating func halted(_ halt: StepResult) -> StepResult {
    guard case .waitEnd(let pipe, let side, _) = halt else { return halt }
    machine.waits()
    return .waitEnd(pipe, side, until: nextLook)
  }

  private var nextLook: Moment? { idleTimer?.nextLook(or: nil) }

  private mutating func mustNotStandStill(_ unconfirmed: () -> Int) throws(SpliceError) {
    guard var look = idleTimer else {
      idleTimer = IdleTimer(options.idle, progress(unconfirmed()))
      return
    }
    guard let next = look.nextLook(or: nil), next <= .now else { return }
    let mayGoOn = look.mayGoOn(progress(unconfirmed()), nil)
    idleTimer = mayGoOn ? look : nil
    if !mayGoOn { throw .timedOut }
  }

  private func progress(_ unconfirmed: Int) -> IdleTimer.Progress { .init(moved, unconfirmed) }

  private mutating func took(_ transfer: Transfer) {
    guard case .bytes(let count) = transfer else { return }
    disk.advance(by: count)
    moved &+= UInt64(count)
    options.pace?.took(count)
  }

  /// What may be drained of this many bytes.
  @inline(__always)
  func whole(_ count: Int) -> Int {
    unit == 1 || endsUnits && (machine.sourceEnded || machine.left == 0) ? count : count / unit * unit
  }

  var hasBegun: Bool { action != nil }

  /// What is held goes out before the source is asked, which may wait for that.
  mutating func drainFirst() { beginning = .rested }

  /// What is held leaves with what comes behind it.
  mutating func fillFirst() { beginning = .proceed }

  /// What has gone by until now, if there is a meter to be told: else it is not asked, which may take a lock.
  @inline(__always)
  func mark(_ counts: @autoclosure () -> PathCounts) -> PathCounts? { options.meter == nil ? nil : counts() }

  /// Tells the meter of what has gone by since.
  @inline(__always)
  func count(_ now: @autoclosure () -> PathCounts, since mark: PathCounts?) {
    if let meter = options.meter, let mark { meter.add(now().minus(mark)) }
  }

  /// How one hop goes: small messages are copied.
  func path(small: Bool) -> PathChoice { small ? .copy : options.via }

  /// Who had the source before may have been told its last edge.
  mutating func doubtSource() { machine.doubtSource() }

  /// No tap has to see the bytes or holds them back.
  var isPlain: Bool { options.isUsual && taps == nil && machine.left == .max }

  /// The sink may have hung up.
  mutating func doubtSink() { sinkIsDoubtful = true }

  /// Whether a peer that has ended its own half has left.
  var endsWithPeer: Bool { options.whenSinkCloses == .end }

  /// Throws when nothing more can be written to a sink that was doubted.
  mutating func mustNotHaveHungUp(_ sink: borrowing Descriptor) throws(SpliceError) {
    guard sinkIsDoubtful else { return }
    sinkIsDoubtful = false
    if let errno = sink.hangUp(closing: endsWithPeer) { throw .sink(errno) }
  }

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

// MARK: - From Swift code, and to it

extension Flow {
  /// What Swift code is to do now.
  enum Turn {
    case give(upTo: Int), take
  }

  /// Nil once everything has moved.
  var turn: Turn? {
    switch action {
    case .fill(let limit, _): .give(upTo: min(limit, granted))
    case .drain: .take
    default: nil
    }
  }

  /// Swift code has put bytes into the pipe, which now holds `held`. That there was no room says nothing of
  /// the source.
  mutating func given(_ transfer: Transfer, held: Int) {
    let filled = transfer == .wouldBlock && held == 0 ? .bytes(0) : transfer
    took(filled)
    action = machine.next(after: .filled(filled, asked: .max), count: held)
  }

  /// Swift code has taken bytes out of it.
  mutating func taken(held: Int) {
    if case .drain(let had) = action, held < had { moved &+= UInt64(had - held) }
    action = machine.next(after: .drained(.bytes(0)), count: held)
  }
}

extension SplicePipe {
  /// Shows its front to those who watch, and says how much may be drained now. What they have seen goes
  /// before they see more: each byte once.
  mutating func show(to taps: any FlowWatcher, upTo limit: Int) -> Int {
    if limit > 0, shownUpTo <= delivered || shownTo !== taps {
      shownUpTo = delivered + UInt64(taps.show(self, upTo: limit))
      shownTo = taps
    }
    return min(limit, Int(shownUpTo - min(delivered, shownUpTo)))
  }
}

extension SplicePipe {
  /// Hands its front to a descriptor once, by a path that may be used, after those who watch have seen it.
  mutating func hand(
    to sink: borrowing Descriptor, upTo limit: Int, via: PathChoice, watchedBy taps: (any FlowWatcher)?
  ) throws(Errno) -> Transfer {
    var none: Int64?
    let most = taps.map { show(to: $0, upTo: min(limit, count)) } ?? limit
    return try Syscall.withoutSIGPIPE { () throws(Errno) in
      try drain(to: sink, at: &none, upTo: most, moreFollows: false, via: via)
    }
  }
}

// MARK: - To a descriptor

extension Flow {
  /// Goes on with what is in a pipe to a descriptor.
  mutating func run(
    _ pipe: inout SplicePipe, to sink: borrowing Descriptor, _ waits: Waits, on thread: Thread
  ) throws(SpliceError) -> StepResult {
    if action == nil {
      do throws(Errno) { try sink.mustBeOpen(as: .sink) } catch { throw .sink(error) }
    }
    let mark = mark(pipe.deliveredBy)
    defer { count(pipe.deliveredBy, since: mark) }
    let halt = try run(
      holding: 0, waits, unconfirmed: sink.unconfirmed,
      give: { _, limit, _ in
        let count = min(limit, pipe.count)
        return .moved(count > 0 ? .bytes(count) : .endOfFile, held: count)
      },
      take: { flow, count throws(SpliceError) in
        guard case .moved(let drained, _, _) = try flow.drain(&pipe, to: sink, upTo: count, on: thread) else {
          return .halt(.disk)
        }
        return .moved(drained, held: count - drained.count)
      })
    if action == .finish { pipe.rings.giveBack() }
    return halt
  }
}

// MARK: - From a descriptor, and to one

extension Flow {
  /// Goes on from a descriptor through a pipe to a descriptor.
  mutating func run(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, to sink: borrowing Descriptor,
    _ waits: Waits,
    on thread: Thread
  ) throws(SpliceError) -> StepResult {
    if action == nil {
      // The source tells by itself at the first fill.
      do throws(Errno) { try sink.mustBeOpen(as: .sink) } catch { throw .sink(error) }
    }
    let mark = mark(pipe.deliveredBy)
    defer { count(pipe.deliveredBy, since: mark) }
    let mayPass = taps == nil && unit == 1
    let halt = try run(
      holding: pipe.count, waits, unconfirmed: sink.unconfirmed,
      give: { flow, limit, small throws(SpliceError) in
        if small, mayPass, let passed = try pipe.pass(from: source, to: sink, upTo: limit) {
          flow.mustBeWhole(passed.filled, source)
          guard let drained = passed.drained else { return .moved(passed.filled, held: pipe.count) }
          return .passed(passed.filled, drained, held: pipe.count)
        }
        return try flow.fill(
          &pipe, from: source, upTo: limit, small: small, isSpliced: sink.obstacle(as: .sink) == nil,
          on: thread)
      },
      take: { flow, count throws(SpliceError) in
        try flow.drain(&pipe, to: sink, upTo: count, on: thread)
      })
    // With something to write, it fails by itself.
    if sinkIsDoubtful, action == .waitSource { try mustNotHaveHungUp(sink) }
    // Nothing is in flight.
    if action == .waitSource || action == .finish { pipe.rings.giveBack() }
    return halt
  }

  /// Takes from a descriptor. Small messages are copied, and so is what would have to be copied on the way
  /// out, when that does not take bytes by reference (`isSpliced`): bytes spliced in only to be read out
  /// again would pass the kernel once more.
  @inline(__always)
  mutating func fill(
    _ pipe: inout SplicePipe, from source: borrowing Descriptor, upTo wanted: Int, small: Bool,
    isSpliced: Bool, on thread: Thread
  ) throws(SpliceError) -> Outcome {
    if mayWait(for: source, on: thread) { return .halt(.disk) }
    do throws(Errno) {
      let limit = try makeRoom(in: &pipe, upTo: asking(wanted, of: source))
      let via = small || options.via == .automatic && !isSpliced ? .copy : options.via
      let move = try pipe.fill(from: source, at: &sourceOffset, upTo: limit, via: via)
      mustBeWhole(move.transfer, source)
      return .moved(move.transfer, most: min(limit, move.most), held: pipe.count)
    } catch {
      // A message that is longer than the room: behind what is there.
      if error == .messageTooLong, whole(pipe.count) > 0 { return .moved(.wouldBlock, held: pipe.count) }
      // A peer that has closed, and left something unread: behind all that it has said.
      guard source.wasLeft(error) else { throw .source(error) }
      mustBeWhole(.endOfFile, source)
      return .moved(.endOfFile, held: pipe.count)
    }
  }

  /// How much is asked for: a message is taken whole or not at all, whatever the style of the stream, and a
  /// pace that it exceeds rests the longer.
  @inline(__always)
  func asking(_ wanted: Int, of source: borrowing Descriptor) -> Int {
    source.kind == .otherSocket ? Int(min(machine.left, UInt64(FlowMachine.largestFill))) : wanted
  }

  /// What a peer has left unread, or a file has kept back, is told behind all that there was. It is asked when
  /// the end is met: once that has been handed on, a file may have been written anew.
  @inline(__always)
  mutating func mustBeWhole(_ transfer: Transfer, _ source: borrowing Descriptor) {
    if transfer == .endOfFile { left = source.wasLeft() ? .source(.connectionReset) : missed(source) }
  }

  private func missed(_ source: borrowing Descriptor) -> SpliceError? {
    source.keptBack(at: sourceOffset).map { .truncated(missing: $0) }
  }

  /// What is left of a unit stays in the pipe, and must not fill it.
  @inline(__always)
  func makeRoom(in pipe: inout SplicePipe, upTo limit: Int) throws(Errno) -> Int {
    if unit == 1 { return limit }
    if pipe.count > 0, !pipe.hasRoom { try pipe.gather() }
    return min(limit, pipe.capacity - pipe.count)
  }

  /// Whether a disk may have to be waited for, and this thread must not.
  @inline(__always)
  mutating func mayWait(for source: borrowing Descriptor, on thread: Thread) -> Bool {
    source.kind.isDisk && mayWait(for: source, at: sourceOffset, on: thread)
  }

  /// Whether a read of one of several files, each with an owner, may have to wait for a disk, and this thread
  /// must not.
  mutating func mayWait(
    for file: borrowing Descriptor, of owner: AnyObject & Sendable, at offset: Int64, on thread: Thread
  ) -> Bool {
    // What is known of one says nothing of the next.
    if known !== owner { (disk, known) = (DiskProbe(), owner) }
    return mayWait(for: file, at: offset, on: thread)
  }

  private mutating func mayWait(
    for file: borrowing Descriptor, at offset: Int64?, on thread: Thread
  ) -> Bool {
    if thread == .mustNotWait { return disk.mayWait(for: file, at: offset) }
    if disk.isAsked { disk.look(at: file) }
    return false
  }

  /// Hands what taps have seen, if there are any, to a descriptor.
  @inline(__always)
  mutating func drain(
    _ pipe: inout SplicePipe, to sink: borrowing Descriptor, upTo most: Int, moreFollows: Bool = false,
    on thread: Thread
  ) throws(SpliceError) -> Outcome {
    if thread == .mustNotWait, sink.kind.isDisk { return .halt(.disk) }
    let count = taps.map { pipe.show(to: $0, upTo: most) } ?? most
    do throws(Errno) {
      let transfer = try pipe.drain(
        to: sink, at: &sinkOffset, upTo: count, moreFollows: moreFollows, via: options.via)
      return .moved(transfer, held: pipe.count)
    } catch { throw .sink(error) }
  }
}
