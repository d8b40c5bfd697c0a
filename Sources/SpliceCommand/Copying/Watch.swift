// Watches what moves bytes: between two slices of its work it draws, answers SIGUSR1, and sees whether
// anything still moves.
//
// The movers can be gone on with whatever ended them, so a slice is simply a call with a deadline.

import Splice

/// How far a mover is.
struct Progress {
  /// Why it ended; nil when it has done its work.
  let error: SpliceError?
  /// Bytes the sink has.
  let moved: UInt64
  /// Bytes taken and not yet accepted: so it is the sink that keeps us waiting.
  var held = 0
  /// Changes when a byte has moved anywhere, where that does not show in the others, also from a socket to
  /// its peer.
  var marks: [UInt64] = []
  /// How full the buffer is, where there is one: from 0 to 1.
  var fill: Double?
  /// Failures that have not been told yet.
  var news: [Failure] = []
  /// How each of several sinks fares.
  var sinks: [SinkLine] = []
}

/// Runs a mover in slices.
struct Watch {
  var display: Display
  let idle: Span?
  /// How long the rate limit itself may let nothing move, which is not idle.
  private let pause: Duration

  /// How watching ended.
  enum Outcome {
    case finished
    case failed(SpliceError)
    /// For too long without a byte, for want of the source or of the sink.
    case idle(Descriptor.Direction)
  }

  init(_ display: Display, idle: Span?, pause: Duration) {
    self.display = display
    self.idle = idle
    self.pause = pause
  }

  /// Runs `go` until it has done its work, fails or stands still.
  mutating func run(stoppedBy stop: StopFlag?, _ go: (BlockingWait) -> Progress) -> Outcome {
    Signals.beginAnswers()
    defer {
      Signals.endAnswers()
      display.end()
    }
    var seen: (moved: UInt64, held: Int, marks: [UInt64]) = (0, 0, [])
    var seenAt = ContinuousClock.now
    while true {
      // An eighth: a byte that came just after a look is noticed that much late at the most.
      let look = idle.map { ContinuousClock.now + max($0.duration / 8, .milliseconds(5)) }
      let progress = go(BlockingWait(until: [display.next, look].compactMap { $0 }.min(), orStoppedBy: stop))
      display.moved = progress.moved
      display.fill = progress.fill
      display.sinks = progress.sinks
      for failure in progress.news { display.say(failure.message) }
      switch progress.error {
      case nil: return .finished
      case .timedOut: break
      case .cancelled?:
        switch Signals.reasonOfStop() {
        case .question: display.answer()
        case .nudge: break
        case .end: return .failed(.cancelled)
        }
      case let error?: return .failed(error)
      }
      if (progress.moved, progress.held, progress.marks) != seen {
        (seen, seenAt) = ((progress.moved, progress.held, progress.marks), .now)
      } else if let idle, .now - seenAt >= idle.duration + pause {
        return .idle(progress.held > 0 ? .sink : .source)
      }
      display.drawIfDue()
    }
  }
}
