// The ends of a job, made anew for every run: a cached file, a pipe, a loopback connection, a pair of
// sockets, /dev/null, and the programs that feed and swallow. Every descriptor is close-on-exec and numbered
// 10 or more, so that a child gets what it is given and nothing else.

import Foundation

/// What the measured programs are given, and the programs at the other ends.
struct Wiring {
  var ends: [Program] = []
  var measured: [Program]
}

enum Source: String { case file, tcp, pipe }
enum Sink: String { case null, tcp, pipe, unix }

extension Wiring {
  /// Wires the stages of a candidate for one run of a job.
  init(_ stages: [[String]], at job: Job, files: inout CachedFiles) throws {
    switch job {
    case .move(let source, let sink, let bytes):
      let (input, feeder) = try source.open(bytes, &files)
      let (output, swallower) = try sink.open(bytes)
      self.init(
        ends: feeder + swallower,
        measured: stages.map { Program(argv: $0, descriptors: [0: input, 1: output]) })
    case .spread(let source, let sink, let bytes, let many, let stalled):
      let (input, feeder) = try source.open(bytes, &files)
      self.init(ends: feeder, measured: stages.map { Program(argv: $0, descriptors: [0: input]) })
      for index in 0..<many + stalled {
        let (output, swallower) = try sink.open(bytes, isStalled: index >= many)
        measured[0].descriptors[index == 0 ? 1 : Int32(index + 2)] = output
        ends += swallower
      }
    case .relay(let size, let count):
      let (a, b) = (try loopback(), try loopback())
      let client = Program(
        argv: ["c-pingpong", "3", "4", "\(size)", "\(count)"], descriptors: [3: a.first, 4: b.first])
      self.init(
        ends: [client], measured: stages.map { Program(argv: $0, descriptors: [3: a.second, 4: b.second]) })
    case .pipeline(let bytes), .start(let bytes):
      try self.init(stages.map { try files.name(in: $0, bytes) }, from: files.open(bytes), to: openNull())
    case .within(let bytes):
      try self.init(
        stages.map { $0.naming("{bytes}", "\(bytes)") }, from: openNull(), to: openNull())
    case .send(let bytes):
      let (listener, port) = try listen()
      try self.init(
        stages.map { try files.name(in: $0, bytes).naming("{port}", "\(port)") }, from: openNull(),
        to: openNull())
      ends = [
        Program(argv: ["c-swallow", "read", "\(bytes)"], descriptors: [0: listener, 1: try openNull()])
      ]
    case .receive(let bytes, let toFile):
      let (listener, port) = try listen()
      let sink = toFile ? files.newFile(across: false) : "/dev/null"
      try self.init(
        stages.map { $0.naming("{port}", "\(port)") }, from: openNull(),
        to: raised("open \(sink)", unsafe open(sink, O_WRONLY | O_CREAT | O_TRUNC, 0o600)))
      ends = [
        Program(
          argv: ["c-source", "\(bytes)", "write"],
          descriptors: [0: try files.open(min(bytes, 256 << 20)), 1: listener])
      ]
    case .copy(let bytes, let sparse, let across):
      let sink = files.newFile(across: across)
      try self.init(
        stages.map { try files.name(in: $0, bytes, sparse: sparse).naming("{sink}", sink) }, from: openNull(),
        to: openNull())
    }
  }

  /// A pipeline.
  private init(_ stages: [[String]], from source: Int32, to sink: Int32) throws {
    measured = []
    var input = source
    for (index, stage) in stages.enumerated() {
      let (next, output) = index == stages.count - 1 ? (-1, sink) : try pipePair()
      measured.append(Program(argv: stage, descriptors: [0: input, 1: output]))
      input = next
    }
  }
}

extension [String] {
  fileprivate func naming(_ word: String, _ name: String) -> [String] {
    map { $0.replacingOccurrences(of: word, with: name) }
  }
}

extension Source {
  /// The measured program's standard input, and the program that feeds it.
  fileprivate func open(_ bytes: Int, _ files: inout CachedFiles) throws -> (Int32, [Program]) {
    switch self {
    case .file: return (try files.open(bytes), [])
    case .tcp:
      let (near, far) = try loopback()
      return (near, [try feeder("write", bytes, far, &files)])
    case .pipe:
      let (near, far) = try pipePair()
      return (near, [try feeder("splice", bytes, far, &files)])
    }
  }

  private func feeder(
    _ mode: String, _ bytes: Int, _ output: Int32, _ files: inout CachedFiles
  ) throws -> Program {
    let input = try files.open(min(bytes, 256 << 20))
    return Program(argv: ["c-source", "\(bytes)", mode], descriptors: [0: input, 1: output])
  }
}

extension Sink {
  /// The measured program's standard output, and the program that swallows it and counts.
  fileprivate func open(_ bytes: Int, isStalled: Bool = false) throws -> (Int32, [Program]) {
    func swallower(_ mode: String, _ bytes: Int, _ input: Int32) throws -> Program {
      Program(
        argv: ["c-swallow", isStalled ? "stall" : mode, "\(bytes)"],
        descriptors: [0: input, 1: try openNull()])
    }
    switch self {
    case .null: return (try openNull(), [])
    case .tcp:
      let (near, far) = try loopback()
      return (near, [try swallower("read", bytes, far)])
    case .pipe:
      let (far, near) = try pipePair()
      return (near, [try swallower("splice", bytes, far)])
    case .unix:
      let (near, far) = try socketPair()
      return (near, [try swallower("splice", bytes, far)])
    }
  }
}

/// Files of random bytes in the page cache, one per size, made when first needed. They have no names, so they
/// are gone when the harness is, however it ended. `{file}` in an argument list stands for a path that opens
/// one.
struct CachedFiles {
  let directory: String
  private var made: [Int: Int32] = [:]
  private var madeSparse: [Int: Int32] = [:]

  init(in directory: String) { self.directory = directory }

  /// A path where there is no file: that of the last run is gone.
  func newFile(across: Bool) -> String {
    removeNewFiles()
    return newFiles[across ? 1 : 0]
  }

  /// Nothing is left behind.
  func removeNewFiles() { for path in newFiles { unsafe unlink(path) } }

  private var newFiles: [String] { [directory, "/dev/shm"].map { "\($0)/bench-sink-\(getpid())" } }

  /// Opens the file of so many bytes at its start.
  mutating func open(_ bytes: Int) throws -> Int32 {
    try raised("open \(try path(bytes))", unsafe Glibc.open(try path(bytes), O_RDONLY))
  }

  mutating func name(in argv: [String], _ bytes: Int, sparse: Bool = false) throws -> [String] {
    argv.naming("{file}", try sparse ? sparsePath(bytes) : path(bytes))
  }

  /// A tenth of the bytes is data, in 64 pieces, and the rest holes.
  private mutating func sparsePath(_ bytes: Int) throws -> String {
    let file: Int32
    if let known = madeSparse[bytes] {
      file = known
    } else {
      file = try make(0)
      let piece = [UInt8](repeating: 7, count: bytes / 640)
      for index in 0..<64 {
        let written = unsafe piece.withUnsafeBytes {
          unsafe pwrite(file, $0.baseAddress, $0.count, index * bytes / 64)
        }
        guard written == piece.count else { throw Failure.system("pwrite in \(directory)") }
      }
      try check("ftruncate", ftruncate(file, bytes))
      fsync(file)
    }
    madeSparse[bytes] = file
    return "/proc/\(getpid())/fd/\(file)"
  }

  private mutating func path(_ bytes: Int) throws -> String {
    let file = try made[bytes] ?? make(bytes)
    made[bytes] = file
    return "/proc/\(getpid())/fd/\(file)"
  }

  private func make(_ bytes: Int) throws -> Int32 {
    var template = Array("\(directory)/bench.XXXXXX".utf8CString)
    let file = try raised("mkstemp in \(directory)", unsafe mkstemp(&template))
    unsafe unlink(template)
    var random = SystemRandomNumberGenerator()
    var block = [UInt64](repeating: 0, count: 1 << 17)
    for start in stride(from: 0, to: bytes, by: 1 << 20) {
      // SplitMix64, seeded anew for each MiB: no two pages are alike.
      var state: UInt64 = random.next()
      for index in block.indices {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        block[index] = z ^ z >> 31
      }
      let length = min(1 << 20, bytes - start)
      guard unsafe write(file, block, length) == length else { throw Failure.system("write in \(directory)") }
    }
    // What is still dirty would be written back while we measure.
    fsync(file)
    return file
  }
}

private func openNull() throws -> Int32 { try raised("/dev/null", unsafe open("/dev/null", O_WRONLY)) }

func pipePair() throws -> (read: Int32, write: Int32) {
  var ends: [Int32] = [-1, -1]
  try check("pipe", unsafe pipe(&ends))
  return (try raised("pipe", ends[0]), try raised("pipe", ends[1]))
}

private func socketPair() throws -> (first: Int32, second: Int32) {
  var ends: [Int32] = [-1, -1]
  try check("socketpair", unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends))
  return (try raised("socketpair", ends[0]), try raised("socketpair", ends[1]))
}

/// A socket that listens on 127.0.0.1, and its port.
func listen(backlog: Int32 = 1) throws -> (Int32, port: UInt16) {
  let listener = try raised("socket", socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  var length = socklen_t(MemoryLayout<sockaddr_in>.size)
  // A sockaddr_in is a sockaddr of that length; the calls only look at it, or fill it, while they run.
  try unsafe withUnsafeMutablePointer(to: &address) {
    try unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      try check("bind", unsafe bind(listener, $0, length))
      try check("listen", listen(listener, backlog))
      try check("getsockname", unsafe getsockname(listener, $0, &length))
    }
  }
  return (listener, UInt16(bigEndian: address.sin_port))
}

/// Both ends of a TCP connection through 127.0.0.1, without Nagle's delay, as a proxy's are.
private func loopback() throws -> (first: Int32, second: Int32) {
  let (listener, port) = try listen()
  defer { close(listener) }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  address.sin_port = port.bigEndian
  let length = socklen_t(MemoryLayout<sockaddr_in>.size)
  let first = try raised("socket", socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
  // A sockaddr_in is a sockaddr of that length, and is only looked at.
  try unsafe withUnsafeMutablePointer(to: &address) {
    try unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      try check("connect", unsafe connect(first, $0, length))
    }
  }
  let second = try raised("accept", accept(listener, nil, nil))
  var yes: Int32 = 1
  for end in [first, second] {
    unsafe setsockopt(end, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
  }
  return (first, second)
}

private func check(_ act: String, _ result: Int32) throws {
  if result < 0 { throw Failure.system(act) }
}

/// The same open file under a number of 10 or more, close-on-exec.
func raised(_ act: String, _ descriptor: Int32) throws -> Int32 {
  try check(act, descriptor)
  let raised = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
  try check(act, raised)
  close(descriptor)
  return raised
}
