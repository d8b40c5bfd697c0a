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

  /// Those that one event loop keeps open.
  static let cachedFiles = 64
  /// A connection that is sent more than its socket takes has a second descriptor, and a pipe.
  private static let perConnection = 4

  var cachedFiles: Int { Self.cachedFiles }

  init(
    _ directory: ServedDirectory, _ options: FileServer.Options, _ metrics: any MetricsFactory,
    _ logger: Logger
  ) throws(Errno) {
    (self.directory, self.options) = (directory, options)
    index = Array(options.index.utf8)
    fileLines = options.cacheControl.map { "\r\ncache-control: \($0)" } ?? ""
    let threads = options.threads * (16 + Self.cachedFiles * 4)
    let free = try Syscall.descriptorLimit() - options.otherDescriptors - threads - 16
    let most = max(1, min(free / Self.perConnection, 1 << 20))
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
    sent.add(count)
    answers[UInt(status.code / 100)]?.increment()
    bytes.increment(by: count)
    guard let note = options.accessLog else { return }
    note(
      AccessRecord(
        client: client, method: head.map { "\($0.method)" } ?? "-", target: head?.uri ?? "-",
        version: head.map { "HTTP/\($0.version.major).\($0.version.minor)" } ?? "-",
        status: UInt(status.code),
        bytes: count, referer: head?.headers["referer"].first, agent: head?.headers["user-agent"].first,
        duration: duration))
  }

  /// A client has left before its answer was whole, or a file was cut under it.
  func gaveUp(_ head: HTTPRequestHead?) { broken.increment() }

  /// What each of these metrics is, by name.
  static let metricsHelp = [
    "splice_serve_requests_total": "Requests that were answered, by the class of their status.",
    "splice_serve_sent_bytes_total": "Bytes of content that sockets accepted.",
    "splice_serve_broken_answers_total":
      "Answers that did not arrive whole: the client left, or the file was cut.",
  ].merging(Serving.metricsHelp(of: "serve")) { one, _ in one }
}
