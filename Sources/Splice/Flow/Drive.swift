// Drives what runs until it comes to a halt, and waits in between: once for tasks, once for threads.
//
// A flow, a `Duplex` and a flow of one end are driven alike. Each is a step that goes on as far as it can and
// says why it halted; it is told what was waited for. At the beginning, after a rest and after a turn at a
// disk it is told that everything may be ready: an edge that came meanwhile was told to nobody, or was used
// up by whatever ended an earlier drive.

import SystemPackage

/// Why a step came to an end.
enum StepResult: Sendable {
  /// Nothing can be done before one of these descriptors, or a time.
  case wait(Wait)
  /// Nothing can be done before the other end of a pipe has done something, or a time.
  case waitEnd(any Waitable, Side, until: Moment? = nil)
  /// Swift code is to give or to take bytes: ``Flow/turn`` says which.
  case code
  /// A turn is over.
  case yield
  /// The next hop may wait for a disk.
  case disk
  case finished
}

/// Goes on as far as it can, knowing what may be ready, on a thread that may or may not wait for a disk.
typealias Step = (ReadySet, Flow.Thread) throws(SpliceError) -> StepResult

private let everything: ReadySet = [.first, .second]

/// Drives to the end, in a task. Where the task's own thread waits, that goes on with the steps while the
/// task sleeps.
///
/// A connection that is idle waits in here: what is seldom waited for is in functions of its own, so that it
/// is no part of the frame.
func drive(
  until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness,
  watching ends: EndWatch? = nil,
  _ step: Step
) async throws(SpliceError) {
  let end = deadline.map(Moment.init)
  var ready = everything
  var halted: Result<StepResult, SpliceError>?
  while true {
    var halt: StepResult
    if let outcome = halted.take() { halt = try outcome.get() } else { halt = try step(ready, .mustNotWait) }
    if case .disk = halt {
      halt = try await onDiskThread(step)
    }
    ready = everything
    switch halt {
    case .finished, .code: return
    case .yield: await Task.yield()
    case .disk: break
    case .wait(let asked):
      let wait = asked.ending(by: end)
      do throws(Errno) {
        guard let executor = readiness.epollExecutor, executor === EpollExecutor.current else {
          ready = try await elsewhere(wait, readiness)
          break
        }
        ready = try await executor.wait(for: wait) { ready in
          let outcome: Result<StepResult, SpliceError>
          do throws(SpliceError) { outcome = .success(try step(ready, .mustNotWait)) } catch {
            outcome = .failure(error)
          }
          if case .success(.wait(let wait)) = outcome { return wait.ending(by: end) }
          halted = outcome
          return nil
        }
      } catch { throw .pipe(error) }
    case .waitEnd(let pipe, let side, let time):
      let first = time.map { min($0, end ?? $0) } ?? end
      if let ends {
        ready = try await ends.wait(for: pipe, side, until: first, on: readiness)
      } else {
        try await otherEnd(of: pipe, side, first, readiness)
        ready = .first
      }
    }
    if halted != nil { continue }
    if Task.isCancelled { throw .cancelled }
    if let end, end <= .now { throw .timedOut }
  }
}

@inline(never)
private func onDiskThread(_ step: Step) async throws(SpliceError) -> StepResult {
  try await DiskThreads.shared.run { () throws(SpliceError) in try step(everything, .mayWaitForDisk) }
}

@inline(never)
func elsewhere(_ wait: Wait, _ readiness: some Readiness) async throws(Errno) -> ReadySet {
  if let executor = readiness.epollExecutor { return try await executor.wait(for: wait) }
  return try await readiness.wait(for: wait.first, or: wait.second, until: wait.deadline?.instant)
}

@inline(never)
func otherEnd(
  of pipe: any Waitable, _ side: Side, _ end: Moment?, _ readiness: some Readiness
) async throws(SpliceError) {
  do throws(SpliceError) { try await pipe.wait(as: side, until: end?.instant, on: readiness) } catch {
    // Whose time it was is for the caller to say.
    if error != .timedOut { throw error }
  }
}

/// Drives to the end while the calling thread waits, also for a failure of those with an alarm.
func drive(
  alarms: @autoclosure () -> BlockingWait.Alarms = BlockingWait.Alarms(), waitingIn poll: BlockingWait,
  _ step: Step
) throws(SpliceError) {
  try Syscall.withoutSIGPIPE { () throws(SpliceError) in
    var ready = everything
    while true {
      let halt = try step(ready, .mayWaitForDisk)
      switch halt {
      case .finished, .code: return
      default: break
      }
      // Before the wait, which a stop that has been given would not end again.
      try poll.check()
      ready = everything
      switch halt {
      case .wait(let wait):
        do throws(Errno) {
          ready = try poll.wait(
            for: wait.first, or: wait.second, alarms: alarms(), until: wait.deadline?.instant)
        } catch {
          throw .pipe(error)
        }
      case .waitEnd(let pipe, let side, let time):
        let ends = [poll.deadline, time?.instant].compactMap { $0 }.min()
        do throws(SpliceError) {
          ready = try pipe.wait(
            as: side, alarms: alarms(), waitingIn: BlockingWait(until: ends, orStoppedBy: poll.stop)
          ).union(.first)
        } catch {
          if error != .timedOut { throw error }
          try poll.check()
        }
      case .code, .yield, .disk, .finished: break
      }
    }
  }
}
