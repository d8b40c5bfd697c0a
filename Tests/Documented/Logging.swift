// The same for the documentation of the log.

#if Logging
  import Logging
  import Splice
  import SpliceLogging

  func logging() throws {
    let file = try PageWriter(appendingTo: "/var/log/service.log")
    LoggingSystem.bootstrap { SpliceLogHandler(label: $0, to: file) }
  }
#endif
