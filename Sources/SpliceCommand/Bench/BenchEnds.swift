// What feeds and what swallows, on threads beside the job that is measured, and the watch that leaves their CPU out.

import CSplice
import Splice
import Synchronization
import SystemPackage

/// CPU of this process and time of the clock, from here on.
struct Stopwatch {
  private let cpu = seconds(CLOCK_PROCESS_CPUTIME_ID)
  private let began = ContinuousClock.now

  var cost: Cost {
    Cost(
      cpu: Self.seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu,
      wall: Double((ContinuousClock.now - began).nanoseconds) / 1e9)
  }

  /// Of the calling thread, since it began.
  static var ofThread: Double { seconds(CLOCK_THREAD_CPUTIME_ID) }

  private static func seconds(_ clock: clockid_t) -> Double {
    var time = timespec()
    // Written by the call.
    unsafe clock_gettime(clock, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Two ends of a stream: what is written to the near one is read from the far one.
struct StreamPair: ~Copyable {
  private var near, far: Descriptor?

  private init(_ near: consuming Descriptor, _ far: consuming Descriptor) {
    self.near = consume near
    self.far = consume far
  }

  mutating func takeNear() -> Descriptor { Self.taken(near.take()) }
  mutating func takeFar() -> Descriptor { Self.taken(far.take()) }

  private static func taken(_ end: consuming Descriptor?) -> Descriptor {
    switch consume end {
    case .some(let end): return end
    case .none: preconditionFailure("taken twice")
    }
  }

  /// Over the loopback.
  static func tcp() throws -> StreamPair {
    let listener = try Listener(host: "127.0.0.1", port: 0)
    let near = try Descriptor.connect(to: [listener.address], waitingIn: .bench)
    let far = try listener.accept(waitingIn: .bench)
    try near.setNoDelay()
    try far.setNoDelay()
    return StreamPair(near, far)
  }
}

/// A thread at one end of a stream.
final class BenchEnd: Sendable {
  private let worker: Worker
  private let descriptor: Mutex<Descriptor?>
  private let work: @Sendable (borrowing Descriptor) throws -> Void
  private let cpu = Mutex(0.0)
  private let failure = Mutex<(any Error)?>(nil)

  /// What it does with an end, which is closed then.
  init(_ end: consuming Descriptor, _ work: @escaping @Sendable (borrowing Descriptor) throws -> Void) throws
  {
    worker = try Worker("splice-bench")
    descriptor = Mutex(consume end)
    self.work = work
  }

  fileprivate func begin() throws {
    try worker.begin { [self] in
      let before = Stopwatch.ofThread
      if let end = descriptor.withLock({ $0.take() }) {
        do { try work(end) } catch { failure.withLock { $0 = error } }
        try? end.close()
      }
      cpu.withLock { $0 = Stopwatch.ofThread - before }
    }
  }

  /// Waits until it has come to its end: the CPU it has used.
  fileprivate func finish() throws -> Double {
    try worker.wait(waitingIn: .bench)
    if let error = failure.withLock({ $0 }) { throw error }
    return cpu.withLock { $0 }
  }
}

extension [BenchEnd] {
  /// What a job costs beside these.
  func beside(_ job: () throws -> Void) throws -> Cost {
    let watch = Stopwatch()
    var ends = 0.0
    try during(job) { ends = $0 }
    let cost = watch.cost
    return Cost(cpu: cost.cpu - ends, wall: cost.wall)
  }

  /// Does something while these are at work, and waits for them. Of several failures the first is told that is
  /// none of a stream whose other end has gone.
  func during(_ job: () throws -> Void, cpu: (Double) -> Void = { _ in }) throws {
    for end in self { try end.begin() }
    var failures: [any Error] = []
    do { try job() } catch { failures.append(error) }
    var sum = 0.0
    for end in self {
      do { sum += try end.finish() } catch { failures.append(error) }
    }
    let consequences: [Errno] = [.brokenPipe, .connectionReset]
    if let cause = failures.first(where: { !consequences.contains($0.errno) }) ?? failures.first {
      throw cause
    }
    cpu(sum)
  }
}

extension Error {
  /// Why it happened, as the system says it.
  var errno: Errno {
    switch self {
    case let error as Errno: error
    case let error as Duplex.Failure: error.error.errno
    case let error as SpliceError:
      switch error {
      case .source(let errno), .sink(let errno), .pipe(let errno): errno
      case .timedOut: .timedOut
      case .truncated: .connectionReset
      case .cancelled: .canceled
      }
    default: .canceled
    }
  }
}

// MARK: - Kinds of ends

extension BenchEnd {
  private static let blockSize = 256 << 10

  /// A pipe as large as those of flows, if that is granted.
  static func pipe() throws(Errno) -> (reader: FileDescriptor, writer: FileDescriptor) {
    let ends = try Syscall.pipe2()
    _ = try? Syscall.setPipeSize(of: ends.writer, to: blockSize)
    return ends
  }

  /// Writes so many bytes from one buffer, as a program does that has made them.
  static func feeding(_ end: consuming Descriptor, _ bytes: Int) throws -> BenchEnd {
    try BenchEnd(end) { end in
      let block = [UInt8](repeating: 1, count: blockSize)
      var pipe = try SplicePipe(.memory)
      var left = bytes
      while left > 0 {
        // Bytes are bytes.
        try pipe.writeAll(unsafe block.span.bytes.extracting(first: min(left, block.count)))
        left -= min(left, block.count)
        try pipe.drain(to: end, waitingIn: .bench)
      }
    }
  }

  /// Takes all there is: from a socket into memory, as most programs do, and from a pipe by reference.
  static func swallowing(_ end: consuming Descriptor) throws -> BenchEnd {
    try BenchEnd(end) { end in
      var pipe = try SplicePipe()
      try pipe.forward(
        from: end, to: Descriptor.open("/dev/null", .writeOnly),
        options: FlowOptions(via: end.kind == .pipe ? .automatic : .copy), waitingIn: .bench)
    }
  }

  private static let messageSize = 100

  /// Sends a message and waits for the answer, so many times.
  static func asking(_ end: consuming Descriptor, _ count: Int) throws -> BenchEnd {
    try BenchEnd(end) { end in
      var message = [UInt8](repeating: 1, count: messageSize)
      for _ in 0..<count {
        try end.withFileDescriptor { end throws(Errno) in
          try end.write(all: message[...])
          var left = message.count
          while left > 0 {
            let count = try end.read(into: &message)
            if count == 0 { throw .connectionReset }
            left -= count
          }
        }
      }
    }
  }

  /// Sends back what comes.
  static func echoing(_ end: consuming Descriptor) throws -> BenchEnd {
    try BenchEnd(end) { end in
      var message = [UInt8](repeating: 1, count: messageSize)
      try end.withFileDescriptor { end throws(Errno) in
        while true {
          let count = try end.read(into: &message)
          if count == 0 { return }
          try end.write(all: message[..<count])
        }
      }
    }
  }
}

extension FileDescriptor {
  /// Reads what there is as soon as there is something; 0 at the end.
  func read(into buffer: inout [UInt8]) throws(Errno) -> Int {
    while true {
      do throws(Errno) {
        return try Syscall.read(self, into: &buffer)
      } catch  where error == .wouldBlock { try wait(POLLIN) }
    }
  }

  /// Writes all of it, and waits for room.
  func write(all bytes: ArraySlice<UInt8>) throws(Errno) {
    var rest = bytes
    while !rest.isEmpty {
      do throws(Errno) {
        rest = rest.dropFirst(try Syscall.write(self, rest))
      } catch  where error == .wouldBlock { try wait(POLLOUT) }
    }
  }

  private func wait(_ events: CInt) throws(Errno) {
    var entries = [pollfd(fd: rawValue, events: Int16(events), revents: 0)]
    if try Syscall.ppoll(&entries, for: .seconds(20)) == 0 { throw .timedOut }
  }
}
