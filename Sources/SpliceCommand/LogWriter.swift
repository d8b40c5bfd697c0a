// The log's way to standard error, or to a file: a bounded queue, and a thread that writes it.
//
// A thread that logs never waits: when standard error is not read, only the writing thread is held. Lines the
// queue has no room for are dropped and counted: in the log itself, as soon as it is written again, and in a
// metric.

#if Services
import CSplice
import CoreMetrics
import Splice
import Synchronization
import SystemPackage

/// Writes lines to standard error or a file, in the order in which they came.
final class LogWriter: Sendable {
  private struct Line {
    let bytes: [UInt8]
    /// How many dropped lines it reports; nil for a line that was logged.
    var reports: Int?
  }

  private struct State {
    var pending: [Line] = []
    /// Lines that are not written yet, pending or just being written, and their bytes.
    var (count, bytes) = (0, 0)
    /// From the line that found no room on until half of the queue is written, so that gaps are few and each
    /// is reported once.
    var isFull = false
    /// Dropped and not reported.
    var dropped = 0
    /// The thread waits, or is about to, and has to be woken.
    var isAsleep = false
    var isEnding = false

    mutating func append(_ line: Line) {
      pending.append(line)
      count += 1
      bytes += line.bytes.count
    }
  }

  private let state = Locked(State())
  private let bell, ended: Event
  private let droppedTotal: Counter
  private let report: @Sendable (_ dropped: Int) -> String
  private let target: LogTarget

  private static let mostLines = 4096
  private static let mostBytes = 1 << 20
  /// How long the end of the process waits for a standard error that is not read.
  private static let patience = Duration.seconds(1)

  /// What its metric is, by name.
  static let metricsHelp = [
    "splice_log_dropped_total": "Lines of a log that were dropped because nobody took them fast enough."
  ]

  /// Starts the thread. `report` makes the line that says how many were dropped.
  init(
    _ metrics: any MetricsFactory, to target: LogTarget = LogTarget(.standardError),
    report: @escaping @Sendable (_ dropped: Int) -> String
  ) throws(Errno) {
    (bell, ended) = (try Event(), try Event())
    self.target = target
    droppedTotal = Counter(label: "splice_log_dropped_total", factory: metrics)
    self.report = report
    try Syscall.startThread(name: "splice-log") { self.run() }
  }

  /// Queues a line, and drops it when there is no room. Never waits.
  func write(_ text: String) {
    let line = Line(bytes: Array((text + "\n").utf8))
    let mustWake = state.withLock { state in
      let hasRoom = state.count < Self.mostLines && state.bytes + line.bytes.count <= Self.mostBytes
      guard hasRoom, !state.isFull else {
        state.isFull = state.count > 0
        drop(1, &state)
        return false
      }
      state.append(line)
      defer { state.isAsleep = false }
      return state.isAsleep
    }
    if mustWake { bell.signal() }
  }

  private func drop(_ count: Int, _ state: inout State) {
    state.dropped += count
    droppedTotal.increment(by: count)
  }

  /// Gives what is queued a bounded time to be written. Lines that come afterwards may be lost.
  func finish() {
    state.withLock { $0.isEnding = true }
    bell.signal()
    let poll = BlockingWait(until: .now + Self.patience)
    while !ended.isSignalled, (try? poll.check()) != nil { _ = try? poll.wait(for: ended.interest) }
  }
}

// MARK: - The thread

extension LogWriter {
  private func run() {
    while true {
      let (batch, isOver) = state.withLock { state in
        defer { state.pending = [] }
        state.isAsleep = state.pending.isEmpty
        return (state.pending, state.pending.isEmpty && state.isEnding)
      }
      for line in batch { release(line, wasWritten: target.write(line.bytes)) }
      if isOver { return ended.signal() }
      if batch.isEmpty {
        _ = try? BlockingWait().wait(for: bell.interest)
        bell.drain()
      }
    }
  }

  /// The line leaves the queue. Where others were dropped, that is reported behind those that were queued
  /// before them.
  private func release(_ line: Line, wasWritten: Bool) {
    state.withLock { state in
      state.count -= 1
      state.bytes -= line.bytes.count
      if state.count <= Self.mostLines / 2, state.bytes <= Self.mostBytes / 2 { state.isFull = false }
      guard wasWritten else {
        // Counted already, when it is a report.
        if let reported = line.reports { state.dropped += reported } else { drop(1, &state) }
        return
      }
      guard !state.isFull, state.dropped > 0 else { return }
      state.append(Line(bytes: Array((report(state.dropped) + "\n").utf8), reports: state.dropped))
      state.dropped = 0
    }
  }
}

/// Where a log is written. Used by its thread alone, but for ``reopen()``.
final class LogTarget: Sendable {
  private let path: FilePath?
  private let number: Locked<FileDescriptor>
  private let isToReopen = Atomic<Bool>(false)

  /// A descriptor that stays open.
  init(_ descriptor: FileDescriptor) { (path, number) = (nil, Locked(descriptor)) }

  /// A file, which is appended to, and made if it is not there.
  init(_ path: FilePath) throws(Errno) {
    (self.path, number) = (path, Locked(try Self.open(path)))
  }

  private static func open(_ path: FilePath) throws(Errno) -> FileDescriptor {
    try Syscall.open(path, flags: O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY, mode: 0o644)
  }

  /// The next line goes to whatever has the name then: a file that was moved away is followed by another.
  func reopen() { isToReopen.store(true, ordering: .relaxed) }

  /// Writes all of a line, waiting as long as it takes; false when it is refused.
  fileprivate func write(_ line: [UInt8]) -> Bool {
    if isToReopen.exchange(false, ordering: .relaxed), let path, let new = try? Self.open(path) {
      let old = number.withLock { number in
        defer { number = new }
        return number
      }
      try? Syscall.close(old)
    }
    let number = number.withLock { $0 }
    var rest = line
    while !rest.isEmpty {
      do throws(Errno) { rest.removeFirst(try Syscall.write(number, rest)) } catch {
        guard error == .wouldBlock else { return false }
        // It is not ours to be made blocking.
        let key = RegistrationKey(descriptor: number, generation: 0)
        _ = try? BlockingWait().wait(for: Interest(key, as: .sink))
      }
    }
    return true
  }
}
#endif
