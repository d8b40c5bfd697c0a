// A sink of a fan-out, as whoever serves it sees it.

import Synchronization
import SystemPackage

extension FanOut {
  /// One of the places the bytes go to. It is served by one task or thread, with any of its flows; letting it
  /// go detaches it.
  public final class Sink: Sendable {
    let branch: Branch
    /// What left the private pipe and was not accepted yet: it is here when a flow fails, and goes first in
    /// the next.
    fileprivate let hand: Locked<SplicePipe>
    /// Of that, what was there before the flow began, and has not gone into its limit yet.
    fileprivate let carried = Atomic<Int>(0)
    /// Of that, what was copied: told without the lock, which is held while the sink is written.
    fileprivate let copiedByHand = Atomic<UInt64>(0)
    /// Of the fan-out, where the branch is.
    private let fan: Locked<State>
    /// Where its bytes go, if it knows.
    private let target = Locked<Descriptor?>(nil)
    private let hasTarget = Atomic<Bool>(false)
    private let staysAttached = Atomic<Bool>(false)

    init(_ branch: Branch, _ hand: consuming SplicePipe, of fan: Locked<State>) {
      (self.branch, self.fan) = (branch, fan)
      self.hand = Locked(hand)
    }

    deinit {
      detach()
      branch.leave()
    }

    /// What has come of it so far.
    public var counters: Counters { branch.monitor.withState { $0.counters } }

    /// Where in the stream it was attached: bytes that had been handed out before.
    public var start: UInt64 { branch.start }

    /// Where in the stream it is: behind what it has accepted, or has missed.
    package var position: UInt64 { branch.monitor.withState { $0.accepted } }

    /// The bytes it accepted, by the way they travelled.
    public var deliveredBy: PathCounts { branch.monitor.withState { counts($0, teed: $0.teed) } }

    /// What was accepted, for a meter. Which of it others get too, the fan-out decides when it hands bytes
    /// out, and not when they go by.
    fileprivate var accepted: PathCounts { branch.monitor.withState { counts($0, teed: 0) } }

    private func counts(_ state: borrowing BranchState, teed: UInt64) -> PathCounts {
      let copied = state.pipe.deliveredBy.copy + copiedByHand.load(ordering: .relaxed)
      return PathCounts(state.counters.delivered, copied: copied, teed: teed)
    }

    /// Why it was let go, if it was.
    public var reason: DetachReason? { branch.monitor.withState { $0.reason } }

    /// Makes what waits for it and by it need, so that none fails later for want of a descriptor.
    /// C: `eventfd`
    package func reserve() throws(Errno) {
      // The fan-out waits for those only that all wait for.
      try branch.monitor.reserve(for: branch.mustBeWaitedFor ? [.reader, .writer] : [.reader])
    }

    /// Whether a flow of it that fails is followed by another.
    var comesAgain: Bool {
      get { staysAttached.load(ordering: .relaxed) }
      set { staysAttached.store(newValue, ordering: .relaxed) }
    }

    func own(_ descriptor: consuming Descriptor) {
      var own: Descriptor? = consume descriptor
      target.withLock { swap(&$0, &own) }
      hasTarget.store(true, ordering: .relaxed)
    }

    /// Whether it is the first to serve it.
    var isWithoutTarget: Bool { !hasTarget.load(ordering: .relaxed) }

    /// What it was attached to; none once a flow has it.
    func takeTarget() -> Descriptor? {
      var taken: Descriptor?
      target.withLock { swap(&$0, &taken) }
      return taken
    }

    /// A flow of it has failed: it is no longer waited for, unless it comes again.
    func hasFailed(_ error: SpliceError) {
      if comesAgain { return }
      branch.letGo(.failed(error))
      fan.withLock { $0.forget([branch]) }
      branch.endRecording()
    }

    /// Takes it out of the fan-out, at once: it gets what was handed to it, and then the end.
    public func detach() {
      // In this order: a fan-out that is woken finds it gone.
      fan.withLock { $0.forget([branch]) }
      branch.detach()
    }
  }
}

// MARK: - To a descriptor

extension FanOut.Sink {
  /// Hands its bytes to a descriptor until the stream ends. A file is written on a thread of its own, so that
  /// a disk that stalls holds up no other sink.
  ///
  /// - Returns: How many bytes the descriptor accepted.
  /// - Throws: ``SpliceError``. The sink is let go then, unless it was attached to come again: what was not
  ///   accepted goes first in the next call. When the sink was let go, ENOBUFS as ``SpliceError/pipe(_:)``,
  ///   or EBADMSG when the stream was declared bad; the source's error when the sink read the source by
  ///   itself and could not get it all; ``reason`` has the details.
  @discardableResult
  public func drain(
    to descriptor: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    guard descriptor.kind.isDisk else {
      return try await run(&flow, to: descriptor, options, until: deadline, waitingOn: readiness)
    }
    let thread: EpollExecutor
    do throws(Errno) { thread = try EpollExecutor(name: "splice-file") } catch {
      hasFailed(.pipe(error))
      throw .pipe(error)
    }
    defer { thread.shutdown() }
    return try await withTaskExecutorPreference(thread) { () throws(SpliceError) in
      try await run(&flow, to: descriptor, options, until: deadline, waitingOn: thread)
    }
  }

  /// What it takes to be served with one descriptor, until ``Branch/end()``.
  private func begin(_ flow: borrowing Flow, to descriptor: borrowing Descriptor, _ options: FlowOptions) {
    makeHand(for: descriptor, options)
    carried.store(hand.withLock { $0.count }, ordering: .relaxed)
    // What the fan-out hands over by itself is not counted by a flow, nor seen.
    if descriptor.neverWaits, !isApart(descriptor), flow.isPlain { branch.begin(to: descriptor) }
  }

  /// Whether a call on a descriptor may wait, whatever that says: for a disk, or for the reader of a pipe
  /// that holds its lock, as one does that splices to something slow. Such a call is made while nothing is
  /// locked that others need. Who is waited for by all anyway needs no such care.
  private func isApart(_ descriptor: borrowing Descriptor) -> Bool {
    descriptor.kind.isDisk || descriptor.kind == .pipe && !branch.mustBeWaitedFor
  }

  /// What goes apart passes through a pipe of the kernel, if one is to be had.
  private func makeHand(for descriptor: borrowing Descriptor, _ options: FlowOptions) {
    guard isApart(descriptor) || options.via == .splice, branch.storage == .kernel else { return }
    hand.withLock { hand in
      guard hand.storage == .memory, hand.count == 0, let pipe = try? SplicePipe(capacity: 256 << 10) else {
        return
      }
      hand = pipe
    }
  }

  private func run(
    _ flow: inout Flow, to descriptor: borrowing Descriptor, _ options: FlowOptions,
    until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness
  ) async throws(SpliceError) -> UInt64 {
    let before = branch.delivered
    do throws(SpliceError) {
      try await serve(&flow, descriptor, options, until: deadline, waitingOn: readiness)
    } catch {
      hasFailed(error)
      throw error
    }
    return branch.delivered - before
  }

  private func serve(
    _ flow: inout Flow, _ descriptor: borrowing Descriptor, _ options: FlowOptions,
    until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness
  ) async throws(SpliceError) {
    begin(flow, to: descriptor, options)
    defer { branch.end() }
    try await drive(
      watching: descriptor, as: .sink, of: AtEnd(branch.monitor, .reader), options, until: deadline,
      waitingOn: readiness
    ) { waits, ready, thread throws(SpliceError) in
      // A file has this thread for itself.
      try step(
        &flow, ready, to: descriptor, waits, on: descriptor.kind.isDisk ? .mayWaitForDisk : thread)
    }
  }

  /// Hands its bytes to a descriptor until the stream ends, while the calling thread waits.
  @discardableResult
  public func drain(
    to descriptor: borrowing Descriptor, upTo limit: UInt64 = .max, options: FlowOptions = FlowOptions(),
    watchedBy taps: (any FlowWatcher)? = nil, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(limit: limit, options: options, taps: taps)
    let before = branch.delivered
    begin(flow, to: descriptor, options)
    defer { branch.end() }
    do throws(SpliceError) {
      var drive = try ThreadDrive(
        polling: descriptor, as: .sink, of: AtEnd(branch.monitor, .reader), options, waitingIn: poll)
      defer { descriptor.flowEnded(drive.hasFinished) }
      while try drive.wait(
        for: try step(&flow, drive.ready, to: descriptor, drive.waits, on: .mayWaitForDisk)
      ) {}
    } catch {
      hasFailed(error)
      throw error
    }
    return branch.delivered - before
  }

  private func step(
    _ flow: inout Flow, _ ready: ReadySet, to descriptor: borrowing Descriptor, _ waits: Waits,
    on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    branch.monitor.withState { $0.work() }
    var waits = waits
    switch reason {
    // Nothing of a stream that was declared bad is handed on.
    case .invalid?: throw branch.error
    // What left the private pipe before that goes out, and nothing else is waited for.
    case .some:
      if hand.withLock({ $0.count }) == 0 { throw branch.error }
      waits.alarm = .none
    case nil: break
    }
    if ready.contains(.first) { flow.wake(count: 0) }
    if ready.contains(.failed) { flow.doubtSink() }
    let mark = flow.mark(accepted)
    defer { flow.count(accepted, since: mark) }
    return try flow.run(
      holding: 0, waits, unconfirmed: descriptor.unconfirmed,
      give: { flow, limit, _ throws(SpliceError) in
        try give(&flow, upTo: limit, to: descriptor, on: thread)
      },
      take: { flow, count throws(SpliceError) in try take(&flow, count, to: descriptor) })
  }

  /// What is there for the descriptor. Bytes of the private pipe go out of it straight away where that does
  /// not wait: while it is written to a disk, the fan-out could put nothing in.
  private func give(
    _ flow: inout Flow, upTo limit: Int, to descriptor: borrowing Descriptor, on thread: Flow.Thread
  ) throws(SpliceError) -> Flow.Outcome {
    let isApart = isApart(descriptor)
    let held = hand.withLock { $0.count }
    if held > 0 {
      let carried = carried.load(ordering: .relaxed)
      if carried == 0 { return .moved(.bytes(0), held: held) }
      let count = min(carried, held, limit)
      self.carried.store(carried - count, ordering: .relaxed)
      return .moved(.bytes(count), held: count)
    }
    switch branch.portion {
    case .pipe where !isApart && reason == nil:
      let count = branch.monitor.withState { min($0.pipe.count, limit) }
      return .moved(.bytes(count), held: count)
    case .recording(let file, let offset, _)
    where flow.mayWait(for: file.descriptor, of: file, at: offset, on: thread):
      return .halt(.disk)
    case .pipe, .recording, .nothing:
      let taken = try hand.withLock { hand throws(SpliceError) in try take(into: &hand, upTo: limit) }
      if case .bytes(let count) = taken { return .moved(taken, held: count) }
    }
    switch branch.monitor.look(as: .reader) {
    case .closed: return .moved(.endOfFile, held: 0)
    case .invalid: throw branch.error
    case .waiting, .ready:
      try flow.mustNotHaveHungUp(descriptor)
      branch.monitor.withState { $0.becomeIdle() }
      return .halt(.waitEnd(branch.monitor, .reader))
    }
  }

  private func take(
    _ flow: inout Flow, _ count: Int, to descriptor: borrowing Descriptor
  ) throws(SpliceError) -> Flow.Outcome {
    let (via, taps) = (flow.path(small: false), flow.taps)
    do throws(Errno) {
      var moved = try hand.withLock { hand throws(Errno) in
        guard hand.count > 0 else { return nil as Transfer? }
        defer { copiedByHand.store(hand.deliveredBy.copy, ordering: .relaxed) }
        return try hand.hand(to: descriptor, upTo: count, via: via, watchedBy: taps)
      }
      if case .bytes(let count)? = moved { branch.accepted(count) }
      // Of the private pipe, it may be in the recording by now.
      if moved == nil {
        moved = try branch.drain(to: descriptor, upTo: count, via: via, watchedBy: taps)
      }
      guard let transfer = moved else { return .moved(.bytes(0), held: 0) }
      return .moved(transfer, held: count - transfer.count)
    } catch { throw .sink(error) }
  }

  private func take(into pipe: inout SplicePipe, upTo limit: Int = .max) throws(SpliceError) -> Transfer {
    do throws(Errno) { return try branch.take(into: &pipe, upTo: limit) } catch { throw .pipe(error) }
  }
}

// MARK: - To Swift code

extension FanOut.Sink: SpliceSource {
  /// Moves what is there into a pipe, for flows to any ``SpliceSink``; waits for it.
  public func fill(_ pipe: inout SplicePipe, upTo limit: Int) async throws -> Transfer {
    while true {
      let (transfer, isWaiting) = try move(into: &pipe, upTo: limit)
      if !isWaiting { return transfer }
      do throws(SpliceError) { try await branch.monitor.wait(as: .reader, until: nil, on: .epoll) } catch {
        hasFailed(error)
        throw error
      }
    }
  }

  /// Moves some of its bytes into a pipe, while the calling thread waits for them. `.wouldBlock` means that
  /// the pipe has no more room.
  public func fill(
    _ pipe: inout SplicePipe, upTo limit: Int = .max, waitingIn poll: BlockingWait
  ) throws(SpliceError) -> Transfer {
    while true {
      let (transfer, isWaiting) = try move(into: &pipe, upTo: limit)
      if !isWaiting { return transfer }
      do throws(SpliceError) { try branch.monitor.wait(as: .reader, waitingIn: poll) } catch {
        hasFailed(error)
        throw error
      }
    }
  }

  /// What can be moved at once, and whether there is something to wait for.
  private func move(
    into pipe: inout SplicePipe, upTo limit: Int
  ) throws(SpliceError) -> (Transfer, isWaiting: Bool) {
    if reason == .invalid { throw branch.error }
    let transfer = try hand.withLock { hand throws(SpliceError) in
      if hand.count == 0 { return try take(into: &pipe, upTo: limit) }
      do throws(Errno) { return try hand.splice(to: &pipe, upTo: limit) } catch { throw .pipe(error) }
    }
    if case .bytes(let count) = transfer { branch.accepted(count) }
    guard transfer == .wouldBlock, pipe.hasRoom else { return (transfer, false) }
    switch branch.monitor.look(as: .reader) {
    case .invalid: throw branch.error
    case .closed: return (.endOfFile, false)
    case .waiting, .ready: return (.wouldBlock, true)
    }
  }
}
