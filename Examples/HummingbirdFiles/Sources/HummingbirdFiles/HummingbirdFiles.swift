// A directory served by Hummingbird, whose files go past it: see SplicedFiles.swift.

import ArgumentParser
import Hummingbird
import Logging

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

  func run() async throws {
    var logger = Logger(label: "files")
    logger.logLevel = .notice
    let files = LocalFileSystem(rootFolder: directory, threadPool: .singleton, logger: logger)
    let router = Router(context: ChannelContext.self)
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
