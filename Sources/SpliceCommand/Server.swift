// What all servers of the command have in common: their flags, their signals, their logs.

#if Services
import ArgumentParser
import CoreMetrics
import Logging
import ServiceLifecycle
import Splice
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

  @Option(help: ArgumentHelp("Format of a log line: text or json.", valueName: "format"))
  var logFormat = LogFormat.text

  func validate() throws {
    if admin == .inherited { throw ValidationError("--admin is a PORT, HOST:PORT or unix:PATH") }
  }

  /// The log of a server, and of what it counts.
  func logWriter(_ metrics: any MetricsFactory) throws(Errno) -> LogWriter {
    try LogWriter(metrics) { [logFormat] dropped in
      logFormat.line(
        .warning, "splice.log", source: "SpliceCommand",
        "\(dropped) log \(dropped == 1 ? "line was" : "lines were") dropped")
    }
  }

  /// Logs without waiting for the reader of the log.
  func logger(_ label: String, to writer: LogWriter) -> Logger {
    var logger = Logger(label: label) { LineLog(label: $0, logFormat, to: writer) }
    logger.logLevel = logLevel
    return logger
  }

  /// How many descriptors the admin pages need.
  var descriptors: Int { admin == nil ? 0 : AdminServer.descriptors }

  /// Listens, if that is asked for.
  func adminServer(
    of server: any Administered, _ metrics: PrometheusMetrics, stoppedBy stop: StopFlag?
  ) throws(ServerAddress.Unusable) -> AdminServer? {
    guard let admin else { return nil }
    return try AdminServer(on: admin, of: server, metrics, stoppedBy: stop)
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// Services that run until a signal comes.
enum Server {
  /// The first signal lets what runs finish, and the last of the services first; the same one again ends the
  /// process. SIGHUP has files opened anew, also while what runs finishes.
  static func run(
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
