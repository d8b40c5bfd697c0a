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

/// Drives to the end, in a task. `failing` says how what stops a drive from outside is told.
func drive<Failure: Error>(
  until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness,
  failing: (SpliceError) -> Failure, _ step: Step<Failure>
) async throws(Failure) {
  var woken = everything
  while true {
    var halt = try step(woken, .mustNotWait)
    if case .disk = halt {
      halt = try await DiskThreads.run { () throws(Failure) in try step([], .mayWaitForDisk) }
    }
    woken = []
    switch halt {
    case .finished: return
    case .rest: await Task.yield()
    case .disk: break
    case .wait(let first, let second, let time):
      let last = time.map { min($0.instant, deadline ?? $0.instant) } ?? deadline
      do throws(Errno) { woken = try await readiness.wait(for: first, or: second, until: last) } catch {
        throw failing(.pipe(error))
      }
    case .waitEnd(let pipe, let side):
      do throws(SpliceError) { try await pipe.wait(as: side, until: deadline, on: readiness) } catch {
        throw failing(error)
      }
      woken = .first
    }
    if Task.isCancelled { throw failing(.cancelled) }
    if let deadline, deadline <= .now { throw failing(.timedOut) }
  }
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
