// A logger whose events are lines in files.

import Foundation
import Logging
import MetricsTestKit
import Splice
import TestSupport
import Testing

@testable import SpliceLogging

@Suite(.mayBlock) struct SpliceLogHandlerTests {
  @Test func `events are lines, in all that were asked for`() throws {
    let (one, other) = (try TemporaryFile(), try TemporaryFile())
    let writers = (try PageWriter(appendingTo: one.path), try PageWriter(appendingTo: other.path))
    var logger = Logger(label: "app") { SpliceLogHandler(label: $0, .logfmt, to: writers.0, writers.1) }
    logger.logLevel = .notice
    logger[metadataKey: "request"] = "7"
    logger.info("not this")
    logger.notice("this", metadata: ["path": "/a b"])
    logger.logLevel = .info
    logger.info("\(String(repeating: "long ", count: 1000))")
    #expect(writers.0.close() && writers.1.close())
    let lines = String(decoding: try one.contents, as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 2)
    #expect(
      lines[0].hasSuffix(
        " level=notice logger=app source=SpliceLoggingTests msg=this path=\"/a b\" request=7"))
    #expect(lines[1].contains("msg=\"" + String(repeating: "long ", count: 1000) + "\" request=7"))
    #expect(try other.contents == one.contents)
  }

  @Test func `a provider is asked each time`() throws {
    let file = try TemporaryFile()
    let writer = try PageWriter(appendingTo: file.path)
    let provider = Logger.MetadataProvider { ["trace": "\(Trace.id)"] }
    let logger = Logger(label: "app") {
      SpliceLogHandler(label: $0, .logfmt, to: writer, metadataProvider: provider)
    }
    for id in 1...3 { Trace.$id.withValue(id) { logger.info("m") } }
    #expect(writer.close(for: .seconds(60)))
    let found = String(decoding: try file.contents, as: UTF8.self).matches(of: /trace=(\d)/).map {
      String($0.1)
    }
    #expect(found == ["1", "2", "3"])
  }

  private enum Trace {
    @TaskLocal static var id = 0
  }

  @Test func `a backend of metrics hears of every line`() throws {
    let metrics = TestMetrics()
    var options = PageWriter.Options()
    options.capacity = 4096
    options.measure(as: "app", in: metrics)
    var ends = try Ends.pipe(size: 4096)
    let writer = try PageWriter(Descriptor(owning: ends.giveNear()), options: options)
    let logger = Logger(label: "app") { SpliceLogHandler(label: $0, to: writer) }
    for _ in 0..<1000 { logger.info("a line of some length") }
    #expect(!writer.flush(for: .milliseconds(300)))
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    #expect(writer.close(for: .seconds(60)))
    let lines = Int64(String(decoding: try reader.join(), as: UTF8.self).split(separator: "\n").count)
    let written = try metrics.expectCounter("app_written_total").values.reduce(0, +)
    #expect(written == lines && written == Int64(writer.counts.written))
    let dropped = try metrics.expectCounter("app_dropped_total").values.reduce(0, +)
    #expect(dropped == 1000 - lines && dropped > 0)
    // Those that waited for the reader.
    #expect(try #require(metrics.expectRecorder("app_lag_seconds").values.max()) > 0.2)
    #expect(PageWriter.Options.metricsHelp(of: "app").keys.allSatisfy { $0.hasPrefix("app_") })
  }

  @Test(arguments: LogFormat.allCases)
  func `a log says what is missing in it`(_ format: LogFormat) throws {
    var options = PageWriter.Options()
    (options.capacity, options.noting) = (4096, format.note())
    var ends = try Ends.pipe()
    let writer = try PageWriter(Descriptor(owning: ends.giveNear()), options: options)
    let logger = Logger(label: "app") { SpliceLogHandler(label: $0, format, to: writer) }
    repeat {
      for _ in 0..<200 { logger.info("a line of some length") }
    } while writer.flush(for: .milliseconds(50))
    let far = ends.giveFar()
    let reader = onThread { try Descriptor(owning: far).readToEnd() }
    #expect(writer.close(for: .seconds(60)))
    let text = String(decoding: try reader.join(), as: UTF8.self)
    let told = text.split(separator: "\n").filter { $0.contains(" dropped") }
      .compactMap { $0.firstMatch(of: /(\d+) log lines? (?:was|were) dropped/).map { Int($0.1)! } }
    #expect(!told.isEmpty && told.reduce(0, +) == Int(writer.counts.dropped))
  }
}
