// An endpoint that is open: one descriptor or two, and what is to be undone at the end.
//
// What has to wait for somebody, a listening socket or a fifo, is begun in Opening.swift and settled here,
// together with the others: each listens while all wait.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// An endpoint that is open, or will be once its peer has come.
final class OpenEndpoint {
  let endpoint: Endpoint
  let role: Role
  /// Where bytes come from, while there is something.
  private var openSource: Descriptor?
  /// Where bytes go, while there is something.
  private var openSink: Descriptor?
  /// What it waits for.
  var stage = Stage.open
  /// The file of a unix socket that listened, which goes with it.
  var socketFile: SocketFile?
  /// The program that it is.
  var child: Child?
  /// A file that was not there before: its name has to reach the disk, too, and it goes when the start is
  /// refused.
  var newFile: MadeFile?

  enum Stage: Hashable {
    case open
    case listening
    case fifoWithoutWriter
    case fifoWithoutReader(FilePath)
    /// A command that is run once everything else is open.
    case program(String)

    /// What it takes to be open.
    var act: String {
      switch self {
      case .listening: "accept"
      case .program: "run"
      case .open, .fifoWithoutWriter, .fifoWithoutReader: "open"
      }
    }
  }

  init(
    _ endpoint: Endpoint, _ role: Role, source: consuming Descriptor? = nil, sink: consuming Descriptor? = nil
  ) {
    self.endpoint = endpoint
    self.role = role
    openSource = source
    openSink = sink
  }

  deinit {
    socketFile?.remove()
  }

  var word: String { endpoint.word }
}

// MARK: - Its descriptors

extension OpenEndpoint {
  /// Where bytes come from. Only what has a source is asked for it.
  var source: Descriptor {
    _read {
      switch openSource {
      case .some(let source): yield source
      case .none: preconditionFailure("\(endpoint.word) has no source")
      }
    }
  }

  /// Where bytes go. Only what has a sink is asked for it.
  var sink: Descriptor {
    _read {
      switch openSink {
      case .some(let sink): yield sink
      case .none: preconditionFailure("\(endpoint.word) has no sink")
      }
    }
  }

  /// What bytes come from; nil where nothing is open for that.
  var sourceKind: Descriptor.Kind? { openSource?.kind }

  /// What bytes go to; nil where nothing is open for that.
  var sinkKind: Descriptor.Kind? { openSink?.kind }

  /// What the sink has accepted and its peer not yet taken.
  var unconfirmed: UInt64 { UInt64(openSink?.unconfirmed ?? 0) }

  /// Why bytes of the source or to the sink cannot be spliced, as far as that has been found out.
  func obstacle(as direction: Descriptor.Direction) -> Errno? {
    direction == .source ? openSource?.obstacle(as: .source) : openSink?.obstacle(as: .sink)
  }

  /// Lends the source's number.
  func withSource<Result: ~Copyable, Failure: Error>(
    _ body: (FileDescriptor) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try source.withFileDescriptor(body)
  }

  /// Lends the sink's number.
  func withSink<Result, Failure: Error>(
    _ body: (FileDescriptor) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try sink.withFileDescriptor(body)
  }

  /// Nothing more is taken from it.
  func closeSource() { openSource = nil }

  /// Gives the source away.
  func takeSource() -> Descriptor? { openSource.take() }

  /// Gives the sink away, to whoever writes to it.
  func takeSink() -> Descriptor? { openSink.take() }

  /// Takes a sink, or one that was given away.
  func putSink(_ sink: consuming Descriptor) { openSink = consume sink }
}

// MARK: - Settling

extension OpenEndpoint {
  /// Waits until all peers have come. The idle timeout starts again with each that comes. Throws when
  /// stopped, also when none was waited for.
  static func settle(_ endpoints: [OpenEndpoint], _ options: Options) throws(Failure) {
    var (awaited, poll) = (endpoints.count, options.patience)
    while true {
      var waiting: [OpenEndpoint] = []
      for endpoint in endpoints where try !endpoint.advance(options) { waiting.append(endpoint) }
      let first = waiting.first ?? endpoints[0]
      if waiting.count < awaited { (awaited, poll) = (waiting.count, options.patience) }
      let act = first.stage.act
      do throws(SpliceError) { try poll.check() } catch {
        guard error == .timedOut else {
          throw Failure(first.endpoint, first.role.side, act, error, .couldNotOpen(first.role.side))
        }
        throw Failure(first.endpoint, first.role.side, act, nothing: "no peer", for: options.idle)
      }
      if waiting.isEmpty { return }
      let interests = waiting.compactMap(\.interest)
      // Nothing tells when a fifo gets a reader.
      let isAskedAgain = interests.count < waiting.count
      try first.attempt(act) { () throws(Errno) in
        try poll.wait(forAnyOf: interests, atMost: isAskedAgain ? .milliseconds(20) : nil)
      }
    }
  }

  /// Runs the commands among them, now that nothing speaks against it any more.
  static func runPrograms(_ endpoints: [OpenEndpoint], _ options: Options) throws(Failure) {
    for open in endpoints {
      guard case .program(let command) = open.stage else { continue }
      var started = try open.attempt("run") { () throws(Errno) in
        try Child.start(command, open.role, alone: options.isolatesPrograms)
      }
      open.child = started.child
      swap(&open.openSource, &started.source)
      swap(&open.openSink, &started.sink)
      open.stage = .open
      open.enlarge(options)
    }
  }

  /// Leaves nothing behind of a start that was refused: a new file goes, while it is empty and nobody else
  /// has it open, who may be about to write there.
  static func undo(_ ends: [OpenEndpoint]) {
    // One file may be here twice.
    for end in ends where end.newFile == nil && end.sinkKind == .regularFile { end.openSink = nil }
    for end in ends { end.undo() }
  }

  private func undo() {
    guard let newFile, openSink != nil, !withSink({ Syscall.isOpenElsewhere($0) }) else { return }
    newFile.remove(onlyIfEmpty: true)
  }

  /// What tells that a peer may have come.
  private var interest: Interest? {
    switch stage {
    case .listening, .fifoWithoutWriter: source.interest(as: .source)
    case .open, .fifoWithoutReader, .program: nil
    }
  }

  /// Whether everybody has come.
  private func advance(_ options: Options) throws(Failure) -> Bool {
    switch stage {
    case .open, .program: return true
    case .listening:
      // A listener is a source of peers, and stands in the source's place.
      let peer = try attempt("accept") { () throws(Errno) in try source.acceptNow() }
      guard let peer else { return false }
      try take(peer)
    case .fifoWithoutWriter:
      guard try attempt("open", { () throws(Errno) in try source.isReady(as: .source) }) else { return false }
    case .fifoWithoutReader(let path):
      guard let fifo = try endpoint.openFifo(path, role.side) else { return false }
      try take(fifo)
    }
    stage = .open
    enlarge(options)
    return true
  }

  /// Puts a descriptor in the place or places its role has.
  func take(_ descriptor: consuming Descriptor) throws(Failure) {
    switch role {
    case .source: openSource = consume descriptor
    case .sink:
      openSource = nil
      openSink = consume descriptor
      sink.resetUnlessFinished()
    case .both:
      switch descriptor.kind {
      // Both directions would have one offset, or go around.
      case .regularFile, .directory, .blockDevice, .pipe:
        throw Failure(endpoint, .source, "open", reason: "cannot be read and written at once", .usage)
      default: break
      }
      openSource = consume descriptor
      openSink = try attempt("open") { () throws(Errno) in try source.duplicated() }
      sink.resetUnlessFinished()
    }
  }

  /// A pipe we were given is as large as it may be: its other end gains as well.
  func enlarge(_ options: Options) {
    if sourceKind == .pipe { withSource { _ = try? Syscall.setPipeSize(of: $0, to: options.pipeSize) } }
    if sinkKind == .pipe { withSink { _ = try? Syscall.setPipeSize(of: $0, to: options.pipeSize) } }
  }
}

extension OpenEndpoint {
  /// Empties a file that is written anew.
  func truncate() throws(Failure) {
    guard case .path = endpoint.place, sinkKind == .regularFile else { return }
    try attempt("truncate") { () throws(Errno) in
      try withSink { file throws(Errno) in
        // An empty one is left alone: ext4 takes a truncated file for one that is replaced, and writes it out
        // when it is closed.
        if try Syscall.fstat(file).size > 0 { try Syscall.ftruncate(file, to: 0) }
      }
    }
  }

  /// Goes on behind what a file has.
  func seekToEnd() throws(Failure) {
    guard case .path = endpoint.place, sinkKind == .regularFile else { return }
    try attempt("seek") { () throws(Errno) in
      try withSink { file throws(Errno) in _ = try Syscall.lseek(file, to: 0, from: .end) }
    }
  }
}

// MARK: - Ending

extension OpenEndpoint {
  /// Gives back the last bytes that were read of a file, also where other sources share its offset; whether
  /// it is one.
  @discardableResult
  func giveBack(_ count: UInt64) -> Bool {
    guard sourceKind == .regularFile else { return false }
    if count > 0 { withSource { _ = try? Syscall.lseek($0, to: -Int64(count), from: .current) } }
    return true
  }

  /// Nothing more is taken from it, and whoever writes to a pipe hears of that while this process goes on.
  func refuseSource() {
    guard sourceKind == .pipe else { return }
    closeSource()
    StandardDescriptors.letGo(endpoint.place, as: .source)
  }

  /// Tells the sink that nothing follows while it is still read from: half-closed, or closed where it is a
  /// descriptor of its own.
  func passEndOn() throws(Failure) {
    if sinkKind == .tcpSocket || sinkKind == .streamSocket {
      do throws(SpliceError) { try sink.halfClose() } catch {
        throw Failure(endpoint, .sink, "close", error, .failedUnderWay)
      }
    } else {
      openSink = nil
      // Else its reader would wait for the end of this process.
      StandardDescriptors.letGo(endpoint.place, as: .sink)
    }
  }

  /// Ends the sink: on disk when that is asked for, and a socket hears of the end and is listened to while
  /// `poll` allows.
  func closeSink(synchronized: Bool = false, waitingIn poll: BlockingWait) throws(Failure) {
    if synchronized {
      do throws(Errno) { try synchronize() } catch {
        throw Failure(endpoint, .sink, "sync", error, .failedUnderWay)
      }
    }
    // Passed on before, it is closed already.
    guard let last = takeSink() else { return }
    do throws(SpliceError) {
      try last.finish(waitingIn: poll)
    } catch { throw Failure(endpoint, .sink, "close", error, .failedUnderWay) }
  }

  private func synchronize() throws(Errno) {
    try withSink { file throws(Errno) in try Syscall.fsync(file) }
    guard let newFile else { return }
    // A path without a directory is in this one.
    let parent = newFile.path.removingLastComponent()
    let directory = Descriptor(owning: try Syscall.open(parent.isEmpty ? "." : parent, flags: O_RDONLY))
    try directory.withFileDescriptor { file throws(Errno) in try Syscall.fsync(file) }
  }

  /// Ends a sink that has not got everything: it must not look as if it had, where there is a way to say so.
  func abortSink(_ failures: [Failure], waitingIn poll: BlockingWait) {
    guard let last = takeSink() else { return }
    // A sink that failed itself is not waited for; one that was told to leave has not failed.
    let itself = failures.contains {
      $0.side == .sink && $0.number == endpoint.number && !$0.isInterruption
    }
    last.abort(waitingIn: itself ? BlockingWait(until: .now) : poll)
  }

  /// Waits for the exit of the program that this source is, after the end of its output: a crash closes that
  /// just as an exit does, so the output is whole when the exit status is 0. What is no program, or has
  /// exited already, is whole.
  func confirmEnd(waitingIn poll: BlockingWait) throws(SpliceError) -> Failure? {
    let fault = try child?.exit(waitingIn: poll)
    child = nil
    return fault.map { Failure(endpoint, role.side, "run", reason: $0, .failedUnderWay) }
  }

  /// Waits for the program that this is, once its ends are closed, and ends it when the idle timeout has
  /// passed.
  func reap(mayLoseReader: Bool, _ options: Options) -> Failure? {
    defer { child = nil }
    guard let fault = child?.wait(mayLoseReader: mayLoseReader, in: options.patience) else { return nil }
    var failure =
      if fault == Child.unended, let idle = options.idle {
        Failure(endpoint, role.side, "run", nothing: fault, for: idle)
      } else {
        Failure(endpoint, role.side, "run", reason: fault, .failedUnderWay)
      }
    // A terminal sends it to the program as well, and we do.
    failure.isInterruption = Signals.ending != nil
    return failure
  }
}

// MARK: - Failing

extension OpenEndpoint {
  /// Throws unless one of them at least passes, for what is asked of those it suits.
  static func oneOf(_ ends: [OpenEndpoint], _ check: (OpenEndpoint) throws(Failure) -> Void) throws(Failure) {
    var failure: Failure?
    for end in ends {
      do throws(Failure) { return try check(end) } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  func attempt<Result: ~Copyable>(
    _ act: String, _ body: () throws(Errno) -> Result
  ) throws(Failure) -> Result {
    try endpoint.attempt(act, role.side, body)
  }

}

extension Endpoint {
  /// Says who failed to do what before anything moved.
  func attempt<Result: ~Copyable>(
    _ act: String, _ side: Descriptor.Direction, _ body: () throws(Errno) -> Result
  ) throws(Failure) -> Result {
    do throws(Errno) { return try body() } catch {
      throw Failure(self, side, act, error, .couldNotOpen(side))
    }
  }
}
