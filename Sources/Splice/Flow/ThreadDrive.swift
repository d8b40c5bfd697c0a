// Drives what runs until it comes to a halt, on a thread that waits in between.

import SystemPackage

/// A drive on the calling thread. Each step goes on as far as it can and says why it halted:
///
///     var drive = ThreadDrive(from: source, to: sink, waitingIn: poll)
///     while try drive.wait(for: try step(&flow, drive.ready, drive.waits)) {}
///
/// As long as there is one, a lost reader is an EPIPE and no signal.
struct ThreadDrive: ~Copyable {
  let waits: Waits
  private let poll: BlockingWait
  /// What else ends a wait: a sink that fails.
  private var alarms: BlockingWait.Alarms
  /// What was waited for; at the beginning, and after a turn is over, everything may be ready.
  private(set) var ready = ReadySet.everything
  private(set) var hasFinished = false
  private let mask = Syscall.blockSIGPIPE()

  init(
    _ waits: Waits = Waits(), alarms: BlockingWait.Alarms = BlockingWait.Alarms(),
    waitingIn poll: BlockingWait
  ) {
    (self.waits, self.alarms, self.poll) = (waits, alarms, poll)
  }

  /// For a flow between two descriptors. A sink whose end is known already is not followed: that it hangs up
  /// is nothing new.
  init(
    from source: borrowing Descriptor, to sink: borrowing Descriptor, followingSink: Bool = true,
    closing: Bool, waitingIn poll: BlockingWait
  ) {
    self.init(
      Waits(source: RegistrationKey(polling: source.raw), sink: RegistrationKey(polling: sink.raw)),
      alarms: followingSink ? BlockingWait.Alarms(following: sink, closing: closing) : BlockingWait.Alarms(),
      waitingIn: poll)
  }

  /// For a flow with one descriptor. `alarm` is readable for good once nothing more is to be done at the end
  /// it has, whatever the descriptor does.
  init(
    polling descriptor: borrowing Descriptor, as direction: Descriptor.Direction,
    alarm: FileDescriptor? = nil, of at: AtEnd? = nil, _ options: FlowOptions, waitingIn poll: BlockingWait
  ) throws(SpliceError) {
    var alarm = alarm
    if alarm == nil { alarm = try at?.alarm() }
    // A pipe alone waits for nothing but its sink.
    let isFollowed = direction == .sink && at != nil
    self.init(
      Waits(
        RegistrationKey(polling: descriptor.raw), as: direction,
        alarm: alarm.map { RegistrationKey(polling: $0) } ?? .none),
      alarms: isFollowed
        ? BlockingWait.Alarms(following: descriptor, closing: options.whenSinkCloses == .end)
        : BlockingWait.Alarms(),
      waitingIn: poll)
  }

  deinit { Syscall.unblockSIGPIPE(mask) }

  /// Waits for what a step has halted for; false when it has nothing more to do.  C: `ppoll`
  mutating func wait(
    for halt: StepResult, orFailureOf others: BlockingWait.Alarms? = nil
  ) throws(SpliceError) -> Bool {
    // A failure that was none would be told again and again.
    if ready.contains(.failed) { alarms = BlockingWait.Alarms() }
    switch halt {
    case .finished, .code:
      hasFinished = true
      return false
    default: break
    }
    // Before the wait, which a stop that has been given would not end again.
    try poll.check()
    let alarms = others ?? alarms
    switch halt {
    case .wait(let wait):
      do throws(Errno) {
        ready = try poll.wait(for: wait.first, or: wait.second, alarms: alarms, until: wait.deadline?.instant)
      } catch { throw .pipe(error) }
    case .waitEnd(let pipe, let side, let time): ready = try wait(for: pipe, side, until: time, alarms)
    case .code, .yield, .disk, .finished: ready = .everything
    }
    return true
  }

  private func wait(
    for pipe: any Waitable, _ side: Side, until time: Moment?, _ alarms: BlockingWait.Alarms
  ) throws(SpliceError) -> ReadySet {
    let end = [poll.deadline, time?.instant].compactMap { $0 }.min()
    do throws(SpliceError) {
      return try pipe.wait(
        as: side, alarms: alarms, waitingIn: BlockingWait(until: end, orStoppedBy: poll.stop)
      ).union(.first)
    } catch {
      // Whose time it was is for the caller to say.
      if error != .timedOut { throw error }
      try poll.check()
      return .everything
    }
  }
}
