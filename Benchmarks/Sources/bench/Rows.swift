// What is measured: a job, a yardstick A and a challenger B. To add a mover, add its line under `Candidates`
// and name it in the rows it should run. Programs are found beside this one, then through PATH; `{file}` in
// an argument list is the path of the cached file. A side with several candidates sends the cheapest, chosen
// in a heat of the same run.

/// What is to be done, the same for both sides.
enum Job: Equatable {
  /// From standard input to standard output.
  case move(Source, Sink, bytes: Int)
  /// From standard input to standard output and the descriptors from 3 on: so many sinks, and as many more that never read.
  case spread(Source, Sink, bytes: Int, many: Int, stalled: Int = 0)
  /// Messages there and back between the sockets 3 and 4, one at a time.
  case relay(size: Int, count: Int)
  /// Commands joined by pipes: the file is the first's standard input, /dev/null the last's standard output.
  case pipeline(bytes: Int)
  /// To a port of this machine, `{port}`, whose end swallows.
  case send(bytes: Int)
  /// From a port of this machine, `{port}`, whose end feeds, to a new file or /dev/null as the last one's standard output.
  case receive(bytes: Int, toFile: Bool)
  /// From `{file}`, or one that is nine parts holes, to the new file `{sink}`, on the same file system or in memory.
  case copy(bytes: Int, sparse: Bool = false, across: Bool = false)
  /// Within one process, which is told `{bytes}`.
  case within(bytes: Int)
  /// The same with next to nothing to do: what starting costs. It is subtracted everywhere but here.
  case start(bytes: Int)
}

/// One side of a row: a name for the table, and one argument list (several for a pipeline of commands).
struct Candidate {
  let name: String
  let stages: [[String]]

  init(_ name: String, _ stages: [String]...) {
    self.name = name
    self.stages = stages.isEmpty ? [[name]] : stages
  }
}

/// What B/A should be: at most for what it costs, at least for throughput.
struct Target {
  var cpu: Double?
  var calls: Double?
  var throughput: Double?
}

struct Row {
  let name: String
  let job: Job
  /// How often one run does the job, so that it takes some 100 to 400 ms.
  let passes: Int
  let a: [Candidate]
  let b: [Candidate]
  let target: Target

  init(
    _ name: String, _ job: Job, passes: Int = 1, _ a: [Candidate], _ b: [Candidate],
    _ target: Target = Target()
  ) {
    (self.name, self.job, self.passes, self.a, self.b, self.target) = (name, job, passes, a, b, target)
  }
}

// MARK: - Candidates

private let splice = [Candidate("c-splice")]
private let copy = [64, 128, 256, 1024].map {
  Candidate("c-readwrite \($0)K", ["c-readwrite", "\($0 << 10)"])
}
private let direct = [Candidate("c-splice-direct")]
private let relay = [Candidate("c-relay-epoll", ["c-relay-epoll", "3", "4"])]
private let directPair = [
  Candidate("c-splice-direct \\| c-splice-direct", ["c-splice-direct"], ["c-splice-direct"])
]
private let catPair = [Candidate("cat \\| cat", ["cat"], ["cat"])]
private let cat = [Candidate("cat")]
private let blocking = [Candidate("mover blocking", ["mover", "blocking"])]
private let async = [Candidate("mover async", ["mover", "async"])]
private let duplex = [Candidate("mover duplex", ["mover", "duplex", "3", "4"])]
private func duplex(_ via: String) -> [Candidate] {
  [Candidate("duplex by \(via)", ["mover", "duplex", "3", "4", via])]
}
private let command = [Candidate("splice - -", ["splice", "-", "-"])]
private let commandPair = [
  Candidate("splice FILE - \\| splice - null:", ["splice", "{file}", "-"], ["splice", "-", "null:"])
]
private let pvPair = [Candidate("pv \\| pv", ["pv", "-q", "{file}"], ["pv", "-q"])]
private let parser = [Candidate("a bare argument parser", ["bare-parser", "-", "-"])]

private let cp = [Candidate("cp", ["cp", "{file}", "{sink}"])]
private let cpSparse = [Candidate("cp --sparse=always", ["cp", "--sparse=always", "{file}", "{sink}"])]
private let commandCopy = [Candidate("splice FILE NEW", ["splice", "{file}", "{sink}"])]
private let buffers = [8, 64, 256, 1024]
private let socatSend = buffers.map {
  Candidate("socat -b \($0)K", ["socat", "-u", "-b", "\($0 << 10)", "OPEN:{file}", "TCP:127.0.0.1:{port}"])
}
private let socatReceive = buffers.map {
  Candidate("socat -b \($0)K", ["socat", "-u", "-b", "\($0 << 10)", "TCP:127.0.0.1:{port}", "STDOUT"])
}
private let pvSend = [
  Candidate("pv \\| ncat", ["pv", "-q", "{file}"], ["ncat", "--send-only", "127.0.0.1", "{port}"])
]
private let pvReceive = [
  Candidate("ncat \\| pv", ["ncat", "--recv-only", "127.0.0.1", "{port}"], ["pv", "-q"])
]
private let commandSend = [Candidate("splice FILE tcp:", ["splice", "{file}", "tcp:127.0.0.1:{port}"])]
private let commandReceive = [Candidate("splice tcp: -", ["splice", "tcp:127.0.0.1:{port}", "-"])]

private func pipe(_ block: Int) -> [Candidate] {
  [Candidate("a kernel pipe, \(block) bytes", ["c-pipe", "\(block)", "{bytes}"])]
}
private func memoryPipe(_ block: Int) -> [Candidate] {
  [Candidate("mover write memory \(block)", ["mover", "write", "memory", "\(block)", "{bytes}"])]
}
private func give(_ how: String, _ block: Int) -> [Candidate] {
  [Candidate("\(how), \(block)K", ["mover", "give", how, "\(block << 10)", "{bytes}"])]
}
private func sequence(_ how: String) -> [Candidate] {
  [Candidate("sequence, \(how)", ["mover", "sequence", how, "{bytes}"])]
}
private let bestReadWrite = [Candidate("c-readwrite 256K", ["c-readwrite", "\(256 << 10)"])]
private let memoryBlocking = [Candidate("memory blocking", ["mover", "memory", "blocking"])]
private let memoryAsync = [Candidate("memory async", ["mover", "memory", "async"])]

// MARK: - Rows

private let fileToNull = Job.move(.file, .null, bytes: 1 << 30)
private let fileToTCP = Job.move(.file, .tcp, bytes: 1 << 30)
private let fileToUnix = Job.move(.file, .unix, bytes: 1 << 30)
private let tcpToTCP = Job.move(.tcp, .tcp, bytes: 1 << 30)
private let pipeToPipe = Job.move(.pipe, .pipe, bytes: 1 << 30)

let rows = rowsToOne + rowsToMany

private let rowsToOne = [
  // The same program on both sides: whatever these say but `undecided` is a fault of the harness.
  Row("file-to-null", fileToNull, passes: 16, splice, splice, Target(calls: 1)),
  Row("tcp-to-tcp", tcpToTCP, splice, splice),

  // The library beside the bare loop.
  Row("file-to-null", fileToNull, passes: 16, splice, blocking, Target(cpu: 1.15, calls: 1.02)),
  Row("file-to-null", fileToNull, passes: 16, splice, async, Target(cpu: 1.15, calls: 1.02)),
  Row("file-to-tcp", fileToTCP, splice, blocking, Target(cpu: 1.15, calls: 1.02)),
  Row("file-to-tcp", fileToTCP, splice, async, Target(cpu: 1.15, calls: 1.02)),
  Row("tcp-to-tcp", tcpToTCP, splice, blocking, Target(cpu: 1.15, calls: 1.02)),
  Row("tcp-to-tcp", tcpToTCP, splice, async, Target(cpu: 1.15, calls: 1.02)),
  Row("pipe-to-pipe", pipeToPipe, passes: 2, splice, blocking, Target(cpu: 1.15, calls: 1.02)),
  Row("pipe-to-pipe", pipeToPipe, passes: 2, splice, async, Target(cpu: 1.15, calls: 1.02)),

  // Beside copying with its best buffer.
  Row("file-to-unix", fileToUnix, copy, blocking, Target(cpu: 0.4)),
  Row("file-to-unix", fileToUnix, copy, async, Target(cpu: 0.4)),
  Row("tcp-to-tcp", tcpToTCP, copy, blocking, Target(cpu: 0.6)),
  Row("tcp-to-tcp", tcpToTCP, copy, async, Target(cpu: 0.6)),

  // Small messages.
  Row("ping-pong", .relay(size: 100, count: 10_000), relay, relay),
  Row("ping-pong", .relay(size: 100, count: 10_000), relay, duplex, Target(cpu: 1.15, calls: 1.001)),

  // Where copying ends and splicing begins: what FlowMachine's thresholds come from.
  Row("threshold-1K", .relay(size: 1 << 10, count: 5_000), duplex("copy"), duplex("splice")),
  Row("threshold-4K", .relay(size: 4 << 10, count: 5_000), duplex("copy"), duplex("splice")),
  Row("threshold-8K", .relay(size: 8 << 10, count: 5_000), duplex("copy"), duplex("splice")),
  Row("threshold-16K", .relay(size: 16 << 10, count: 5_000), duplex("copy"), duplex("splice")),
  Row("threshold-64K", .relay(size: 64 << 10, count: 5_000), duplex("copy"), duplex("splice")),
  Row("copy-buffer", fileToUnix, [Candidate("c-readwrite 256K", ["c-readwrite", "\(256 << 10)"])], copy),

  // The pipe in user memory.
  Row("memory-64K", .within(bytes: 4 << 30), pipe(64 << 10), memoryPipe(64 << 10), Target(throughput: 1)),
  Row("memory-64", .within(bytes: 64 << 20), pipe(64), memoryPipe(64), Target(throughput: 3)),
  Row("give-4K", .within(bytes: 1 << 30), give("write", 4), give("pages", 4)),
  Row("give-64K", .within(bytes: 2 << 30), give("write", 64), give("pages", 64)),
  Row("give-1M", .within(bytes: 2 << 30), give("write", 1024), give("pages", 1024)),
  Row("give-4K", .within(bytes: 1 << 30), give("write", 4), give("ring", 4)),
  Row("give-64K", .within(bytes: 2 << 30), give("write", 64), give("ring", 64)),
  Row("give-1M", .within(bytes: 2 << 30), give("write", 1024), give("ring", 1024), Target(throughput: 3)),
  Row("sequence", .within(bytes: 4 << 30), sequence("direct"), sequence("pipe"), Target(cpu: 1.2)),
  Row("memory-relay", tcpToTCP, bestReadWrite, memoryBlocking, Target(cpu: 1.15)),
  Row("memory-relay", tcpToTCP, bestReadWrite, memoryAsync, Target(cpu: 1.15)),

  // The command.
  Row("command", .pipeline(bytes: 4 << 30), catPair, commandPair, Target(throughput: 5)),
  Row("command", .pipeline(bytes: 4 << 30), pvPair, commandPair, Target(throughput: 5)),
  Row("command", .pipeline(bytes: 4 << 30), directPair, commandPair, Target(throughput: 0.85)),
  Row("copy", .copy(bytes: 1 << 30), cp, commandCopy, Target(throughput: 0.95)),
  Row(
    "copy-sparse", .copy(bytes: 1 << 30, sparse: true), passes: 2, cpSparse, commandCopy,
    Target(throughput: 0.95)),
  Row("copy-across", .copy(bytes: 1 << 30, across: true), cp, commandCopy, Target(throughput: 0.95)),
  Row("send", .send(bytes: 1 << 30), socatSend, commandSend, Target(cpu: 0.7)),
  Row("send", .send(bytes: 1 << 30), pvSend, commandSend, Target(cpu: 0.8)),
  Row("receive", .receive(bytes: 1 << 30, toFile: true), socatReceive, commandReceive, Target(cpu: 0.7)),
  Row("receive", .receive(bytes: 1 << 30, toFile: true), pvReceive, commandReceive, Target(cpu: 0.8)),
  Row(
    "receive-null", .receive(bytes: 1 << 30, toFile: false), socatReceive, commandReceive, Target(cpu: 0.7)),
  Row("receive-null", .receive(bytes: 1 << 30, toFile: false), pvReceive, commandReceive, Target(cpu: 0.8)),
  Row("start", .start(bytes: 1 << 10), passes: 30, parser, command, Target(cpu: 1.4)),
]

// MARK: -

extension Row {
  /// `file-to-null:c-splice:c-readwrite`: any prefix of it selects the row.
  var id: String {
    ([name] + [a, b].map { $0[0].stages.map { $0[0] }.joined(separator: "-") }).joined(separator: ":")
  }
}

extension Job {
  /// The job with nothing to move, whose cost is that of starting; nil where that cost is the subject.
  var empty: Job? {
    switch self {
    case .move(let source, let sink, _): .move(source, sink, bytes: 0)
    case .spread(let source, let sink, _, let many, let stalled):
      .spread(source, sink, bytes: 0, many: many, stalled: stalled)
    case .relay(let size, _): .relay(size: size, count: 0)
    case .pipeline: .pipeline(bytes: 0)
    case .send: .send(bytes: 0)
    case .receive(_, let toFile): .receive(bytes: 0, toFile: toFile)
    case .copy(_, _, let across): .copy(bytes: 0, across: across)
    case .within: .within(bytes: 0)
    case .start: nil
    }
  }

  /// How much is done, and of what.
  var amount: (units: Double, name: String) {
    switch self {
    case .move(_, _, let bytes), .spread(_, _, let bytes, _, _), .pipeline(let bytes), .send(let bytes),
      .receive(let bytes, _),
      .copy(let bytes, _, _), .within(let bytes):
      (Double(bytes) / Double(1 << 30), "GiB")
    case .relay(_, let count): (Double(2 * count), "message")
    case .start: (1, "start")
    }
  }

  /// The same with another number of bytes, where there is one to choose.
  func moving(_ bytes: Int?) -> Job {
    switch (self, bytes) {
    case (.move(let source, let sink, _), let bytes?): .move(source, sink, bytes: bytes)
    case (.spread(let source, let sink, _, let many, let stalled), let bytes?):
      .spread(source, sink, bytes: bytes, many: many, stalled: stalled)
    case (.pipeline, let bytes?): .pipeline(bytes: bytes)
    case (.send, let bytes?): .send(bytes: bytes)
    case (.receive(_, let toFile), let bytes?): .receive(bytes: bytes, toFile: toFile)
    case (.copy(_, let sparse, let across), let bytes?): .copy(bytes: bytes, sparse: sparse, across: across)
    case (.within, let bytes?): .within(bytes: bytes)
    default: self
    }
  }
}
