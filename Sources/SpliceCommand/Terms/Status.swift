// What the command ends with.

import Splice

/// The exit statuses, which scripts depend on.
enum Status: Int32, Sendable {
  case done = 0
  case usage = 64
  case noSource = 66
  case unavailable = 69
  case bug = 70
  case noSink = 73
  case failedUnderWay = 74
  case hungUp = 129
  case interrupted = 130
  case quit = 131
  case lostReader = 141
  case terminated = 143

  static func couldNotOpen(_ side: Descriptor.Direction) -> Status { side == .source ? .noSource : .noSink }
}
