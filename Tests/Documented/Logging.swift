// The same for the documentation of the log.

#if Logging
  import Logging
  import Splice
  import SpliceLogging

  func logging() throws {
    let file = try PageWriter(appendingTo: "/var/log/service.log")
    LoggingSystem.bootstrap { SpliceLogHandler(label: $0, to: file) }
  }

  func loggingToSeveral() throws {
    var options = PageWriter.Options()
    options.noting = LogFormat.json.note()
    options.measure()
    let file = try PageWriter(
      appendingTo: "/var/log/service.log",
      rotating: .init(size: 100 << 20, interval: .seconds(86_400), keep: 14), options: options)
    let collector = try PageWriter(connectingTo: .unix("/run/collector.sock"), options: options)
    LoggingSystem.bootstrap { SpliceLogHandler(label: $0, .json, to: file, collector) }
  }
#endif
