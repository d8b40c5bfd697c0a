// SIGINT, SIGTERM, SIGHUP and SIGQUIT end what runs in good order, and a second one ends it at once. SIGUSR1
// asks how far it is, and SIGHUP has servers open their files anew.

import CSplice
import Splice
import SpliceProcess
import Synchronization
import SystemPackage

/// What the signals of this process have said.
enum Signals {
  // These exist before a handler is installed, so that a handler only stores and writes.
  private static let stop = try? StopFlag()
  private static let caught = Atomic<CInt>(0)
  private static let asked = Atomic<Bool>(false)
  private static let hasAnswer = Atomic<Bool>(false)
  /// Whether something runs that looks up when it is nudged, and whether something has happened that nobody
  /// has looked at. The handlers do not touch this lock.
  private static let nudges = Locked((mayStop: false, isPending: false))
  private static let pipeWasIgnored = Syscall.isIgnored(signal: SIGPIPE)

  /// Has SIGUSR1 end nothing from now on: for the first thing that a process does. Opens nothing, as
  /// descriptors that were closed are not known yet.
  static func beginToBeAsked() {
    // The handler looks at nothing but these two until somebody can answer.
    asked.store(false, ordering: .relaxed)
    hasAnswer.store(false, ordering: .relaxed)
    _ = try? Syscall.handle(signal: SIGUSR1) { _ in
      Signals.asked.store(true, ordering: .sequentiallyConsistent)
      if Signals.hasAnswer.load(ordering: .sequentiallyConsistent) { Signals.stop?.stop() }
    }
  }

  /// Begins to listen, the first time, and gives what flows are to be stopped by.
  static func begin() -> StopFlag? { begun }

  private static let begun = install()

  private static func install() -> StopFlag? {
    _ = pipeWasIgnored
    // A file that may not grow further is an errno like others.
    Syscall.ignore(signal: SIGXFSZ)
    guard let stop else { return nil }
    ChildTable.begin()
    // A signal that cannot be handled ends the process, as it would have anyway.
    // (The runtime's handler for SIGQUIT would print a backtrace and go on.)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
      _ = try? Syscall.handle(signal: signal) { number in
        // The second one ends the process at once, whichever it is, and its programs are told.
        if Signals.caught.exchange(number, ordering: .relaxed) != 0 {
          ChildTable.end()
          Syscall.die(by: number)
        }
        Signals.stop?.stop()
      }
    }
    return stop
  }

  private static let hangUp = try? Event()

  /// Begins to listen for SIGHUP, and gives what is signalled by it.
  static func beginHangUp() -> Event? {
    guard let hangUp else { return nil }
    _ = try? Syscall.handle(signal: SIGHUP) { _ in Signals.hangUp?.signal() }
    return hangUp
  }

  /// From here on runs what can say how far it is, and looks up when it is nudged. What was asked before, or
  /// has happened before, stops it at once.
  static func beginAnswers() {
    // In this order, as the handler's is the other one: one of both sees the other.
    hasAnswer.store(true, ordering: .sequentiallyConsistent)
    nudges.withLock { nudges in
      nudges.mayStop = true
      if nudges.isPending || asked.load(ordering: .sequentiallyConsistent) { stop?.stop() }
    }
  }

  static func endAnswers() {
    nudges.withLock { $0.mayStop = false }
    hasAnswer.store(false, ordering: .relaxed)
    _ = reasonOfStop()
  }

  /// Has what runs look up, from another thread: something has happened that it has not waited for.
  static func nudge() {
    nudges.withLock { nudges in
      nudges.isPending = true
      if nudges.mayStop { stop?.stop() }
    }
  }

  /// Why what ran was stopped.
  enum ReasonOfStop {
    /// To be asked how far it is.
    case question
    /// To look what has happened.
    case nudge
    /// By a signal that is for good.
    case end
  }

  /// Why what ran was stopped, after which it may go on, unless it is for good.
  static func reasonOfStop() -> ReasonOfStop {
    // In this order: what is said after this stops it again. A nudge that is under way has come to its end.
    nudges.withLock { nudges in
      nudges.isPending = false
      if status == nil { stop?.reset() }
    }
    let isAsked = asked.exchange(false, ordering: .relaxed)
    guard status == nil else {
      // One that came just now may have been taken back.
      stop?.stop()
      return .end
    }
    return isAsked ? .question : .nudge
  }

  /// The signal that ends us, once one was caught.
  static var ending: CInt? {
    let number = caught.load(ordering: .relaxed)
    return number == 0 ? nil : number
  }

  /// The status to end with, once a signal was caught.
  static var status: Status? {
    switch ending {
    case SIGINT: .interrupted
    case SIGTERM: .terminated
    case SIGHUP: .hungUp
    case SIGQUIT: .quit
    default: nil
    }
  }

  /// Whether a lost reader ends us without a word.
  static var diesOfLostReader: Bool { !pipeWasIgnored }

  /// Ends the process: with a status, or by the signal that its parent expects to see. A lost reader
  /// ends it as it ends `cat`, by SIGPIPE.
  static func exit(_ status: Status) -> Never {
    switch status {
    case .hungUp: Syscall.die(by: SIGHUP)
    case .quit: Syscall.die(by: SIGQUIT)
    case .lostReader: Syscall.die(by: SIGPIPE)
    default: break
    }
    CSplice.exit(status.rawValue)
  }
}
