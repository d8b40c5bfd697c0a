// Drives what has one descriptor: a pipe that is drained, or one end of a pipe that another task or thread
// has the other end of.

import SystemPackage

/// The end of a pipe, or of a fan-out, that a flow has.
struct AtEnd: Sendable {
  let pipe: any Waitable
  let side: Side

  init(_ pipe: any Waitable, _ side: Side) { (self.pipe, self.side) = (pipe, side) }

  /// Readable for good once nothing more can be done here.
  func alarm() throws(SpliceError) -> FileDescriptor { try pipe.alarm(for: side) }
}

/// What tells of an end while a descriptor is listened to as well.
struct EndWatch: Sendable {
  /// Readable when a wait for the end is over.
  let event: RegistrationKey
  /// The descriptor.
  let sink: RegistrationKey

  /// Waits until the end has done something, or the sink has hung up; early at any time.
  func wait(
    for pipe: any Waitable, _ side: Side, until end: Moment?, on readiness: any Readiness
  ) async throws(SpliceError) -> ReadySet {
    if try pipe.event(for: side) == nil {
      // Of an end that was given away meanwhile the kernel tells.
      try await otherEnd(of: pipe, side, end, readiness)
      return .first
    }
    guard try pipe.beginForEvent(as: side) else { return .first }
    defer { pipe.endForEvent(as: side) }
    do throws(Errno) {
      let wait = Wait(Interest(event, as: .source), holding: sink, until: end)
      return try await elsewhere(wait, readiness).intersection(.failed).union(.first)
    } catch { throw .pipe(error) }
  }
}

/// In a task. `alarm` is readable for good once nothing more is to be done at the end it has, whatever the
/// descriptor does.
func drive(
  watching descriptor: borrowing Descriptor, as direction: Descriptor.Direction, alarm: FileDescriptor? = nil,
  of at: AtEnd? = nil, _ options: FlowOptions, until deadline: ContinuousClock.Instant?,
  waitingOn readiness: any Readiness,
  _ step: (Waits, ReadySet, Flow.Thread) throws(SpliceError) -> StepResult
) async throws(SpliceError) {
  let none = FileDescriptor(rawValue: -1)
  let atDescriptor = Registration(descriptor.raw, on: readiness)
  let key = atDescriptor.key
  var alarm = alarm
  if alarm == nil { alarm = try at?.alarm() }
  let atAlarm = Registration(alarm ?? none, on: readiness)
  let alarmKey = atAlarm.key
  // A sink that hangs up is heard of while its end is waited for; without a descriptor for that, at the next
  // byte.
  let isFollowed = direction == .sink && at != nil && descriptor.canHangUp && readiness.epollExecutor != nil
  let event = isFollowed ? (try? at?.pipe.event(for: .reader)) ?? nil : nil
  let atEvent = Registration(event ?? none, on: readiness)
  let ends = event.map { _ in EndWatch(event: atEvent.key, sink: key) }
  if isFollowed { readiness.follow(key, from: nil, closing: options.whenSinkCloses == .end) }
  let waits = Waits(key, as: direction, alarm: alarmKey)
  let outcome = await withTaskCancellationHandler { () -> Result<Void, SpliceError> in
    do throws(SpliceError) {
      // Who had the descriptor before may have been told its last edge.
      var beginning: ReadySet = readiness.mayHaveToldLastEdge(of: key) ? [.last, .failed] : []
      try await drive(until: deadline.map(Moment.init), waitingOn: readiness, watching: ends) {
        ready, thread throws(SpliceError) in
        defer { beginning = [] }
        return try step(waits, ready.union(beginning), thread)
      }
      return .success(())
    } catch { return .failure(error) }
  } onCancel: {
    readiness.interrupt(key)
    if alarmKey != .none { readiness.interrupt(alarmKey) }
    if let ends { readiness.interrupt(ends.event) }
  }
  if direction == .sink { descriptor.flowEnded(outcome.isSuccess) }
  try outcome.get()
}

extension Waits {
  init(_ key: RegistrationKey, as direction: Descriptor.Direction, alarm: RegistrationKey) {
    switch direction {
    case .source: self.init(source: key, alarm: alarm)
    case .sink: self.init(sink: key, alarm: alarm)
    }
  }
}
