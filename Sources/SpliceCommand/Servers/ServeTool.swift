// `splice serve [DIRECTORY]`: its flags, and the plan they make.

#if Services
import ArgumentParser
import CSplice
import Splice
import SpliceServices
import SystemPackage

struct ServeTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve the files of a directory over HTTP.",
    discussion: """
      Shows what is in the directory and nothing else: links that lead out of it, and names that begin with a dot \
      (but /.well-known), are not there. Files are sent as they are then.

      splice serve ~/public --listing
      """)

  @Argument(help: "The directory.")
  var directory = "."

  @Option(
    help: ArgumentHelp(
      "Address to listen on. (default: 127.0.0.1:8000)", valueName: "host:port"),
    transform: ServerAddress.init(listening:))
  var listen: [ServerAddress] = []

  @Option(help: ArgumentHelp("File that is shown of a directory.", valueName: "name"))
  var index = "index.html"

  @Flag(help: "List directories that have no such file.")
  var listing = false

  @Option(
    help: ArgumentHelp(
      "What a file is that is written while it is sent: live, as it is then; stable, as it was, or cut off.",
      valueName: "promise"))
  var consistency = SharedFile.Consistency.live

  @Option(help: ArgumentHelp("Value of the header Cache-Control.", valueName: "text"))
  var cacheControl: String?

  @Option(
    help: ArgumentHelp(
      "File to which a line is appended for each request, or - for standard output. SIGHUP opens it anew.",
      valueName: "path"))
  var accessLog: String?

  @Option(help: ArgumentHelp("Format of such a line: combined or json.", valueName: "format"))
  var accessLogFormat = AccessFormat.combined

  @Option(
    help: ArgumentHelp(
      "Maximum simultaneous connections. (default: from the limit of open descriptors)", valueName: "n"))
  var maxConnections: Int?

  @Option(help: ArgumentHelp("Maximum simultaneous connections of one client.", valueName: "n"))
  var maxConnectionsPerClient: Int?

  @Option(help: ArgumentHelp("Number of threads that serve clients.", valueName: "n"))
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Maximum time for answers to be finished, after SIGTERM or SIGINT.", valueName: "time"))
  var drainTimeout = Span(.seconds(30), word: "30s")

  @OptionGroup var serving: ServingOptions

  func validate() throws {
    let numbers = [
      (threads, "--threads"), (maxConnections, "--max-connections"),
      (maxConnectionsPerClient, "--max-connections-per-client"),
    ]
    for (number, flag) in numbers {
      if let number, number < 1 { throw ValidationError("\(flag) is at least 1") }
    }
    if let threads, threads > 1024 { throw ValidationError("--threads is at most 1024") }
    if index.isEmpty || index.contains("/") || index.hasPrefix(".") {
      throw ValidationError("--index is the name of a file, and begins with no dot")
    }
    guard cacheControl?.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) != false else {
      throw ValidationError("--cache-control has characters that a header cannot have")
    }
  }

  func run() {
    var options = FileServer.Options()
    (options.index, options.lists, options.cacheControl) = (index, listing, cacheControl)
    options.consistency = consistency
    options.threads = threads ?? max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    options.maxConnections = maxConnections
    options.maxConnectionsPerClient = maxConnectionsPerClient
    options.drainTimeout = drainTimeout.duration
    // What else this command opens, it opens on other threads.
    options.confinesThreads = true
    options.otherDescriptors = serving.descriptors
    let log = accessLog.map {
      ServePlan.AccessLog(
        path: FilePath(bytes: $0.carriedBytes), isStandardOutput: $0 == "-", format: accessLogFormat)
    }
    let plan = ServePlan(
      directory: FilePath(bytes: directory.carriedBytes),
      listen: listen.isEmpty ? [.tcp(host: "127.0.0.1", port: 8000)] : listen, options: options,
      accessLog: log,
      serving: serving)
    CSplice.exit(plan.run().rawValue)
  }
}

extension AccessFormat: ExpressibleByArgument {}
extension SharedFile.Consistency: ExpressibleByArgument {}
#else
import ArgumentParser

/// The server stands on other packages, without which the command is built in a quarter of the time.
struct ServeTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Not in this build, which was made without the trait Services.")

  @Argument(parsing: .captureForPassthrough) var others: [String] = []

  func run() throws {
    throw ValidationError("the server is not in this build: it was made without the trait Services")
  }
}
#endif
