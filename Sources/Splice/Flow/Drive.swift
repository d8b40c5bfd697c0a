// Drives what runs until it comes to a halt, and waits in between: once for tasks, once for threads.
//
// A flow, a `Duplex` and a flow of one end are driven alike. Each is a step that goes on as far as it can and says why it halted; it is told what
// was waited for. At the beginning, after a rest and after a turn at a disk it is told that everything may be ready: an edge that came
// meanwhile was told to nobody, or was used up by whatever ended an earlier drive.

import SystemPackage

/// Why a step came to an end.
enum Halt: Sendable {
  /// Nothing can be done before one of these, or this time.
  case wait(Interest?, or: Interest? = nil, until: Moment? = nil)
  /// Nothing can be done before the other end of a pipe has done something.
  case waitEnd(any Waitable, Side)
  /// A turn is over.
  case rest
  /// The next hop may wait for a disk.
  case disk
  case finished
}

/// Goes on as far as it can, knowing what may be ready, on a thread that may or may not wait for a disk.
typealias Step = (Woken, Flow.Thread) throws(SpliceError) -> Halt

private let everything: Woken = [.first, .second]

/// Drives to the end, in a task. Where the task's own thread waits, that goes on with the steps while the task sleeps.
///
/// A connection that is idle waits in here: what is seldom waited for is in functions of its own, so that it is no part of the frame.
func drive(
  until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness, _ step: Step
) async throws(SpliceError) {
  let end = deadline.map(Moment.init)
  var woken = everything
  var halted: Result<Halt, SpliceError>?
  while true {
    var halt: Halt
    if let outcome = halted.take() { halt = try outcome.get() } else { halt = try step(woken, .mustNotWait) }
    if case .disk = halt {
      halt = try await onDiskThread(step)
    }
    woken = everything
    switch halt {
    case .finished: return
    case .rest: await Task.yield()
    case .disk: break
    case .wait(let first, let second, let time):
      let wait = Wait(first, second, until: earlier(time, end))
      do throws(Errno) {
        guard let executor = readiness.epollExecutor, executor === EpollExecutor.current else {
          woken = try await elsewhere(wait, readiness)
          break
        }
        woken = try await executor.wait(for: wait) { woken in
          let outcome: Result<Halt, SpliceError>
          do throws(SpliceError) { outcome = .success(try step(woken, .mustNotWait)) } catch {
            outcome = .failure(error)
          }
          if case .success(.wait(let first, let second, let time)) = outcome {
            return Wait(first, second, until: earlier(time, end))
          }
          halted = outcome
          return nil
        }
      } catch { throw .pipe(error) }
    case .waitEnd(let pipe, let side):
      try await otherEnd(of: pipe, side, end, readiness)
      woken = .first
    }
    if halted != nil { continue }
    if Task.isCancelled { throw .cancelled }
    if let end, end <= .now { throw .timedOut }
  }
}

@inline(never)
private func onDiskThread(_ step: Step) async throws(SpliceError) -> Halt {
  try await DiskThreads.shared.run { () throws(SpliceError) in try step(everything, .mayWaitForDisk) }
}

@inline(never)
private func elsewhere(_ wait: Wait, _ readiness: some Readiness) async throws(Errno) -> Woken {
  if let executor = readiness.epollExecutor { return try await executor.wait(for: wait) }
  return try await readiness.wait(for: wait.first, or: wait.second, until: wait.deadline?.instant)
}

@inline(never)
private func otherEnd(
  of pipe: any Waitable, _ side: Side, _ end: Moment?, _ readiness: some Readiness
) async throws(SpliceError) {
  try await pipe.wait(as: side, until: end?.instant, on: readiness)
}

private func earlier(_ one: Moment?, _ other: Moment?) -> Moment? {
  one.map { min($0, other ?? $0) } ?? other
}

/// The same while the calling thread waits, also for a failure of those with an alarm.
func drive(
  alarms: @autoclosure () -> Poll.Alarms = Poll.Alarms(), waitingIn poll: Poll, _ step: Step
) throws(SpliceError) {
  try Syscall.withoutSIGPIPE { () throws(SpliceError) in
    var woken = everything
    while true {
      let halt = try step(woken, .mayWaitForDisk)
      if case .finished = halt { return }
      // Before the wait, which a stop that has been given would not end again.
      try poll.check()
      woken = everything
      switch halt {
      case .wait(let first, let second, let time):
        do throws(Errno) {
          woken = try poll.wait(for: first, or: second, alarms: alarms(), until: time?.instant)
        } catch {
          throw .pipe(error)
        }
      case .waitEnd(let pipe, let side):
        try pipe.wait(as: side, waitingIn: poll)
        woken = .first
      case .rest, .disk, .finished: break
      }
    }
  }
}
