// SIGINT, SIGTERM, SIGHUP and SIGQUIT end what runs in good order, and a second one ends it at once. SIGUSR1 asks how far it is,
// and SIGHUP has servers open their files anew.

import Glibc
import Splice
import Synchronization
import SystemPackage

/// What the signals of this process have said.
enum Signals {
  // These exist before a handler is installed, so that a handler only stores and writes.
  private static let stop = try? Stop()
  private static let caught = Atomic<CInt>(0)
  private static let asked = Atomic<Bool>(false)
  private static let hasAnswer = Atomic<Bool>(false)
  private static let pipeWasIgnored = Syscall.isIgnored(signal: SIGPIPE)

  /// Has SIGUSR1 end nothing from now on: for the first thing that a process does. Opens nothing, as descriptors that were closed are
  /// not known yet.
  static func beginToBeAsked() {
    // The handler looks at nothing but these two until somebody can answer.
    asked.store(false, ordering: .relaxed)
    hasAnswer.store(false, ordering: .relaxed)
    _ = try? Syscall.handle(signal: SIGUSR1) { _ in
      Signals.asked.store(true, ordering: .relaxed)
      if Signals.hasAnswer.load(ordering: .relaxed) { Signals.stop?.stop() }
    }
  }

  /// Begins to listen, the first time, and gives what flows are to be stopped by.
  static func begin() -> Stop? { begun }

  private static let begun = install()

  private static func install() -> Stop? {
    _ = pipeWasIgnored
    // A file that may not grow further is an errno like others.
    Syscall.ignore(signal: SIGXFSZ)
    guard let stop else { return nil }
    // A signal that cannot be handled ends the process, as it would have anyway.
    // (The runtime's handler for SIGQUIT would print a backtrace and go on.)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
      _ = try? Syscall.handleOnce(signal: signal) { number in
        // The second one ends the process at once, whichever it is.
        if Signals.caught.exchange(number, ordering: .relaxed) != 0 { Syscall.die(by: number) }
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

  /// Runs what can say how far it is; at other times the question waits.
  static func answering<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    hasAnswer.store(true, ordering: .relaxed)
    defer {
      hasAnswer.store(false, ordering: .relaxed)
      _ = wasOnlyAsked()
    }
    return try body()
  }

  /// Whether what was stopped was only to be asked how far it is, and may go on.
  static func wasOnlyAsked() -> Bool {
    guard asked.exchange(false, ordering: .relaxed) else { return false }
    if status == nil { stop?.reset() }
    // The other signals are for good, one that came just now too.
    return status == nil
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

  /// Ends the process: with a status, or by the signal that whoever started it expects to see. A lost reader ends it as it ends
  /// `cat`, by SIGPIPE.
  static func exit(_ status: Status) -> Never {
    switch status {
    case .hungUp: Syscall.die(by: SIGHUP)
    case .quit: Syscall.die(by: SIGQUIT)
    case .lostReader: Syscall.die(by: SIGPIPE)
    default: break
    }
    Glibc.exit(status.rawValue)
  }
}
