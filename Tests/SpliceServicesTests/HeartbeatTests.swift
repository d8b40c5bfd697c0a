// A thread of a relay that does not turn is told to whoever asks whether the process is healthy.

import Logging
import NIOHTTP1
import Splice
import Synchronization
import TestSupport
import Testing

@testable import SpliceServices

/// Blocks the thread that logs, until it is opened.
private final class Gate: Sendable {
  private let isShut = Mutex(true)
  func open() { isShut.withLock { $0 = false } }
  func pass() {
    let end = ContinuousClock.now + .seconds(60)
    while isShut.withLock({ $0 }), .now < end { BlockingWait().pause(for: .milliseconds(2)) }
  }
}

private struct BlockingLog: LogHandler {
  let gate: Gate
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  init(_ gate: Gate) { self.gate = gate }
  func log(event: LogEvent) { if event.message == "connection" { gate.pass() } }
}

@Suite(.mayBlock) struct HeartbeatTests {
  @Test func `a thread that does not turn is named, and forgiven when it turns again`() async throws {
    let gate = Gate()
    var options = Relay.Options()
    options.threads = 2
    options.longestTurn = .milliseconds(2500)
    let relay = try Relay(
      on: [.tcp(host: "127.0.0.1", port: 0)], to: [.tcp(host: "127.0.0.1", port: 1)], options: options,
      metrics: PrometheusMetrics(), logger: Logger(label: "test") { _ in BlockingLog(gate) })
    let site = AdminSite(of: relay, PrometheusMetrics())
    func health() -> AdminSite.Answer {
      site.answer(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/healthz"))
    }
    func until(_ condition: (AdminSite.Answer) -> Bool) throws {
      let end = ContinuousClock.now + .seconds(30)
      while true {
        let answer = health()
        if condition(answer) { return }
        try #require(.now < end, "\(answer)")
        BlockingWait().pause(for: .milliseconds(5))
      }
    }
    let running = Task(executorPreference: MayBlock.threads) { try await relay.run() }
    defer {
      gate.open()
      running.cancel()
    }
    try until { $0.status == .ok && $0.body == "ok\n" }
    let port = try #require(
      relay.addresses.first.flatMap { if case .tcp(_, let port) = $0 { port } else { nil } })
    // Refused by the upstream, and said so in the log by the thread that took it.
    let client = try SocketAddress.connect(
      toOneOf: try SocketAddress.resolve(host: "127.0.0.1", port: port), waitingIn: .poll)
    try until { answer in
      answer.status == .serviceUnavailable
        && ["0", "1"].contains { answer.body.hasPrefix("thread splice-relay-\($0) has not turned for ") }
    }
    gate.open()
    try until { $0.status == .ok }
    try client.close()
    running.cancel()
    _ = await running.result
    // One that has ended is not missed.
    #expect(relay.unhealthy == nil)
  }
}
