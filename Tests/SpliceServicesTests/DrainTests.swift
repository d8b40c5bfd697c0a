// How often the log says that a relay drains.

import CoreMetrics
import Logging
import Splice
import Testing

@testable import SpliceServices

/// Keeps what is logged.
private struct KeptLog: LogHandler {
  let lines: Locked<[String]>
  var logLevel = Logger.Level.trace
  var metadata: Logger.Metadata = [:]
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }
  init(_ lines: Locked<[String]>) { self.lines = lines }
  func log(event: LogEvent) { lines.withLock { $0.append("\(event.message)") } }
}

@Suite struct DrainTests {
  @Test func `the drain is told of again only after a while`() throws {
    let lines = Locked<[String]>([])
    let shared = try Relay.Shared(
      [(.tcp(host: "127.0.0.1", port: 1), places: [])], Relay.Options(), listeners: 1,
      NOOPMetricsHandler.instance, Logger(label: "test") { _ in KeptLog(lines) })
    shared.serving.sayDraining(after: .zero)
    #expect(lines.withLock { $0 }.isEmpty)
    shared.serving.drain()
    shared.serving.sayDraining(after: .seconds(3600))
    #expect(lines.withLock { $0 } == ["draining"])
    shared.serving.sayDraining(after: .zero)
    #expect(lines.withLock { $0 } == ["draining", "draining"])
  }
}
