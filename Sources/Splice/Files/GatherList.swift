// Bytes, stretches of files and what pipes hold, sent as one stream: a header leaves in the same segment as
// the file behind it.

import SystemPackage

/// What is to be sent as one stream: bytes, stretches of files and what pipes hold, one after the other.
///
/// ```swift
/// let file = try await SharedFile.open("index.html")
/// var answer = GatherList()
/// answer.append("\(file.size)\n".utf8Span.span.bytes)
/// answer.append(file)
/// try await answer.drain(to: client)
/// ```
///
/// Nothing is copied but the bytes that were appended as such, and nothing is read before it is sent. What
/// was taken out of the list and not accepted by a sink is in its pipe: after a failure another
/// ``drain(to:options:until:waitingOn:)`` goes on with the same bytes. Files go to a socket through no pipe, so
/// that a slow reader holds none.
public struct GatherList: ~Copyable, Sendable {
  private var pipe: SplicePipe
  /// So many bytes of the part that is next are handed on behind what is in the pipe, through none.
  private var claimed = 0
  /// What was.
  private var sent = PathCounts()
  /// The kernel has refused that to a file.
  private var isRefused = false
  /// The sink sends full packets only, until this is over.
  private var isCorked = false
  private var parts: [Part] = []
  /// The first that has not been taken whole.
  private var next = 0
  /// So many bytes are missing at the end of a file: nothing of what comes behind it is sent.
  private var missing: UInt64 = 0

  /// Part of the stream, and how far it was taken.
  private enum Part: Sendable {
    case bytes(PipeSegment)
    case file(SharedFile, at: Int64, count: UInt64)
    case pipe(Locked<SplicePipe>)
  }

  /// An empty list, which borrows its pipe from a pool.
  public init(capacity: Int = 1 << 20, from pool: PipePool = .shared) {
    pipe = SplicePipe(from: pool, capacity: capacity)
  }

  /// A file, or a stretch of it.
  public init(_ file: SharedFile, _ stretch: Range<UInt64>? = nil) {
    self.init()
    append(file, stretch ?? 0..<file.size)
  }

  /// Bytes that have not been accepted yet.
  public var count: UInt64 {
    parts[next...].reduce(UInt64(pipe.count)) { sum, part in
      switch part {
      case .bytes(let segment): sum + UInt64(segment.count)
      case .file(_, _, let count): sum + count
      case .pipe(let held): sum + UInt64(held.withLock { $0.count })
      }
    }
  }

  /// Bytes that were accepted.
  public var delivered: UInt64 { deliveredBy.total }

  private var deliveredBy: PathCounts {
    var counts = pipe.deliveredBy
    counts.add(sent)
    return counts
  }

  /// What is to be handed on.
  private var held: Int { pipe.count + claimed }

  /// Adds bytes, which are copied.
  public mutating func append(_ bytes: borrowing RawSpan) { append(PipeSegment(copying: bytes)) }

  /// Adds bytes by reference.
  public mutating func append(_ segment: PipeSegment) {
    if segment.count > 0 { parts.append(.bytes(segment)) }
  }

  /// Adds bytes in front of everything, of which nothing has been sent yet.
  package mutating func prepend(_ bytes: borrowing RawSpan) {
    if bytes.isEmpty { return }
    parts.insert(.bytes(PipeSegment(copying: bytes)), at: next)
  }

  /// Adds a file, as long as it was when it was opened.
  public mutating func append(_ file: SharedFile) { append(file, 0..<file.size) }

  /// Adds a stretch of a file. That it is longer than the file is found out when it is sent.
  public mutating func append(_ file: SharedFile, _ stretch: Range<UInt64>) {
    if stretch.isEmpty { return }
    let offset = Int64(clamping: stretch.lowerBound)
    parts.append(.file(file, at: offset, count: stretch.upperBound - stretch.lowerBound))
  }

  /// Adds what a pipe holds.
  public mutating func append(_ held: consuming SplicePipe) {
    if held.count == 0 { return }
    parts.append(.pipe(Locked(held)))
  }
}

// MARK: - Flows

extension GatherList {
  /// Sends everything that is in the list, in order.
  ///
  /// - Returns: How many bytes the sink accepted.
  /// - Throws: ``SpliceError``: a file that cannot be read as ``SpliceError/source(_:)``; one that ends before
  ///   its stretch does as ``SpliceError/truncated(missing:)``, after what was before the end has been sent,
  ///   and each time it is tried again; one that was to be stable and was written as ESTALE.
  ///
  /// C: `send` with MSG_MORE, `sendfile`, and TCP_CORK while it sends a large file
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, options: FlowOptions = FlowOptions(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness = .epoll
  ) async throws(SpliceError) -> UInt64 {
    var flow = Flow(gathering: options)
    return try await goOn(&flow, to: sink, options, until: deadline, waitingOn: readiness)
  }

  /// Sends everything that is in the list, while the calling thread waits.
  @discardableResult
  public mutating func drain(
    to sink: borrowing Descriptor, options: FlowOptions = FlowOptions(), waitingIn poll: BlockingWait
  ) throws(SpliceError) -> UInt64 {
    var flow = Flow(gathering: options)
    let before = delivered
    var drive = try ThreadDrive(polling: sink, as: .sink, options, waitingIn: poll)
    defer {
      uncork(sink)
      sink.flowEnded(drive.hasFinished)
    }
    while try drive.wait(
      for: try step(&flow, drive.ready, to: sink, drive.waits, on: .mayWaitForDisk)
    ) {}
    try mustBeWhole()
    return delivered - before
  }

  /// Sends what the sink takes at once, from what is in memory: true when that was everything. Else
  /// ``goOn(_:to:_:until:waitingOn:)`` goes on, on a thread where it may be waited.
  package mutating func attempt(
    _ flow: inout Flow, to sink: borrowing Descriptor
  ) throws(SpliceError) -> Bool {
    let waits = Waits(sink: RegistrationKey(polling: sink.raw))
    defer { uncork(sink) }
    let halt: StepResult
    do throws(SpliceError) { halt = try step(&flow, .first, to: sink, waits, on: .mustNotWait) } catch {
      sink.flowEnded(false)
      throw error
    }
    guard case .finished = halt else { return false }
    try mustBeWhole()
    return true
  }

  package mutating func goOn(
    _ flow: inout Flow, to sink: borrowing Descriptor, _ options: FlowOptions = FlowOptions(),
    until deadline: ContinuousClock.Instant? = nil, waitingOn readiness: some Readiness
  ) async throws(SpliceError) -> UInt64 {
    let before = delivered
    defer { uncork(sink) }
    try await drive(watching: sink, as: .sink, options, until: deadline, waitingOn: readiness) {
      waits, ready, thread throws(SpliceError) in
      try step(&flow, ready, to: sink, waits, on: thread)
    }
    try mustBeWhole()
    return delivered - before
  }

  private mutating func uncork(_ sink: borrowing Descriptor) {
    if isCorked { isCorked = !Syscall.cork(sink.raw, false) }
  }

  private func mustBeWhole() throws(SpliceError) {
    if missing > 0 { throw .truncated(missing: missing) }
  }

  private mutating func step(
    _ flow: inout Flow, _ ready: ReadySet, to sink: borrowing Descriptor, _ waits: Waits,
    on thread: Flow.Thread
  ) throws(SpliceError) -> StepResult {
    if ready.contains(.first) { flow.wake(count: held) }
    let mark = flow.mark(deliveredBy)
    defer { flow.count(deliveredBy, since: mark) }
    // Nothing was taken for an earlier one.
    if !flow.hasBegun { (claimed, isCorked) = (0, false) }
    let goesDirectly = sink.kind.isStream && sink.patience == .ownNonBlocking && flow.mayGoDirectly
    let halt = try Syscall.withoutSIGPIPE { () throws(SpliceError) in
      try flow.run(
        holding: held, waits, unconfirmed: sink.unconfirmed,
        give: { _, limit, _ throws(SpliceError) in
          try give(upTo: limit, directly: goesDirectly, on: thread)
        },
        take: { flow, count throws(SpliceError) in
          if pipe.count == 0, claimed > 0 { return try hand(to: sink, upTo: count, on: thread) }
          let outcome = try flow.drain(
            &pipe, to: sink, upTo: min(count, pipe.count), moreFollows: claimed > 0, on: thread)
          return outcome.holding(claimed)
        })
    }
    if case .finished = halt { pipe.rings.giveBack() }
    return halt
  }

  /// Fills the pipe from as many parts as there is room for, so that they leave together.
  private mutating func give(
    upTo limit: Int, directly: Bool, on thread: Flow.Thread
  ) throws(SpliceError) -> Flow.Outcome {
    var taken = 0
    while next < parts.count, missing == 0, taken < limit {
      if directly, let count = claim(upTo: limit - taken) {
        taken += count
        break
      }
      if inMemory(on: thread) == 0 {
        if taken == 0 { return .halt(.disk) }
        break
      }
      guard case .bytes(let count) = try take(upTo: limit - taken) else { break }
      taken += count
    }
    if taken > 0 { return .moved(.bytes(taken), held: held) }
    let isOver = next == parts.count || missing > 0
    return .moved(isOver ? .endOfFile : .wouldBlock, held: held)
  }

  /// Some of the part that is next, to be handed on where it is.
  private mutating func claim(upTo limit: Int) -> Int? {
    switch parts[next] {
    case .bytes(let segment): claimed = min(limit, segment.count)
    case .file(let file, _, let count):
      if isRefused || file.consistency == .stable { return nil }
      claimed = min(limit, Int(clamping: count), FlowMachine.turnSize)
    case .pipe: return nil
    }
    return claimed
  }

  /// Hands on what was claimed, as far as this thread may.
  private mutating func hand(
    to sink: borrowing Descriptor, upTo limit: Int, on thread: Flow.Thread
  ) throws(SpliceError) -> Flow.Outcome {
    // Between the claim and now the page cache may have let it go.
    let count = min(limit, claimed, inMemory(on: thread))
    if count == 0 { return .halt(.disk) }
    do throws(Errno) {
      let move = try handOnce(to: sink, upTo: count)
      sent.add(move)
      claimed = move.count == 0 ? 0 : claimed - move.count
      return .moved(move.transfer, held: claimed)
    } catch {
      if error == .wouldBlock { return .moved(.wouldBlock, held: claimed) }
      guard case .file = parts[next], sink.hangUp(closing: false) == nil else { throw .sink(error) }
      // The file's, or a file system, or a sandbox, without the call: the pipe tells which side it is.
      (claimed, isRefused) = (0, true)
      return .moved(.bytes(0), held: 0)
    }
  }

  private mutating func handOnce(to sink: borrowing Descriptor, upTo limit: Int) throws(Errno) -> Move {
    let moved: Int
    switch parts[next] {
    case .bytes(var segment):
      // They leave in one segment with what is behind them.
      let moreFollows = next + 1 < parts.count
      moved = try unsafe segment.slot.withBytes { bytes throws(Errno) in
        try unsafe Syscall.send(
          sink.raw, from: UnsafeRawBufferPointer(rebasing: bytes[..<limit]), moreFollows: moreFollows)
      }
      _ = segment.removePrefix(moved)
      pass(.bytes(segment), isOver: segment.count == 0)
      return Move(transfer: .bytes(moved), path: .copy)
    case .file(let file, var offset, let count):
      // Else each acknowledgement has what is there sent at once, and few packets are full. Within a turn that
      // costs less than two calls.
      if !isCorked, count > FlowMachine.turnSize, sink.kind == .tcpSocket {
        isCorked = Syscall.cork(sink.raw, true)
      }
      moved = try Syscall.sendfile(from: file.number, at: &offset, to: sink.raw, count: limit)
      if moved == 0 { missing = count }
      pass(.file(file, at: offset, count: count - UInt64(moved)), isOver: moved == count)
      return Move(transfer: .bytes(moved), path: .sendfile)
    case .pipe: return Move(transfer: .bytes(0), path: .copy)
    }
  }

  /// How many bytes of the next part need not be waited for, on a thread that must not.
  private func inMemory(on thread: Flow.Thread) -> Int {
    guard thread == .mustNotWait, case .file(let file, let offset, _) = parts[next] else { return .max }
    return file.inMemory(at: offset)
  }

  /// Takes some of the next part into the pipe.
  private mutating func take(upTo limit: Int) throws(SpliceError) -> Transfer {
    do throws(Errno) {
      switch parts[next] {
      case .bytes(var segment):
        let transfer = try pipe.splice(from: &segment, upTo: limit)
        pass(.bytes(segment), isOver: segment.count == 0)
        return transfer
      case .pipe(let held):
        let (transfer, isEmpty) = try held.withLock { held throws(Errno) in
          (try held.splice(to: &pipe, upTo: limit), held.count == 0)
        }
        pass(.pipe(held), isOver: isEmpty)
        return isEmpty && transfer == .wouldBlock ? .bytes(0) : transfer
      case .file: break
      }
    } catch { throw .pipe(error) }
    return try takeFromFile(upTo: limit)
  }

  private mutating func takeFromFile(upTo limit: Int) throws(SpliceError) -> Transfer {
    guard case .file(let file, var offset, let count) = parts[next] else { return .bytes(0) }
    if file.consistency == .stable { return try copyFromFile(file, at: offset, of: count, upTo: limit) }
    do throws(Errno) {
      let transfer = try pipe.splice(
        from: file.descriptor, at: &offset, upTo: min(limit, Int(clamping: count)))
      switch transfer {
      case .bytes(let taken):
        pass(.file(file, at: offset, count: count - UInt64(taken)), isOver: taken == count)
      case .endOfFile: missing = count
      case .wouldBlock: break
      }
      return transfer
    } catch { throw .source(error) }
  }

  /// What there is no room for is bytes from now on.
  private mutating func copyFromFile(
    _ file: SharedFile, at offset: Int64, of count: UInt64, upTo limit: Int
  ) throws(SpliceError) -> Transfer {
    var piece: PipeSegment
    do throws(Errno) { piece = try file.piece(at: offset, upTo: min(limit, Int(clamping: count))) } catch {
      throw .source(error)
    }
    let copied = piece.count
    if copied == 0 {
      missing = count
      return .endOfFile
    }
    pass(.file(file, at: offset + Int64(copied), count: count - UInt64(copied)), isOver: copied == count)
    defer { if piece.count > 0 { parts.insert(.bytes(piece), at: next) } }
    do throws(Errno) { return try pipe.splice(from: &piece, upTo: limit) } catch { throw .pipe(error) }
  }

  /// What is left of the next part, or nothing.
  private mutating func pass(_ part: Part, isOver: Bool) {
    guard isOver else { return parts[next] = part }
    next += 1
    if next == parts.count { (parts, next) = ([], 0) }
  }
}

extension Flow.Outcome {
  /// With so many more that are held elsewhere.
  fileprivate func holding(_ more: Int) -> Self {
    if case .moved(let transfer, let most, let held) = self {
      .moved(transfer, most: most, held: held + more)
    } else {
      self
    }
  }
}

extension Flow {
  /// Bytes may go another way than through a pipe.
  fileprivate var mayGoDirectly: Bool { path(small: false) == .automatic }

  /// From a list.
  package init(gathering options: FlowOptions = FlowOptions()) {
    self.init(limit: .max, options: options)
    fillFirst()
  }
}
