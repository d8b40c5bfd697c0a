// Runs programs as a user would: the built command, and tools of the distribution.
//
// Every wait has a bound. A program that does not end is killed with all it has started, and fails the test
// with its command line and what it said so far.

import Foundation
import Splice
import SystemPackage
import Testing

/// A program that has run to its end.
public struct Run: Sendable {
  public let status: Int32
  public let signal: Int32?
  public let output: [UInt8]
  public let errors: String

  public var text: String { String(decoding: output, as: UTF8.self) }
  public var errorLines: [String] { errors.split(separator: "\n").map(String.init) }
}

/// A program that runs, with its standard descriptors in our hands.
public final class Running: @unchecked Sendable {
  private let process = Process()
  private let output, errors: Channel
  private let ended = DispatchSemaphore(value: 0)
  private var readers: [Work<Void>] = []
  private let lock = NSLock()
  private var outputBytes = Data()
  private var errorBytes = Data()
  private var isKilled = false
  private let bound: Duration
  /// In the environment of the program, and with it of all that it starts.
  private let mark = "SPLICE_TEST_RUN=\(UUID().uuidString)"

  /// Starts a program. A standard descriptor that is given is used in place of one that is read or empty.
  /// What is waited for later takes no longer than `bound` each time.
  public init(
    _ program: String, _ arguments: [String], input: FileHandle? = nil, output given: FileHandle? = nil,
    directory: String? = nil, within bound: Duration = Bound.usual
  ) throws {
    self.bound = bound
    let word = mark.split(separator: "=").map(String.init)
    process.environment = ProcessInfo.processInfo.environment.merging([word[0]: word[1]]) { $1 }
    // Another test may have had SwiftNIO in this process, which ignores SIGPIPE from then on, and what is
    // ignored a program inherits.
    process.executableURL = URL(fileURLWithPath: try tool("env"))
    process.arguments = ["--default-signal=PIPE", program] + arguments
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    process.terminationHandler = { [ended] _ in ended.signal() }
    (output, errors) = try Starter.shared.run { [process] in
      // Opened only now, when it is this one's turn.
      let (output, errors) = (try Channel(), try Channel())
      let empty = input == nil ? FileHandle(forReadingAtPath: "/dev/null") : nil
      process.standardInput = input ?? empty
      process.standardOutput = given ?? output.writer
      process.standardError = errors.writer
      defer {
        try? empty?.close()
        try? output.writer.close()
        try? errors.writer.close()
      }
      try process.run()
      return (output, errors)
    }
    readers = [
      collect(output.reader) { $0.outputBytes += $1 },
      collect(errors.reader) { $0.errorBytes += $1 },
    ]
  }

  /// A pipe that is closed on exec from the beginning: a program that another test starts in the same moment
  /// would else hold this one open.
  private struct Channel {
    let reader, writer: FileHandle

    init() throws {
      let ends = try Syscall.pipe2()
      // Non-blocking is not what a program expects.
      for end in [ends.reader, ends.writer] { try Syscall.setStatusFlags(of: end, to: 0) }
      reader = FileHandle(fileDescriptor: ends.reader.rawValue, closeOnDealloc: true)
      writer = FileHandle(fileDescriptor: ends.writer.rawValue, closeOnDealloc: true)
    }
  }

  private func collect(_ handle: FileHandle, _ add: @escaping @Sendable (Running, Data) -> Void) -> Work<Void>
  {
    onThread { [self] in
      // Not `availableData`, which traps when a signal comes in between.
      var chunk = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let count = chunk.withUnsafeMutableBytes { read(handle.fileDescriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        lock.withLock { add(self, Data(chunk[..<count])) }
      }
    }
  }

  public var processID: Int32 { process.processIdentifier }

  /// Waits until standard error has said this, or the program has ended.
  public func waitForErrors(containing text: String) -> String {
    let end = ContinuousClock.now + bound
    while true {
      let (said, running) = lock.withLock { (String(decoding: errorBytes, as: UTF8.self), process.isRunning) }
      if said.contains(text) || !running { return said }
      if end <= .now {
        fail("has not said '\(text)'")
        return said
      }
      usleep(1000)
    }
  }

  public var isRunning: Bool { process.isRunning }

  /// What its standard output has said so far.
  public var said: String { lock.withLock { String(decoding: outputBytes, as: UTF8.self) } }

  /// Whether the program has a handler for a signal by now.
  public func handles(_ signal: Int32) -> Bool {
    let status = (try? String(contentsOfFile: "/proc/\(processID)/status", encoding: .utf8)) ?? ""
    let caught = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }?.split(separator: "\t").last
    return caught.flatMap { UInt64($0, radix: 16) }.map { $0 & 1 << (signal - 1) != 0 } ?? false
  }

  public func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits for its end.
  public func wait() -> Run {
    let isKilled = lock.withLock { self.isKilled }
    if isKilled || ended.wait(timeout: .now() + bound.seconds) == .timedOut {
      if !isKilled { fail("has not ended") }
      // A program that it started, and that has lost its mark, may keep even that from being seen.
      guard ended.wait(timeout: .now() + 60) == .success else { return run(status: -1, signal: SIGKILL) }
    }
    // What it has started may hold its output open.
    for reader in readers where (try? reader.join(within: .seconds(10))) == nil {
      fail("has left a program that holds its output")
      try? reader.join(within: .seconds(10))
    }
    return run(
      status: process.terminationStatus,
      signal: process.terminationReason == .uncaughtSignal ? process.terminationStatus : nil)
  }

  private func run(status: Int32, signal: Int32?) -> Run {
    lock.withLock {
      Run(
        status: status, signal: signal, output: Array(outputBytes),
        errors: String(decoding: errorBytes, as: UTF8.self))
    }
  }

  /// Ends it and all it has started, and fails the test.
  private func fail(_ what: String) {
    let words = (process.arguments ?? []).dropFirst().joined(separator: " ")
    let said = lock.withLock {
      [outputBytes, errorBytes].map { String(decoding: $0.suffix(4000), as: UTF8.self) }.joined(
        separator: "\n")
    }
    lock.withLock { isKilled = true }
    killAll()
    Issue.record("\(what) within \(bound): \(words)\nIt said:\n\(said)")
  }

  /// Kills whatever has the mark, also in sessions of its own and without parents. Each is looked at once.
  private func killAll() {
    let mark = Data(mark.utf8)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let number = Int32(name),
        let environment = FileManager.default.contents(atPath: "/proc/\(name)/environ"),
        environment.range(of: mark) != nil
      else { continue }
      kill(number, SIGKILL)
    }
  }
}

/// Runs a program to its end.
public func run(
  _ program: String, _ arguments: [String], input: FileHandle? = nil, output: FileHandle? = nil,
  directory: String? = nil, within bound: Duration = Bound.usual
) throws -> Run {
  try Running(program, arguments, input: input, output: output, directory: directory, within: bound).wait()
}

/// A product of this package, beside the tests that run.
public func product(_ name: String) throws -> String {
  var directory = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
  // Under a runner of its own, the tests' bundle is named on the command line.
  for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
    directory = URL(fileURLWithPath: argument).resolvingSymlinksInPath()
  }
  if let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
    link.hasSuffix(".xctest")
  {
    directory = URL(fileURLWithPath: link)
  }
  let path = directory.deletingLastPathComponent().appendingPathComponent(name).path
  guard FileManager.default.isExecutableFile(atPath: path) else {
    throw MissingProgram(description: "\(path) has not been built")
  }
  return path
}

/// A tool of the distribution. A test that needs one which is not there is skipped, and named with the
/// package that brings it; where CI is set, it fails.
public func tool(_ name: String, package: String? = nil) throws -> String {
  for directory in (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin").split(separator: ":") {
    let path = "\(directory)/\(name)"
    if FileManager.default.isExecutableFile(atPath: path) { return path }
  }
  throw try missing("\(name) is not installed: apt-get install \(package ?? name)")
}

/// What the tests run beside the command, and the package that brings it, where that has another name.
private let peers =
  [
    "strace": nil, "socat": nil, "python3": nil, "ffmpeg": nil, "mpv": nil, "haproxy": nil, "curl": nil,
    "chromium": nil, "git": nil, "nginx": nil, "wget": nil, "slowhttptest": nil,
    "apt-ftparchive": "apt-utils", "apt-get": "apt", "aria2c": "aria2", "dpkg-deb": "dpkg", "ip": "iproute2",
    "setpriv": "util-linux",
    "systemd-socket-activate": "systemd",
  ] as [String: String?]

/// Asks for each of the peers that a line of shell, or a program in Python, starts.
public func askForPeers(of text: String) throws {
  let words = Set(text.split { !($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") })
  // A program in Python that goes into a network namespace sets up its loopback there.
  let needsIP = text.contains("\ninside(")
  for (name, package) in peers where words.contains(Substring(name)) || name == "ip" && needsIP {
    _ = try tool(name, package: package)
  }
  // A container, or a chroot, may keep its users from having namespaces of their own.
  if words.contains("unshare"), !mayUnshare {
    throw try missing("namespaces are not permitted here: unshare -r true")
  }
  if text.contains("/dev/fuse"), !mayUseFUSE {
    throw try missing("file systems of a program's own are not permitted here: /dev/fuse")
  }
}

private let mayUseFUSE =
  mayUnshare
  && (try? run("/usr/bin/unshare", ["-rnm", "sh", "-c", "exec 3<>/dev/fuse"]).status) == 0

private let mayUnshare = (try? run("/usr/bin/unshare", ["-rm", "true"]).status) == 0

/// Skips the test for want of something; what to throw where nothing may be skipped.
public func missing(
  _ what: String, in environment: [String: String] = ProcessInfo.processInfo.environment
) throws -> MissingProgram {
  #if compiler(>=6.3)
    if environment["CI"] == nil { try Test.cancel("\(what)") }
  #endif
  return MissingProgram(description: what)
}

/// A program a test needs, with the way to get it.
public struct MissingProgram: Error, CustomStringConvertible {
  public let description: String
}

/// The root of this package.
public let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path
