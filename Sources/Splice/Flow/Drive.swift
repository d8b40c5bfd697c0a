// Drives what runs until it comes to a halt, and waits in between: once for tasks, once for threads.
//
// A flow, a `Duplex` and a flow of one end are driven alike. Each is a step that goes on as far as it can and says why it halted; it is told what
// was waited for. At the beginning it is told that everything may be ready: whatever ended an earlier drive, an edge
// may have been used up by it.

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
typealias Step<Failure: Error> = (Woken, Flow.Thread) throws(Failure) -> Halt

private let everything: Woken = [.first, .second]

/// Drives to the end, in a task. `failing` says how what stops a drive from outside is told. Where the task's own thread waits,
/// that goes on with the steps while the task sleeps.
func drive<Failure: Error>(
  until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness,
  failing: (SpliceError) -> Failure, _ step: Step<Failure>
) async throws(Failure) {
  let end = deadline.map(Moment.init)
  var woken = everything
  var halted: Result<Halt, Failure>?
  while true {
    var halt: Halt
    if let outcome = halted.take() { halt = try outcome.get() } else { halt = try step(woken, .mustNotWait) }
    if case .disk = halt {
      halt = try await DiskThreads.run { () throws(Failure) in try step([], .mayWaitForDisk) }
    }
    woken = []
    switch halt {
    case .finished: return
    case .rest: await Task.yield()
    case .disk: break
    case .wait(let first, let second, let time):
      do throws(Errno) {
        woken = try await readiness.wait(for: Wait(first, second, until: earlier(time, end))) { woken in
          let outcome: Result<Halt, Failure>
          do throws(Failure) { outcome = .success(try step(woken, .mustNotWait)) } catch {
            outcome = .failure(error)
          }
          if case .success(.wait(let first, let second, let time)) = outcome {
            return Wait(first, second, until: earlier(time, end))
          }
          halted = outcome
          return nil
        }
      } catch { throw failing(.pipe(error)) }
    case .waitEnd(let pipe, let side):
      do throws(SpliceError) { try await pipe.wait(as: side, until: deadline, on: readiness) } catch {
        throw failing(error)
      }
      woken = .first
    }
    if halted != nil { continue }
    if Task.isCancelled { throw failing(.cancelled) }
    if let deadline, deadline <= .now { throw failing(.timedOut) }
  }
}

private func earlier(_ one: Moment?, _ other: Moment?) -> Moment? {
  one.map { min($0, other ?? $0) } ?? other
}

/// The same while the calling thread waits.
func drive<Failure: Error>(
  waitingIn poll: Poll, failing: (SpliceError) -> Failure, _ step: Step<Failure>
) throws(Failure) {
  try Syscall.withoutSIGPIPE { () throws(Failure) in
    var woken = everything
    while true {
      let halt = try step(woken, .mayWaitForDisk)
      if case .finished = halt { return }
      // Before the wait, which a stop that has been given would not end again.
      do throws(SpliceError) { try poll.check() } catch { throw failing(error) }
      woken = []
      switch halt {
      case .wait(let first, let second, let time):
        do throws(Errno) { woken = try poll.wait(for: first, or: second, until: time?.instant) } catch {
          throw failing(.pipe(error))
        }
      case .waitEnd(let pipe, let side):
        do throws(SpliceError) { try pipe.wait(as: side, waitingIn: poll) } catch { throw failing(error) }
        woken = .first
      case .rest, .disk, .finished: break
      }
    }
  }
}
