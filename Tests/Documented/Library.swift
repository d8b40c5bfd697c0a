// Every piece of code in the documentation of the library that is in no example, as it stands there: so that
// it compiles.

import Splice
import SystemPackage

func start(spare: borrowing Descriptor) async throws {
  let source = try Descriptor.open("upload.part", .readOnly)
  let sink = try await Descriptor.connect(host: "localhost", port: 9000)
  var pipe = try SplicePipe()
  let count = try await pipe.forward(from: source, to: sink)
  print(count)
  try await sink.finish(until: .now + .seconds(5))
}

func failure(
  _ source: borrowing Descriptor, _ sink: borrowing Descriptor, spare: borrowing Descriptor
) async throws {
  var pipe = try SplicePipe()
  do throws(SpliceError) {
    try await pipe.forward(from: source, to: sink)
  } catch {
    print(error, "and", pipe.count, "bytes are here")
    try await pipe.drain(to: spare)
  }
}

func header(_ file: borrowing Descriptor, _ socket: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  try pipe.writeAll("Content-Type: text/plain\r\n\r\n".utf8.span.bytes)
  try await pipe.forward(from: file, to: socket)
}

func blocking(_ source: borrowing Descriptor, _ sink: borrowing Descriptor) throws {
  var pipe = try SplicePipe()
  try pipe.forward(from: source, to: sink, waitingIn: BlockingWait(until: .now + .seconds(60)))
}

func options(_ source: borrowing Descriptor, _ sink: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  let first = try await pipe.forward(from: source, to: sink, upTo: 1 << 20, until: .now + .seconds(10))
  let rest = try await pipe.forward(from: source, to: sink)
  print(first + rest)
}

func progress(_ source: borrowing Descriptor, _ sink: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  let meter = ByteMeter()
  let progress = Task {
    while true {
      try await Task.sleep(for: .seconds(1))
      print(meter.passed.total, "bytes so far, of which", meter.passed.splice, "by reference")
    }
  }
  try await pipe.forward(from: source, to: sink, options: FlowOptions(meter: meter))
  progress.cancel()
}

func pace(_ source: borrowing Descriptor, _ sink: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  let pace = Pace(bytesPerSecond: 10 << 20)
  for _ in 0..<16 {
    try await pipe.forward(from: source, to: sink, upTo: 1 << 20, options: FlowOptions(pace: pace))
  }
  try await pipe.forward(from: source, to: sink, options: FlowOptions(idle: .seconds(30)))
}

func allOptions(_ socket: borrowing Descriptor, _ file: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  let progress = ByteMeter()
  let slow = Pace(bytesPerSecond: 1 << 20)
  try await pipe.forward(
    from: socket, to: file, options: FlowOptions(pace: slow, idle: .seconds(30), meter: progress))
}

func children(_ listener: borrowing Listener) async throws {
  try await withThrowingDiscardingTaskGroup { group in
    while true {
      let client = Handover(try await listener.accept())
      group.addTask {
        let socket = client.take()
        var pipe = try SplicePipe()
        try await pipe.forward(from: socket, to: Descriptor.open("/dev/null", .writeOnly))
      }
    }
  }
}

func handing(_ listener: borrowing Listener) async throws {
  func serve(_ socket: consuming Descriptor) async throws {}
  try await withThrowingDiscardingTaskGroup { group in
    let client = Handover(try await listener.accept())
    group.addTask { try await serve(client.take()) }
  }
}

func timeout(_ source: borrowing Descriptor, _ sink: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  do throws(SpliceError) {
    try await pipe.forward(from: source, to: sink, until: .now + .seconds(5))
  } catch .timedOut {
    print(pipe.count, "bytes are on their way")
  } catch {
    print(error)
  }
}

func executors(_ listener: borrowing Listener) async throws {
  let executor = try EpollExecutor(name: "relay")
  let client = Handover(try await listener.accept())
  let serving = Task(executorPreference: executor) {
    var pipe = try SplicePipe()
    try await pipe.forward(from: client.take(), to: Descriptor.open("/dev/null", .writeOnly))
  }
  _ = try await serving.value
  executor.shutdown()
}

func anotherHome(
  _ upload: borrowing Descriptor, _ file: borrowing Descriptor, _ spare: borrowing Descriptor
) async throws {
  var pipe = try SplicePipe()
  do {
    try await pipe.forward(from: upload, to: file)
  } catch .sink(.noSpace) {
    try await pipe.drain(to: spare)  // same bytes, another home
  } catch {
    throw error
  }
}

func bytesOfAProgram(_ socket: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  var greeting = BytesSource(Array("hello\n".utf8))
  try await pipe.forward(from: &greeting, to: socket)
  var answer = BytesSink<[UInt8]>()
  try await pipe.forward(from: socket, to: &answer, upTo: 1 << 20)
}

func observing(_ source: borrowing Descriptor, _ sink: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  let lines = try FlowObserver(0) { lines, bytes in
    lines += bytes.withUnsafeBytes { $0.count { $0 == UInt8(ascii: "\n") } }
  }
  try await pipe.forward(from: source, to: sink, watchedBy: lines)
  print(lines.withState { $0 })
}

actor Upload {
  private let pipe: AsyncMutex<SplicePipe>
  init() throws { pipe = AsyncMutex(try SplicePipe()) }

  func send(_ file: borrowing Descriptor, to socket: borrowing Descriptor) async throws {
    try await pipe.withLock { pipe in try await pipe.forward(from: file, to: socket) }
  }
}

func listening() async throws {
  let listener = try Listener(host: "127.0.0.1", port: 0)
  while true {
    let client = try await listener.accept()
    print(try client.localAddress())
  }
}

func files(_ old: borrowing Descriptor, _ new: borrowing Descriptor) async throws {
  var copy = FileCopy()
  try await copy.run(from: old, to: new)  // both open on regular files
  print(copy.paths)  // how much was shared, copied by the kernel, or is a hole
}

func fanning(
  _ source: borrowing Descriptor, _ file: consuming Descriptor, _ socket: consuming Descriptor
) async throws {
  let fan = try FanOut()
  let archive = try fan.attach(to: file)
  let player = try fan.attach(.skip, to: socket)
  for outcome in try await fan.run(from: source, to: [archive, player]) {
    print(outcome)  // how many bytes it accepted, or why it did not get them all
  }
}

func ends(_ socket: consuming Descriptor, _ file: consuming Descriptor) async throws {
  let (socket, file) = (Handover(socket), Handover(file))
  let outcome = try await SplicePipe(.memory).split().run(
    reading: { reader in try await reader.drain(to: file.take()) },
    writing: { writer in try await writer.fill(from: socket.take()) })
  print(outcome)
}

func sealed(_ rendered: String, _ client: borrowing Descriptor) async throws {
  let page = try SealedPages(copying: rendered.utf8Span.span.bytes)
  var answer = GatherList(page.file)
  try await answer.drain(to: client)
}

func records() throws {
  let log = try PageWriter(appendingTo: "/var/log/service.log")
  log.write("started\n")
}

func cancelled(
  _ camera: Handover<Descriptor>, _ disk: Handover<Descriptor>, _ spare: borrowing Descriptor
) async throws {
  let copying = Task {
    var pipe = try SplicePipe()
    do throws(SpliceError) {
      try await pipe.forward(from: camera.take(), to: disk.take())
    } catch .cancelled {
      // What was taken is in the pipe, and leaves with it.
    } catch {
      throw error
    }
    return Handover(pipe)
  }
  copying.cancel()
  var pipe = try await copying.value.take()
  try await pipe.drain(to: spare)
}

func stable(_ socket: borrowing Descriptor) async throws {
  let stable = try SharedFile("index.html", consistency: .stable)
  var list = GatherList(stable)
  try await list.drain(to: socket)
}

func chain(_ listener: borrowing Listener) async throws {
  let previous = try await listener.accept()
  let next = Handover(try await Descriptor.connect(host: "third", port: 9000))
  let disk = Handover(try Descriptor.open("disk.img", .writeOnly, options: [.create, .truncate]))
  let fan = try FanOut()
  let sinks = [try fan.attach(to: next.take()), try fan.attach(to: disk.take())]
  for outcome in try await fan.run(from: previous, to: sinks) { print(try outcome.get()) }
}

func copied(_ file: borrowing Descriptor, _ socket: borrowing Descriptor) async throws {
  var pipe = try SplicePipe()
  let copied = FlowOptions(via: .copy)
  try await pipe.forward(from: file, to: socket, options: copied)
}
