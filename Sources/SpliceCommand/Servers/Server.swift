// What all servers of the command have in common: their flags, their signals, their logs.

#if Services
import ArgumentParser
import CoreMetrics
import Logging
import ServiceLifecycle
import Splice
import SpliceLogging
import SpliceServices
import SystemPackage

/// Flags of all servers.
struct ServingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Address of the admin pages: /healthz, /readyz, /metrics and a live page at /.",
      valueName: "host:port"),
    transform: ServerAddress.init(listening:))
  var admin: ServerAddress?

  @Option(
    help: ArgumentHelp(
      "Minimum level of log lines: trace, debug, info, notice, warning, error or critical.",
      valueName: "level"))
  var logLevel = Logger.Level.info

  @Option(help: ArgumentHelp("Format of a log line: text, logfmt or json.", valueName: "format"))
  var logFormat = LogFormat.text

  func validate() throws {
    if admin == .inherited { throw ValidationError("--admin is a PORT, HOST:PORT or unix:PATH") }
  }

  /// How many descriptors the admin pages need.
  var descriptors: Int { admin == nil ? 0 : AdminServer.descriptors }

  /// The log of a server, and of what it counts.
  fileprivate func logWriter(_ metrics: any MetricsFactory) throws(Errno) -> LogWriter {
    try LogWriter(metrics, to: .descriptor(.standardError), noting: logFormat.note(of: "splice.log"))
  }

  /// Logs without waiting for the reader of the log.
  fileprivate func logger(_ label: String, to writer: LogWriter) -> Logger {
    var logger = Logger(label: label) { SpliceLogHandler(label: $0, logFormat, to: writer.records) }
    logger.logLevel = logLevel
    return logger
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}

/// What a server of the command stands on: who stops it, what it counts, where it says what happens.
struct Server {
  let stop: StopFlag?
  let metrics: PrometheusMetrics
  let log: LogWriter
  let logger: Logger
  private let options: ServingOptions

  /// Makes that for a server of this name, has `body` make the server and run it, and answers with the status
  /// to exit with. What speaks against it is said at once, and not by the log's thread, which is given a
  /// moment at the end.
  static func run(
    _ name: String, _ options: ServingOptions, help: [String: String], _ body: (Server) throws -> Status
  ) -> Status {
    let stop = Signals.begin()
    // Before anybody can know of it: until then SIGHUP ends it.
    _ = Signals.beginHangUp()
    let metrics = PrometheusMetrics(help: help.merging(LogWriter.metricsHelp) { one, _ in one })
    let log: LogWriter
    do throws(Errno) { log = try options.logWriter(metrics) } catch {
      StandardDescriptors.complain("splice: \(name): log: \(error)")
      return .noSink
    }
    defer { log.finish() }
    let server = Server(
      stop: stop, metrics: metrics, log: log, logger: options.logger("splice.\(name)", to: log),
      options: options)
    do { return try body(server) } catch {
      if let status = Signals.status { return status }
      let failure = error as? Failure
      StandardDescriptors.complain(failure?.message ?? "splice: \(error)")
      return failure?.status ?? ((error as? ServerAddress.Unusable)?.isMisuse == true ? .usage : .noSink)
    }
  }

  /// Listens for the admin pages, if that is asked for.
  func adminServer(of server: any Administered) throws(ServerAddress.Unusable) -> AdminServer? {
    guard let admin = options.admin else { return nil }
    return try AdminServer(on: admin, of: server, metrics, stoppedBy: stop)
  }

  /// Says where it listens.
  func announce(_ places: [String], _ admin: AdminServer?) {
    for place in places + (admin?.addresses ?? []).map({ "\($0): admin" }) { log.write("splice: \(place)") }
  }

  /// Serves until a signal comes or one of them has nothing more to do. The admin pages end last.
  func run(_ service: any Service, _ admin: AdminServer?, reopen: () -> Void) -> Status {
    Self.run((admin.map { [$0] } ?? []) + [service], stoppedBy: stop, logger, reopen: reopen)
  }

  /// The first signal lets what runs finish, and the last of the services first; the same one again ends the
  /// process. SIGHUP has files opened anew, also while what runs finishes.
  private static func run(
    _ services: [any Service], stoppedBy stop: StopFlag?, _ logger: Logger, reopen: () -> Void
  ) -> Status {
    let group = ServiceGroup(
      configuration: ServiceGroupConfiguration(
        // One that has nothing more to do ends the others.
        services: services.map {
          .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup)
        },
        logger: logger))
    let end: Event
    do throws(Errno) { end = try Event() } catch {
      logger.critical("cannot serve", metadata: ["reason": "\(error)"])
      return .noSink
    }
    let outcome = Locked(Status.done)
    Task {
      do { try await group.run() } catch let errno as Errno {
        // No descriptors or no memory for the threads.
        logger.critical("cannot serve", metadata: ["reason": "\(errno)"])
        outcome.withLock { $0 = .noSink }
      } catch {
        logger.critical("server failed", metadata: ["error": "\(error)"])
        outcome.withLock { $0 = .bug }
      }
      end.signal()
    }
    let hangUp = Signals.beginHangUp()
    func wait(orStoppedBy stop: StopFlag?) {
      while !end.isSignalled, stop?.isStopped != true {
        try? BlockingWait(orStoppedBy: stop).wait(
          forAnyOf: [end, hangUp].compactMap { $0?.interest }, atMost: nil)
        guard let hangUp, hangUp.isSignalled else { continue }
        hangUp.drain()
        reopen()
      }
    }
    ServiceManager.notify("READY=1")
    wait(orStoppedBy: stop)
    ServiceManager.notify("STOPPING=1")
    if stop?.isStopped == true { Task { await group.triggerGracefulShutdown() } }
    wait(orStoppedBy: nil)
    return outcome.withLock { $0 }
  }
}

// MARK: - Addresses as words

extension ServerAddress {
  /// `PORT` is on 127.0.0.1.
  init(listening word: String) throws {
    if word == "systemd" {
      self = .inherited
      return
    }
    try self.init(parsing: word) { port in .tcp(host: "127.0.0.1", port: port) }
  }

  /// A host has to be named.
  init(upstream word: String) throws {
    try self.init(parsing: word) { _ in throw ValidationError("'\(word)': write HOST:PORT") }
  }

  private init(parsing word: String, _ alone: (UInt16) throws -> Self) throws {
    if word.hasPrefix("unix:") {
      let path = String(word.dropFirst(5))
      if path.isEmpty { throw ValidationError("'\(word)': a path is missing") }
      self = .unix(path)
      return
    }
    let (host, port) = try Endpoint.hostAndPort(word, in: word)
    self = try host.map { .tcp(host: $0, port: port) } ?? alone(port)
  }
}
#endif
