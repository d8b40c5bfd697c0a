// The same for the documentation of the services.

#if Services
  import Logging
  import ServiceLifecycle
  import Splice
  import SpliceServices

  func relaying(_ logger: Logger) async throws {
    let relay = try Relay(on: [.tcp(host: "0.0.0.0", port: 5432)], to: [.tcp(host: "db1", port: 5432)])
    try await ServiceGroup(services: [relay], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }

  func relayingWithOptions(_ logger: Logger) async throws {
    var options = Relay.Options()
    options.idleTimeout = .seconds(300)
    let relay = try Relay(
      on: [.tcp(host: "0.0.0.0", port: 5432)], to: [.tcp(host: "db1", port: 5432)], options: options)
    try await ServiceGroup(services: [relay], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }

  func broadcasting(_ logger: Logger) async throws {
    var options = Broadcast.Options()
    options.recording = Broadcast.RecordingOptions(path: "show.ts")
    options.alignment = 188
    let broadcast = try Broadcast(
      of: .listening(.tcp(host: "127.0.0.1", port: 9000)), http: [.tcp(host: "0.0.0.0", port: 8000)],
      options: options)
    try await ServiceGroup(services: [broadcast], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }

  func serving(_ logger: Logger) async throws {
    let files = try FileServer(of: "/srv/www", on: [.tcp(host: "0.0.0.0", port: 8000)])
    try await ServiceGroup(services: [files], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }

  func embedding(_ logger: Logger) async throws {
    let metrics = PrometheusMetrics()
    let relay = try Relay(
      on: [.tcp(host: "0.0.0.0", port: 5432)], to: [.tcp(host: "db1", port: 5432)], metrics: metrics,
      logger: logger)
    let admin = try AdminServer(on: .tcp(host: "127.0.0.1", port: 9900), of: relay, metrics)
    try await ServiceGroup(
      services: [admin, relay], gracefulShutdownSignals: [.sigterm], logger: logger
    ).run()
  }

  func administering(_ logger: Logger) async throws {
    let metrics = PrometheusMetrics(help: Relay.metricsHelp)
    let relay = try Relay(
      on: [.tcp(host: "0.0.0.0", port: 5432)], to: [.tcp(host: "db1", port: 5432)], metrics: metrics)
    print(metrics.text)
    let admin = try AdminServer(on: .tcp(host: "127.0.0.1", port: 9900), of: relay, metrics)
    let services: [any Service] = [admin, relay]
    try await ServiceGroup(services: services, gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }
#endif
