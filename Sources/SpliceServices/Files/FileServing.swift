// What the threads of a file server share.

import CoreMetrics
import Logging
import NIOHTTP1
import Splice
import struct SystemPackage.Errno

/// The directory, the clients, and what is counted.
final class FileServing: Sendable {
  let options: FileServer.Options
  let directory: ServedDirectory
  let index: [UInt8]
  /// Lines of the head of every file.
  let fileLines: String
  let serving: Serving
  let requests = AtomicCounter(0)
  let sent = AtomicCounter(0)
  private let answers: [UInt: Counter]
  private let bytes, broken: Counter
  private let clients = Locked<[String: Int]>([:])

  /// Those that one event loop keeps open, each in up to four forms.
  let cachedFiles: Int
  private static let mostCached = 64
  private static let forms = 4
  /// A connection that is sent more than its socket takes has a second descriptor.
  private static let perConnection = 2
  /// A thread with its event loop; what is lent to answers under way.
  private static let perThread = 16
  private static let pipes = 64

  init(
    _ directory: ServedDirectory, _ options: FileServer.Options, _ metrics: any MetricsFactory,
    _ logger: Logger
  ) throws(Errno) {
    (self.directory, self.options) = (directory, options)
    index = Array(options.index.utf8)
    fileLines = options.cacheControl.map { "\r\ncache-control: \($0)" } ?? ""
    let threads = max(1, options.threads)
    let free = try Syscall.descriptorLimit() - options.otherDescriptors - threads * Self.perThread
    // A quarter of them, at most.
    cachedFiles = max(1, min(Self.mostCached, free / 4 / threads / Self.forms))
    let left = free - threads * cachedFiles * Self.forms - min(Self.pipes, free / 8)
    let most = max(1, min(left / Self.perConnection, 1 << 20))
    serving = try Serving(
      atMost: min(options.maxConnections ?? most, 1 << 30), drainTimeout: options.drainTimeout, metrics,
      of: "serve", logger)
    func counter(_ name: String, _ dimensions: [(String, String)] = []) -> Counter {
      Counter(label: "splice_serve_\(name)", dimensions: dimensions, factory: metrics)
    }
    answers = Dictionary(
      uniqueKeysWithValues: (1...5).map { ($0, counter("requests_total", [("status", "\($0)xx")])) })
    bytes = counter("sent_bytes_total")
    broken = counter("broken_answers_total")
  }

  /// Whether one more connection of this client is served; each that is has to leave.
  func enter(_ client: String) -> Bool {
    guard let most = options.maxConnectionsPerClient else { return true }
    return clients.withLock { clients in
      guard clients[client, default: 0] < most else { return false }
      clients[client, default: 0] += 1
      return true
    }
  }

  func leave(_ client: String) {
    if options.maxConnectionsPerClient == nil { return }
    clients.withLock { clients in
      let left = clients[client, default: 1] - 1
      clients[client] = left > 0 ? left : nil
    }
  }

  /// An answer has been accepted by its socket, whole.
  func answered(
    _ head: HTTPRequestHead?, _ status: HTTPResponseStatus, _ count: UInt64, _ client: String,
    _ duration: Duration
  ) {
    requests.add(1)
    answers[UInt(status.code / 100)]?.increment()
    note(head, status, count, client, duration)
  }

  /// A client has left before its answer was whole, or a file was cut under it: so much was accepted.
  func broke(
    _ head: HTTPRequestHead?, _ status: HTTPResponseStatus?, _ count: UInt64, _ client: String,
    _ duration: Duration
  ) {
    broken.increment()
    // As others note one that has left before it was answered.
    note(head, status ?? .custom(code: 499, reasonPhrase: ""), count, client, duration)
  }

  private func note(
    _ head: HTTPRequestHead?, _ status: HTTPResponseStatus, _ count: UInt64, _ client: String,
    _ duration: Duration
  ) {
    sent.add(count)
    bytes.increment(by: count)
    options.accessLog?(
      AccessRecord(
        client: client, method: head?.method.rawValue ?? "-", target: head?.uri ?? "-",
        version: head.map { "HTTP/\($0.version.major).\($0.version.minor)" } ?? "-",
        status: UInt(status.code),
        bytes: count, referer: head?.headers["referer"].first, agent: head?.headers["user-agent"].first,
        duration: duration))
  }

  /// What each of these metrics is, by name.
  static let metricsHelp = [
    "splice_serve_requests_total": "Requests that were answered, by the class of their status.",
    "splice_serve_sent_bytes_total": "Bytes of content that sockets accepted.",
    "splice_serve_broken_answers_total":
      "Answers that did not arrive whole: the client left, or the file was cut.",
  ].merging(Serving.metricsHelp(of: "serve")) { one, _ in one }
}
