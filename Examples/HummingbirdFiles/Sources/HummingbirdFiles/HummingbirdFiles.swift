// A directory served by Hummingbird, whose files go past it: see SplicedFiles.swift.

import ArgumentParser
import Hummingbird
import Logging
import Splice
import SpliceLogging
import SystemPackage

@main struct HummingbirdFiles: AsyncParsableCommand {
  enum Bodies: String, ExpressibleByArgument, CaseIterable {
    case spliced
    case fallback
    case ordinary
  }

  @Argument(help: "The directory.") var directory: String
  @Option(help: "Port to listen on, of this machine alone.") var port = 8080
  @Option(help: "How files are sent; fallback is spliced on connections that are not prepared for it.")
  var bodies = Bodies.spliced

  @Option(help: "Requests are noted in this file; without it only what is wrong, on standard error.")
  var log: String?

  func run() async throws {
    if let log {
      // No request waits for this file.
      let file = try PageWriter(appendingTo: FilePath(log))
      LoggingSystem.bootstrap { SpliceLogHandler(label: $0, .logfmt, to: file) }
    }
    var logger = Logger(label: "files")
    logger.logLevel = log == nil ? .notice : .info
    let files = LocalFileSystem(rootFolder: directory, threadPool: .singleton, logger: logger)
    let router = Router(context: ChannelContext.self)
    if log != nil { router.add(middleware: LogRequestsMiddleware(.info)) }
    if bodies == .ordinary {
      router.add(middleware: FileMiddleware(fileProvider: files))
    } else {
      router.add(middleware: FileMiddleware(fileProvider: SplicedFiles(ordinary: files)))
    }
    let handlers: @Sendable () -> [Splicing] = { [bodies] in bodies == .spliced ? [Splicing()] : [] }
    let app = Application(
      router: router,
      server: .http1(configuration: .init(additionalChannelHandlers: handlers())),
      configuration: .init(address: .hostname("127.0.0.1", port: port)),
      logger: logger)
    try await app.runService()
  }
}
