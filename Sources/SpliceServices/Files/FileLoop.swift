// The event loop on which clients are answered, and what they share there.

import NIOCore
import Splice

/// What the connections of one event loop share.
final class FileLoop {
  let server: FileServing
  let executor: EpollExecutor
  let cache: FileCache
  var connections: [ObjectIdentifier: FileConnection] = [:]
  private var date: (second: NIODeadline, now: HTTPDate, text: String)?
  private(set) var isDraining = false

  init(_ server: FileServing, _ executor: EpollExecutor) {
    (self.server, self.executor) = (server, executor)
    cache = FileCache(atMost: server.cachedFiles)
  }

  /// The date, which is written once a second.
  func dated(_ now: NIODeadline) -> (now: HTTPDate, text: String) {
    if let date, now < date.second { return (date.now, date.text) }
    let date = HTTPDate(seconds: Int64(CalendarTime.now.seconds))
    self.date = (now + .milliseconds(250), date, "\(date)")
    return (date, "\(date)")
  }

  /// Once a second: those whose time is over go, and files that nobody asks for are closed.
  func sweep(_ now: NIODeadline) {
    cache.forgetIdle(now)
    for connection in Array(connections.values) { connection.look(now) }
  }

  /// No more requests are taken; those that wait for one leave.
  func drain() {
    isDraining = true
    for connection in Array(connections.values) { connection.drain() }
  }
}
