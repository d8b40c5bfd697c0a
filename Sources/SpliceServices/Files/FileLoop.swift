// The event loop on which clients are answered, and what they share there.

import NIOCore
import Splice
import struct SystemPackage.Errno

/// What the connections of one event loop share.
final class FileLoop {
  let server: FileServing
  let executor: EpollExecutor
  let cache: FileCache
  var connections: [ObjectIdentifier: FileConnection] = [:]
  /// Who waits for what a path leads to.
  private var seekers: [[UInt8]: [Seeker]] = [:]
  private var waiting = 0
  /// More than that wait for a disk that will not answer them either.
  private static let mostWaiting = 10_000
  private var swept: NIODeadline?
  private var date: (second: NIODeadline, now: HTTPDate, text: String)?
  private(set) var isDraining = false

  private struct Seeker {
    let since: NIODeadline
    let body: (Result<Sought, Errno>) -> Void
  }

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
    // Those that have piled up are one: sockets have to be read in between.
    if let swept, now - swept < .milliseconds(500) { return }
    swept = now
    cache.forgetIdle(now)
    for connection in Array(connections.values) { connection.look(now) }
  }

  /// Looks at what a path leads to, where a disk may be waited for: once for all who ask meanwhile; of what is
  /// not there, once more for those who have come a second later.
  func seek(
    _ path: [UInt8], _ target: RequestTarget, lists: Bool, on eventLoop: any EventLoop,
    _ body: @escaping (Result<Sought, Errno>) -> Void
  ) {
    // In place of the file that a list is shown for want of.
    let key = lists ? path + [UInt8(ascii: "/")] : path
    let (isSought, now) = (seekers[key] != nil, NIODeadline.now())
    if waiting >= Self.mostWaiting { return body(.failure(.resourceBusy)) }
    waiting += 1
    seekers[key, default: []].append(Seeker(since: now, body: body))
    if isSought { return }
    let bound = NIOLoopBound((self, key), eventLoop: eventLoop)
    let directory = server.directory
    Task(executorPreference: Sought.threads) {
      let result = Sought.seek(path, in: directory, target, lists: lists)
      bound.eventLoop.execute {
        let (loop, key) = bound.value
        loop.cache.keep(result, path, looked: now)
        let seekers = loop.seekers.removeValue(forKey: key) ?? []
        loop.waiting -= seekers.count
        for seeker in seekers {
          if case .failure = result, seeker.since - now >= FileCache.patience {
            loop.seek(path, target, lists: lists, on: bound.eventLoop, seeker.body)
            continue
          }
          seeker.body(result)
        }
      }
    }
  }

  /// No more requests are taken; those that wait for one leave.
  func drain() {
    isDraining = true
    for connection in Array(connections.values) { connection.drain() }
  }
}
