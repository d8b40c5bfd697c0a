// Records a broadcast, on a thread of its own, which may wait for the disk as long as that takes: what comes
// meanwhile is kept, first in a pipe and then in memory. A disk that takes nothing for longer makes a gap, and
// no viewer notices.

import Logging
import Splice
import Synchronization
import SystemPackage

/// What is to be known of a recording.
struct RecordingState: Sendable {
  enum Activity: Sendable, Hashable {
    case recording, waiting(String), over
  }

  var activity = Activity.recording
  /// The file that is written now, or was written last.
  var file: FilePath?
  var bytes: UInt64 = 0
  var files: UInt64 = 0
  var removed: UInt64 = 0
  var gaps: UInt64 = 0
  var missed: UInt64 = 0
  /// Files that are whole and could not be given their names.
  var unnamed = 0
}

/// Records a broadcast.
final class Recorder: Sendable {
  let recording = FanOut.Recording()
  private let fan: FanOut
  private let options: Broadcast.RecordingOptions
  private let logger: Logger
  private let stop: StopFlag
  /// Signalled once it has ended.
  let ended: Event
  private let asked = Atomic<Bool>(false)
  private let isEnding = Atomic<Bool>(false)
  /// Whether what went wrong was said, and has not changed since.
  private let isSaid = Atomic<Bool>(false)
  private let status = Locked(RecordingState())
  /// The first file and its sink, made before anybody is served.
  private let first: Locked<FanOut.Sink?>
  private let files: Mutex<RecordingFiles>

  /// So many files are open for viewers who read them.
  private static let mostFiles = 64
  /// How long to wait before the disk is tried again.
  private static let patience = Duration.seconds(1)

  /// - Throws: What speaks against recording there.
  init(_ fan: FanOut, _ options: Broadcast.RecordingOptions, _ logger: Logger) throws(Errno) {
    (self.fan, self.options, self.logger) = (fan, options, logger)
    (stop, ended) = (try StopFlag(), try Event())
    files = Mutex(try RecordingFiles(options))
    first = Locked(try Self.attach(to: fan, options))
  }

  private static func attach(
    to fan: FanOut, _ options: Broadcast.RecordingOptions
  ) throws(Errno) -> FanOut.Sink {
    let sink = try fan.attach(.detach(), comesAgain: true, capacity: options.buffer)
    try sink.reserve()
    return sink
  }

  var state: RecordingState {
    var state = status.withLock { $0 }
    state.bytes = recording.recorded
    // A gap that lasts still.
    if first.withLock({ $0 }) == nil, recording.isPaused {
      state.missed += fan.position - min(fan.position, recording.end)
    }
    return state
  }

  /// Begins. Without a thread to be had nothing has begun.
  func begin() throws(Errno) {
    try Syscall.startThread(name: "splice-record") { [self] in
      record()
      ended.signal()
    }
  }

  /// The file is ended and the next one begun.
  func reopen() {
    asked.store(true, ordering: .sequentiallyConsistent)
    stop.stop()
  }

  /// What has come by now is the last, also while the disk takes nothing.
  func end() {
    isEnding.store(true, ordering: .sequentiallyConsistent)
    stop.stop()
  }
}

// MARK: - On its thread

extension Recorder {
  private func record() {
    var sink = first.withLock { $0.take() }
    while !isOver(sink) {
      do throws(Errno) {
        let part = try files.withLock { files throws(Errno) in try files.begin(probing: sink == nil) }
        let attached: FanOut.Sink
        do throws(Errno) { attached = try attach(after: sink) } catch {
          part.discard()
          throw error
        }
        sink = attached
        if try record(part, from: attached) { break }
      } catch {
        complain("cannot begin a file of the recording", error, options.path)
        pause("\(error)")
      }
      // It is let go before another one comes, so that what a disk does not take is kept once.
      if sink == nil { recording.pause() }
      if sink?.reason != nil {
        sink = nil
        recording.pause()
        logger.error(
          "the recording stops: its disk has taken nothing for longer than there is memory for",
          metadata: ["at": "\(recording.end)"])
      }
    }
    // What it has not taken, it will not have.
    sink?.detach()
    sayGap(before: fan.position)
    files.withLock { files in
      files.nameLate()
      let unnamed = files.unnamed
      say { $0.unnamed = unnamed }
    }
    recording.finish()
    say { $0.activity = .over }
  }

  private func attach(after sink: FanOut.Sink?) throws(Errno) -> FanOut.Sink {
    if let sink { return sink }
    // Viewers wait for what it is given from its first moment on.
    recording.resume()
    return try Self.attach(to: fan, options)
  }

  /// Whether nothing more is to be recorded.
  private func isOver(_ sink: FanOut.Sink?) -> Bool {
    isEnding.load(ordering: .sequentiallyConsistent) || sink == nil && fan.isFinished
  }

  /// Records a file to its end; whether the stream has ended with it.
  private func record(
    _ part: consuming RecordingFiles.Part, from sink: FanOut.Sink
  ) throws(Errno) -> Bool {
    let start = sink.position
    sayGap(before: start)
    try recording.begin(part.takeReading(), writtenBy: sink)
    let name = part.name
    say { $0.file = name }
    let ended = write(part, from: sink, since: start)
    let end = cut(part, from: sink, since: start)
    do throws(Errno) {
      var taken: RecordingFiles.Part? = consume part
      let removed = try files.withLock { files throws(Errno) in
        guard let part = taken.take() else { return 0 }
        return try files.end(part, at: start, bytes: end - start)
      }
      say {
        $0.files += end > start ? 1 : 0
        $0.removed += UInt64(removed)
      }
      if let failure = files.withLock({ $0.indexFailure }) {
        complain("cannot write down what was recorded", failure, options.path.appending(suffix: ".index"))
      }
    } catch { complain("cannot give the recording its name", error, name) }
    recording.forget(keeping: Self.mostFiles)
    return ended
  }

  /// What was let go within a unit is cut back to a whole one: where the file ends in the stream.
  private func cut(
    _ part: borrowing RecordingFiles.Part, from sink: FanOut.Sink, since start: UInt64
  ) -> UInt64 {
    let end = sink.position
    guard sink.reason != nil, units(end) != end else { return end }
    let whole = max(start, units(end))
    let length = Int64(whole - start)
    do throws(Errno) {
      try part.file.withFileDescriptor { file throws(Errno) in try Syscall.ftruncate(file, to: length) }
    } catch { return end }
    recording.cut(to: whole)
    return whole
  }

  /// Writes until the file is to end, which it does with a whole unit; whether the stream has ended.
  private func write(
    _ part: borrowing RecordingFiles.Part, from sink: FanOut.Sink, since start: UInt64
  ) -> Bool {
    var rotation = options.rotateInterval.map { ContinuousClock.now + $0 }
    // At least one unit, wherever the file begins.
    var end = options.rotateSize.map { max(units(start + $0), units(start) + UInt64(fan.alignment)) }
    var position = start
    while true {
      if isEnding.load(ordering: .sequentiallyConsistent) { return true }
      if asked.exchange(false, ordering: .sequentiallyConsistent) { end = nextUnit(sink.position) }
      if sink.position > position || position == start {
        position = sink.position
        say { $0.activity = .recording }
        isSaid.store(false, ordering: .relaxed)
      }
      let left = end.map { $0 - min($0, sink.position) } ?? .max
      if left == 0 { return false }
      let next = [rotation, nextSync].compactMap { $0 }.min()
      do throws(SpliceError) {
        let poll = BlockingWait(until: next, orStoppedBy: stop)
        let count = try sink.drain(to: part.file, upTo: left, waitingIn: poll)
        if count < left { return true }
      } catch {
        switch error {
        case .timedOut:
          if let time = rotation, time <= .now {
            rotation = nil
            // What completes a unit has come with its beginning. One in which nothing came goes on.
            if sink.position > start {
              end = nextUnit(sink.position)
            } else {
              rotation = options.rotateInterval.map { .now + $0 }
            }
          } else {
            try? part.file.withFileDescriptor { file throws(Errno) in try Syscall.fsync(file) }
          }
        // Why is looked at after this.
        case .cancelled: stop.reset()
        case .sink(let errno) where sink.reason == nil:
          complain("cannot record", errno, part.name)
          pause("\(errno)")
        default: return fan.isFinished && sink.counters.lag == 0
        }
      }
    }
  }

  /// Whole units of the stream up to a place.
  private func units(_ position: UInt64) -> UInt64 { position - position % UInt64(fan.alignment) }
  /// Where the unit ends in which a place is.
  private func nextUnit(_ position: UInt64) -> UInt64 { units(position + UInt64(fan.alignment) - 1) }

  private var nextSync: ContinuousClock.Instant? {
    if case .every(let interval) = options.sync { .now + interval } else { nil }
  }

  /// Waits a little, for a disk that cannot be written now. Whoever has a word meanwhile is heard after it.
  private func pause(_ why: String) {
    say { $0.activity = .waiting(why) }
    // What was removed has room only once nobody reads it.
    recording.forget()
    BlockingWait(orStoppedBy: stop).pause(for: Self.patience)
    stop.reset()
  }
}

// MARK: - What is said

extension Recorder {
  private func say(_ change: (inout RecordingState) -> Void) { status.withLock { change(&$0) } }

  /// Once, until it goes on.
  private func complain(_ what: String, _ error: Errno, _ file: FilePath) {
    if isSaid.exchange(true, ordering: .relaxed) { return }
    logger.error("\(what)", metadata: ["file": "\(file.string.escaped)", "reason": "\(error)"])
  }

  /// What of the stream went by before a file begins, if anything.
  private func sayGap(before start: UInt64) {
    let end = recording.end
    guard end < start else { return }
    status.withLock { status in
      status.gaps += 1
      status.missed += start - end
    }
    files.withLock { $0.addGap(end..<start, why: "the disk took nothing") }
    logger.error("the recording has a gap", metadata: ["at": "\(end)", "bytes": "\(start - end)"])
  }
}
