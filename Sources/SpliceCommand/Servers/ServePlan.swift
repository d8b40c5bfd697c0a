// A directory, planned and served: open it, listen, say so, serve until a signal comes.

#if Services
import Logging
import Splice
import SpliceServices
import SystemPackage

/// What is to be done.
struct ServePlan: Sendable {
  let directory: FilePath
  let listen: [ServerAddress]
  let options: FileServer.Options
  let accessLog: AccessLog?
  let serving: ServingOptions

  /// Where requests are noted, and how.
  struct AccessLog: Sendable {
    let path: FilePath
    /// Standard output.
    let isStandardOutput: Bool
    let format: AccessFormat
  }

  /// Does it, and answers with the status to exit with.
  func run() -> Status {
    let help = FileServer.metricsHelp.merging(PageWriter.Options.metricsHelp(of: Self.accessLog)) { one, _ in
      one
    }
    return Server.run("serve", serving, help: help) { server in
      var options = options
      let log = try accessLog.map { try openLog($0, server) }
      defer { log?.finish() }
      if let log, let format = accessLog?.format {
        options.accessLog = { log.write(format.line(of: $0)) }
      }
      let files = try FileServer(
        of: directory, on: listen, options: options, metrics: server.metrics, logger: server.logger,
        stoppedBy: server.stop)
      let admin = try server.adminServer(of: files)
      server.announce(files.addresses.map { "http://\($0)/: listening" }, admin)
      return server.run(files, admin) { log?.records.reopen() }
    }
  }

  /// Of its metrics.
  private static let accessLog = "splice_access_log"

  private func openLog(_ log: AccessLog, _ server: Server) throws(Failure) -> LogWriter {
    let (format, path, logger) = (log.format, log.path.string.escaped, server.logger)
    do throws(Errno) {
      return try LogWriter(
        server.metrics, as: Self.accessLog,
        to: log.isStandardOutput ? .descriptor(.standardOutput) : .file(log.path),
        noting: { Array("\(format.line(dropped: $0))\n".utf8) },
        refused: { logger.error("access log", metadata: ["path": "\(path)", "reason": "\($0)"]) })
    } catch {
      throw Failure(log.path.string.escaped, "open", error, .noSink)
    }
  }
}

/// How a request is noted.
enum AccessFormat: String, Sendable, CaseIterable {
  case combined, json

  func line(of record: AccessRecord) -> String {
    switch self {
    case .combined: return record.combined
    case .json:
      var fields = [
        ("time", JSON.quoted(CalendarTime.now.utc)), ("client", JSON.quoted(record.client)),
        ("method", JSON.quoted(record.method)), ("target", JSON.quoted(record.target)),
        ("version", JSON.quoted(record.version)), ("status", "\(record.status)"),
        ("bytes", "\(record.bytes)"),
        ("seconds", "\((record.duration / .microseconds(1)).rounded() / 1e6)"),
      ]
      if let referer = record.referer { fields.append(("referer", JSON.quoted(referer))) }
      if let agent = record.agent { fields.append(("agent", JSON.quoted(agent))) }
      return JSON.object(fields)
    }
  }

  /// In place of lines that nobody took fast enough.
  func line(dropped count: Int) -> String {
    switch self {
    case .combined: "# \(count) lines were dropped"
    case .json: JSON.object([("dropped", "\(count)")])
    }
  }
}
#endif
