// `splice broadcast SOURCE`: its flags, and the plan they make.

#if Services
import ArgumentParser
import CSplice
import Splice
import SpliceServices
import SystemPackage

struct BroadcastTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broadcast",
    abstract: "Send a live stream to everybody who watches, and record it.",
    discussion: """
      SOURCE is an endpoint or http://HOST[:PORT]/PATH, another broadcast or whatever streams over HTTP. With \
      tcp-listen: and unix-listen: senders may come one after the other; an origin over HTTP is asked again when \
      its stream ends. Bytes are sent as they come: a source that gives them faster than they play is held back \
      by --rate-limit.

      splice broadcast tcp-listen:9000 --http 8000 --record show.ts --align 188
      """)

  @Argument(
    help: "Where the stream comes from: an endpoint, or http://HOST[:PORT]/PATH.",
    transform: BroadcastSource.init(parsing:))
  var source: BroadcastSource

  @Option(
    help: ArgumentHelp("Serve viewers over HTTP here.", valueName: "host:port"),
    transform: ServerAddress.init(listening:))
  var http: [ServerAddress] = []

  @Option(help: ArgumentHelp("Path of the stream over HTTP.", valueName: "path"))
  var path = "/live"

  @Option(help: ArgumentHelp("Content type of the stream over HTTP.", valueName: "type"))
  var contentType = "application/octet-stream"

  @Option(
    help: ArgumentHelp(
      "Serve viewers over TCP here: they get the stream without asking.", valueName: "host:port"),
    transform: ServerAddress.init(listening:))
  var tcp: [ServerAddress] = []

  @Option(
    help: ArgumentHelp("Serve viewers over a unix socket here.", valueName: "path"),
    transform: { try ServerAddress(listening: "unix:\($0)") })
  var unix: [ServerAddress] = []

  @Option(
    help: ArgumentHelp(
      "Record the stream in this file, whose name ends in .part until it is whole. No file is overwritten.",
      valueName: "path"))
  var record: String?

  @Option(
    help: ArgumentHelp("Maximum size of a recorded file; then the next one is begun.", valueName: "size"))
  var rotateSize: Size?

  @Option(
    help: ArgumentHelp("Maximum duration of a recorded file; then the next one is begun.", valueName: "time"))
  var rotateInterval: Span?

  @Option(
    help: ArgumentHelp(
      "Number of whole recorded files that are kept; older ones are removed.", valueName: "n"))
  var keep: Int?

  @Option(
    help: ArgumentHelp(
      "When recorded bytes are forced to disk (fsync): never, end (of each file) or an interval.",
      valueName: "when"))
  var recordSync = RecordSync.end

  @Option(
    help: """
      What becomes of viewers that cannot keep up: replay (what they missed, from the recording), skip or \
      detach. (default: replay when there is a recording, else skip)
      """)
  var whenSlow: Broadcast.SlowViewers?

  @Option(
    help: ArgumentHelp(
      "Cut only at multiples of this: where viewers begin, skip, and files end (188 for MPEG-TS).",
      valueName: "size"))
  var align: Size?

  @Option(
    help: ArgumentHelp("How far back a new viewer begins, from the recording.", valueName: "size"))
  var backlog: Size?

  @Option(
    help: ArgumentHelp(
      "Maximum simultaneous viewers; others are refused. (default: from the limit of open descriptors)",
      valueName: "n"))
  var maxViewers: Int?

  @Option(help: ArgumentHelp("Maximum bytes a second that are taken from the source.", valueName: "size"))
  var rateLimit: Size?

  @Flag(help: "End with the first sender, or answer over HTTP, instead of waiting for the next.")
  var once = false

  @Option(help: ArgumentHelp("Number of threads that serve viewers.", valueName: "n"))
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Maximum time for viewers to get what is left, after SIGTERM or SIGINT or the end of the stream.",
      valueName: "time"))
  var drainTimeout = Span(.seconds(30), word: "30s")

  @OptionGroup var serving: ServingOptions

  func validate() throws {
    if http.isEmpty, tcp.isEmpty, unix.isEmpty, record == nil {
      throw ValidationError("nobody would get the stream: give --http, --tcp, --unix or --record")
    }
    if let align, align.bytes < 1 || align.bytes > UInt64(FanOut.largestAlignment) {
      throw ValidationError("--align is at least 1 and at most \(FanOut.largestAlignment)")
    }
    if record == nil {
      for (isGiven, flag) in [
        (rotateSize != nil, "--rotate-size"), (rotateInterval != nil, "--rotate-interval"),
        (keep != nil, "--keep"), (backlog != nil, "--backlog"), (whenSlow == .replay, "--when-slow replay"),
      ] where isGiven {
        throw ValidationError("\(flag) needs --record")
      }
    }
    if let rotateSize, rotateSize.bytes < max(1, align?.bytes ?? 1) {
      throw ValidationError("--rotate-size is at least one unit")
    }
    if keep != nil, rotateSize == nil, rotateInterval == nil {
      throw ValidationError("--keep needs --rotate-size or --rotate-interval")
    }
    for (number, flag) in [(keep, "--keep"), (maxViewers, "--max-viewers"), (threads, "--threads")] {
      if let number, number < 1 { throw ValidationError("\(flag) is at least 1") }
    }
    if let maxViewers, maxViewers > 1_000_000 { throw ValidationError("--max-viewers is at most 1000000") }
    if let rateLimit, rateLimit.bytes < 1 { throw ValidationError("--rate-limit is at least 1") }
    if let threads, threads > 1024 { throw ValidationError("--threads is at most 1024") }
    guard path.hasPrefix("/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "?") })
    else {
      throw ValidationError("--path begins with / and is written as in a URL")
    }
    guard contentType.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
      throw ValidationError("--content-type has characters that a header cannot have")
    }
    if once, case .endpoint(let endpoint) = source, endpoint.listening == nil {
      throw ValidationError("--once needs a source that listens, or http://")
    }
  }

  func run() {
    var options = Broadcast.Options()
    options.alignment = Int(align?.bytes ?? 1)
    options.whenSlow = whenSlow
    options.backlog = backlog?.bytes ?? 0
    options.maxViewers = maxViewers
    options.once = once
    options.rateLimit = rateLimit?.bytes
    (options.path, options.contentType) = (path, contentType)
    options.threads = threads ?? max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    options.drainTimeout = drainTimeout.duration
    options.otherDescriptors = serving.descriptors
    options.recording = record.map { path in
      var recording = Broadcast.RecordingOptions(path: FilePath(bytes: path.carriedBytes))
      recording.rotateSize = rotateSize?.bytes
      recording.rotateInterval = rotateInterval?.duration
      recording.keep = keep
      recording.sync = recordSync.sync
      return recording
    }
    let plan = BroadcastPlan(
      source: source, http: http, plain: tcp + unix, options: options, serving: serving)
    CSplice.exit(plan.run().rawValue)
  }
}

/// An endpoint, or an origin over HTTP.
enum BroadcastSource: Sendable {
  case endpoint(Endpoint)
  case origin(HTTPOrigin)

  /// As it is called in messages.
  var word: String {
    switch self {
    case .endpoint(let endpoint): endpoint.word
    case .origin(let origin): "\(origin)"
    }
  }

  init(parsing word: String) throws {
    if word.lowercased().hasPrefix("http://") {
      guard let origin = HTTPOrigin(word) else {
        throw ValidationError("'\(word)': write http://HOST[:PORT]/PATH")
      }
      self = .origin(origin)
      return
    }
    if word.lowercased().hasPrefix("https://") {
      throw ValidationError("'\(word)': no TLS: put something in front")
    }
    let endpoint = try Endpoint(parsing: word)
    if case .digest = endpoint.place { throw ValidationError("'\(word)' cannot be a source") }
    self = .endpoint(endpoint)
  }
}

/// `never`, `end` or a time.
enum RecordSync: ExpressibleByArgument {
  case never, end
  case every(Span)

  init?(argument: String) {
    switch argument {
    case "never": self = .never
    case "end": self = .end
    default:
      guard let span = Span(argument: argument) else { return nil }
      self = .every(span)
    }
  }

  var defaultValueDescription: String { "end" }

  var sync: Broadcast.RecordingOptions.Sync {
    switch self {
    case .never: .never
    case .end: .atEnd
    case .every(let span): .every(span.duration)
    }
  }
}

extension Broadcast.SlowViewers: ExpressibleByArgument {}
#else
import ArgumentParser

/// The broadcast stands on other packages, without which the command is built in a quarter of the time.
struct BroadcastTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broadcast", abstract: "Not in this build, which was made without the trait Services.")

  @Argument(parsing: .captureForPassthrough) var others: [String] = []

  func run() throws {
    throw ValidationError("the broadcast is not in this build: it was made without the trait Services")
  }
}
#endif
