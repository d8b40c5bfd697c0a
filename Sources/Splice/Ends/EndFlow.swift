// Flows between one end of a pipe and a descriptor, and the waits of an end: for a task that only reads or only writes.

import SystemPackage

// MARK: - Reading

extension PipeReader {
  /// Waits until there is something to read, or nothing will follow. Throws when the task is cancelled, or at the deadline.
  public mutating func wait(
    until deadline: ContinuousClock.Instant? = nil, on readiness: some Readiness = .epoll
  ) async throws(SpliceError) {
    while state == .waiting { try await end.pipe.wait(as: .reader, until: deadline, on: readiness) }
  }

  /// The same while the calling thread waits.
  public mutating func wait(waitingIn poll: Poll) throws(SpliceError) {
    while state == .waiting { try end.pipe.wait(as: .reader, waitingIn: poll) }
  }

  /// Hands bytes to a sink until the writer has ended and nothing is left.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``; what was not accepted is still in the pipe.
  @discardableResult
  public mutating func splice(
    to sink: borrowing Descriptor, until deadline: ContinuousClock.Instant? = nil,
    waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var moved: UInt64 = 0
    let alarm = try end.pipe.alarm(for: .reader)
    try await drive(watching: sink, alarm, until: deadline, waitingOn: readiness) {
      keys, _, thread throws(SpliceError) in
      try step(&moved, to: sink, keys, on: thread)
    }
    return moved
  }

  /// The same while the calling thread waits.
  @discardableResult
  public mutating func splice(
    to sink: borrowing Descriptor, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    var moved: UInt64 = 0
    let keys = EndKeys(sink, alarm: try end.pipe.alarm(for: .reader))
    try drive(waitingIn: poll) { _, thread throws(SpliceError) in
      try step(&moved, to: sink, keys, on: thread)
    }
    return moved
  }

  private mutating func step(
    _ moved: inout UInt64, to sink: borrowing Descriptor, _ keys: EndKeys, on thread: Flow.Thread
  ) throws(SpliceError) -> Halt {
    let start = moved
    while moved - start < FlowMachine.turnSize {
      switch state {
      case .invalid: throw .pipe(.badMessage)
      case .waiting: return .waitEnd(end.pipe, .reader)
      case .ready where thread == .mustNotWait && sink.kind.isDisk: return .disk
      case .ready, .closed: break
      }
      let transfer: Transfer
      do throws(Errno) { transfer = try splice(to: sink) } catch { throw .sink(error) }
      switch transfer {
      case .bytes(let count): moved += UInt64(count)
      case .endOfFile: return .finished
      case .wouldBlock: return keys.wait(as: .sink)
      }
    }
    return .rest
  }
}

// MARK: - Writing

extension PipeWriter {
  /// Waits until there is a slot to fill, or nobody is left to read. Throws when the task is cancelled, or at the deadline.
  public mutating func wait(
    until deadline: ContinuousClock.Instant? = nil, on readiness: some Readiness = .epoll
  ) async throws(SpliceError) {
    while state == .waiting { try await end.pipe.wait(as: .writer, until: deadline, on: readiness) }
  }

  /// The same while the calling thread waits.
  public mutating func wait(waitingIn poll: Poll) throws(SpliceError) {
    while state == .waiting { try end.pipe.wait(as: .writer, waitingIn: poll) }
  }

  /// Takes bytes from a source until it ends.
  ///
  /// - Returns: How many bytes were taken.
  /// - Throws: ``SpliceError``; what was taken is in the pipe. When the reader is gone, EPIPE as ``SpliceError/sink(_:)``.
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, pace: Pace? = nil,
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var intake = Intake(limit: limit, pace: pace)
    let alarm = try end.pipe.alarm(for: .writer)
    try await drive(watching: source, alarm, until: deadline, waitingOn: readiness) {
      keys, _, thread throws(SpliceError) in
      try step(&intake, from: source, keys, on: thread)
    }
    return intake.moved
  }

  /// The same while the calling thread waits.
  @discardableResult
  public mutating func splice(
    from source: borrowing Descriptor, upTo limit: UInt64 = .max, pace: Pace? = nil, waitingIn poll: Poll
  ) throws(SpliceError) -> UInt64 {
    var intake = Intake(limit: limit, pace: pace)
    let keys = EndKeys(source, alarm: try end.pipe.alarm(for: .writer))
    try drive(waitingIn: poll) { _, thread throws(SpliceError) in
      try step(&intake, from: source, keys, on: thread)
    }
    return intake.moved
  }

  /// What a flow has taken, and what it may still take.
  private struct Intake {
    let limit: UInt64
    var pace: Pace?
    var moved: UInt64 = 0
    var disk = DiskProbe()

    init(limit: UInt64, pace: Pace?) {
      self.limit = limit
      self.pace = pace
    }
  }

  private mutating func step(
    _ intake: inout Intake, from source: borrowing Descriptor, _ keys: EndKeys, on thread: Flow.Thread
  ) throws(SpliceError) -> Halt {
    let start = intake.moved
    while intake.moved < intake.limit {
      if intake.moved - start >= FlowMachine.turnSize { return .rest }
      switch state {
      case .invalid: throw .pipe(.badMessage)
      case .closed: throw .sink(.brokenPipe)
      case .waiting: return .waitEnd(end.pipe, .writer)
      case .ready: break
      }
      var most = Int(min(intake.limit - intake.moved, UInt64(FlowMachine.largestFill)))
      if let allowed = intake.pace?.allowance(at: .now), let next = intake.pace?.next {
        if allowed == 0 { return .wait(nil, until: next) }
        most = min(most, allowed)
      }
      if source.kind.isDisk {
        if thread == .mayWaitForDisk { intake.disk.look(at: source) }
        if thread == .mustNotWait, intake.disk.mayWait(for: source, at: nil) { return .disk }
      }
      let transfer: Transfer
      do throws(Errno) { transfer = try splice(from: source, upTo: most) } catch {
        throw error == .brokenPipe ? .sink(error) : .source(error)
      }
      switch transfer {
      case .bytes(let count):
        intake.moved += UInt64(count)
        intake.disk.advance(by: count)
        intake.pace?.took(count)
      case .endOfFile: return .finished
      case .wouldBlock: return keys.wait(as: .source)
      }
    }
    return .finished
  }
}

// MARK: - Waiting for the descriptor

/// What a flow of one end waits for: its descriptor, and word that there is nothing more to wait for.
struct EndKeys {
  private let descriptor, alarm: RegistrationKey

  init(_ descriptor: RegistrationKey, alarm: RegistrationKey) {
    self.descriptor = descriptor
    self.alarm = alarm
  }

  /// For `poll`, which keeps no registrations.
  init(_ descriptor: borrowing Descriptor, alarm: FileDescriptor) {
    self.init(
      RegistrationKey(descriptor: descriptor.raw, generation: 0),
      alarm: RegistrationKey(descriptor: alarm, generation: 0))
  }

  func wait(as direction: Descriptor.Direction) -> Halt {
    .wait(Interest(descriptor, as: direction), or: Interest(alarm, as: .source))
  }
}

/// Drives what has one descriptor and an alarm, in a task.
func drive(
  watching descriptor: borrowing Descriptor, _ alarm: FileDescriptor,
  until deadline: ContinuousClock.Instant?, waitingOn readiness: some Readiness,
  _ step: (EndKeys, Woken, Flow.Thread) throws(SpliceError) -> Halt
) async throws(SpliceError) {
  let atDescriptor = Registration(descriptor.raw, on: readiness)
  let atAlarm = Registration(alarm, on: readiness)
  let (key, alarmKey) = (atDescriptor.key, atAlarm.key)
  let outcome = await withTaskCancellationHandler { () -> Result<Void, SpliceError> in
    do throws(SpliceError) {
      // Who had the descriptor before may have been told its last edge.
      var beginning: Woken = readiness.mayHaveToldLastEdge(of: key) ? .last : []
      try await drive(until: deadline, waitingOn: readiness) {
        woken, thread throws(SpliceError) in
        defer { beginning = [] }
        return try step(EndKeys(key, alarm: alarmKey), woken.union(beginning), thread)
      }
      return .success(())
    } catch { return .failure(error) }
  } onCancel: {
    readiness.interrupt(key)
  }
  try outcome.get()
}
