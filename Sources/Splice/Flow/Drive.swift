// Drives what runs until it comes to a halt, and waits in between: in a task. `ThreadDrive` is the one for
// threads.
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

extension ReadySet {
  static let everything: ReadySet = [.first, .second]
}

/// Drives to the end, in a task. Where the task's own thread waits, that goes on with the steps while the
/// task sleeps.
func drive(
  until deadline: Moment?, waitingOn readiness: any Readiness, watching ends: EndWatch? = nil, _ step: Step
) async throws(SpliceError) {
  let failure = await withoutActuallyEscaping(step) { step -> SpliceError? in
    let drive = TaskDrive.begin(step, until: deadline, waitingOn: readiness, watching: ends)
    while let halt = drive.goOn() {
      switch halt {
      case .yield: await drive.makeWay()
      case .disk: await drive.goOnOnDiskThread()
      case .descriptors: await drive.sleep()
      case .elsewhere: await drive.sleepElsewhere()
      case .end: await drive.sleepForEnd()
      }
    }
    return drive.failure
  }
  if let failure { throw failure }
}

/// A drive in a task. An object, and each wait a function of its own: a connection that is idle sleeps in their
/// frames, and the memory of a task is given out by the kilobyte.
private final class TaskDrive: ReadyHandler {
  private let step: Step
  private let deadline: Moment?
  private let ends: EndWatch?
  private let readiness: any Readiness
  private let executor: EpollExecutor?
  private var ready = ReadySet.everything
  /// What came of the last step, until it is over.
  private var outcome: StepResult?
  private(set) var failure: SpliceError?

  private init(
    _ step: @escaping Step, _ deadline: Moment?, _ readiness: any Readiness, _ ends: EndWatch?
  ) {
    self.step = step
    self.deadline = deadline
    self.readiness = readiness
    self.ends = ends
    executor = readiness.epollExecutor
  }

  @inline(never)
  static func begin(
    _ step: @escaping Step, until deadline: Moment?, waitingOn readiness: any Readiness,
    watching ends: EndWatch?
  ) -> TaskDrive {
    TaskDrive(step, deadline, readiness, ends)
  }

  /// What the task is to do before it goes on.
  enum Halt {
    case yield, disk, descriptors, elsewhere, end
  }

  /// Takes a step, unless one was taken while the task slept, and says what it halted for; nil at the end.
  @inline(never)
  func goOn() -> Halt? {
    if outcome == nil, failure == nil { take(ready, .mustNotWait) }
    switch outcome {
    case .finished, .code, nil: return nil
    case .yield: return .yield
    case .disk: return .disk
    case .wait: return executor == nil || executor !== EpollExecutor.current ? .elsewhere : .descriptors
    case .waitEnd: return .end
    }
  }

  private func take(_ ready: ReadySet, _ thread: Flow.Thread) {
    do throws(SpliceError) { outcome = try step(ready, thread) } catch { fail(error) }
  }

  private func fail(_ error: SpliceError) {
    outcome = nil
    failure = error
  }

  /// What it halted for is over.
  private func isOver(_ ready: ReadySet = .everything) {
    self.ready = ready
    outcome = nil
    if Task.isCancelled { return fail(.cancelled) }
    if let deadline, deadline <= .now { fail(.timedOut) }
  }

  @inline(never)
  func makeWay() async {
    if let executor, executor === EpollExecutor.current, executor.isFree() { return isOver() }
    await Task.yield()
    isOver()
  }

  @inline(never)
  func goOnOnDiskThread() async {
    await DiskThreads.shared.run { take(.everything, .mayWaitForDisk) }
    if case .disk = outcome { isOver() }
  }

  /// What is waited for while the task sleeps; nil when the task has to do something.
  override var wait: Wait? {
    if case .wait(let wait) = outcome { wait.ending(by: deadline) } else { nil }
  }

  override func goOn(_ ready: ReadySet) -> Wait? {
    take(ready, .mustNotWait)
    return wait
  }

  @inline(never)
  func sleep() async {
    guard let executor else { return }
    do throws(Errno) { hasSlept(try await executor.wait(goingOn: self)) } catch { fail(.pipe(error)) }
  }

  /// Unless this went on without the task, and came to a halt.
  private func hasSlept(_ ready: ReadySet) { if case .wait = outcome { isOver(ready) } }

  @inline(never)
  func sleepElsewhere() async {
    guard let wait else { return }
    do throws(Errno) { isOver(try await elsewhere(wait, readiness)) } catch { fail(.pipe(error)) }
  }

  @inline(never)
  func sleepForEnd() async {
    guard case .waitEnd(let pipe, let side, let time) = outcome else { return }
    let end = time.map { min($0, deadline ?? $0) } ?? deadline
    do throws(SpliceError) {
      if let ends {
        isOver(try await ends.wait(for: pipe, side, until: end, on: readiness))
      } else {
        try await otherEnd(of: pipe, side, end, readiness)
        isOver(.first)
      }
    } catch { fail(error) }
  }
}

@inline(never)
func elsewhere(_ wait: Wait, _ readiness: some Readiness) async throws(Errno) -> ReadySet {
  if let executor = readiness.epollExecutor { return try await executor.wait(for: wait) }
  return try await readiness.wait(for: wait.first, or: wait.second, until: wait.deadline?.instant)
}

func otherEnd(
  of pipe: any Waitable, _ side: Side, _ end: Moment?, _ readiness: any Readiness
) async throws(SpliceError) {
  do throws(SpliceError) { try await pipe.wait(as: side, until: end?.instant, on: readiness) } catch {
    // Whose time it was is for the caller to say.
    if error != .timedOut { throw error }
  }
}
