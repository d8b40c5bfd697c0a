// Opens endpoints, or begins to. Nothing that is there is changed: a file is truncated only once every endpoint is open.

import Glibc
import Splice
import SystemPackage

extension OpenEndpoint {
  /// How opening and ending are done: who may stop them, how long they may take, whether to say what happens, and how large a pipe is
  /// wished for.
  struct Manner: Sendable {
    let poll: Poll
    /// What bounds every wait but for a disk.
    var idle: Span?
    var explains = false
    var pipeSize = 1 << 20

    /// For one wait that begins now.
    var patience: Poll {
      Poll(until: idle.map { .now + $0.duration } ?? poll.deadline, orStoppedBy: poll.stop)
    }

    /// For what a socket that was our sink has to say after our end.
    var lastWords: Poll {
      let longest = Duration.seconds(5)
      return Poll(until: .now + min(longest, idle?.duration ?? longest), orStoppedBy: poll.stop)
    }
  }
}

extension Endpoint {
  /// Opens, or begins to: `OpenEndpoint.settle` waits for those who have yet to come.
  func begin(_ role: Role, _ manner: OpenEndpoint.Manner) throws(Failure) -> OpenEndpoint {
    let open: OpenEndpoint
    switch place {
    case .standard where role == .both:
      let source = try inherited(.standardInput, .source)
      open = OpenEndpoint(self, role, source: source, sink: try inherited(.standardOutput, .sink))
    case .standard:
      open = try one(role, try inherited(role == .source ? .standardInput : .standardOutput, role.side))
    case .inherited(let number):
      open = try one(role, try inherited(FileDescriptor(rawValue: number), role.side))
    case .path(let path): open = try begin(path, role)
    case .append(let path):
      open = try beginSink(path, O_APPEND)
    case .exec(let command):
      open = OpenEndpoint(self, role, source: Descriptor(owning: .none), sink: Descriptor(owning: .none))
      open.stage = .program(command)
    case .zero: open = try one(role, try self.open("/dev/zero", O_RDONLY, role.side))
    case .digest:
      open = OpenEndpoint(self, role, source: Descriptor(owning: .none), sink: Descriptor(owning: .none))
    case .null: open = try one(role, try self.open("/dev/null", O_RDWR, role.side))
    case .tcp(let host, let port):
      open = try one(role, try connect(try resolve(host, port, role.side, manner), role, manner))
    case .unix(let path): open = try one(role, try connect([try unixAddress(path, role.side)], role, manner))
    case .tcpListen(let host, let port):
      guard let address = try resolve(host, port, toListen: true, role.side, manner).first else {
        throw Failure(word, role.side, "resolve", reason: "no address", .couldNotOpen(role.side))
      }
      open = try listen(on: address, role, manner)
    case .unixListen(let path):
      open = try listen(on: try unixAddress(path, role.side), role, manner)
    }
    open.enlarge(manner)
    return open
  }

  /// One descriptor for whatever it is opened for.
  private func one(_ role: Role, _ descriptor: consuming Descriptor) throws(Failure) -> OpenEndpoint {
    let open = OpenEndpoint(self, role, source: Descriptor(owning: .none), sink: Descriptor(owning: .none))
    try open.take(descriptor)
    return open
  }

  private func inherited(
    _ descriptor: FileDescriptor, _ side: Descriptor.Direction
  ) throws(Failure) -> Descriptor {
    try attempt("open", side) { () throws(Errno) in
      guard StandardDescriptors.wasOpen(descriptor) else { throw Errno.badFileDescriptor }
      // Opened for the other direction only, it would fail under way.
      let mode = try Syscall.statusFlags(of: descriptor) & O_ACCMODE
      guard mode == O_RDWR || mode == (side == .source ? O_RDONLY : O_WRONLY) else {
        throw Errno.badFileDescriptor
      }
      let own = try Descriptor(duplicating: descriptor)
      if own.kind == .directory { throw Errno.isDirectory }
      return own
    }
  }
}

// MARK: - Paths

extension Endpoint {
  private func begin(_ path: FilePath, _ role: Role) throws(Failure) -> OpenEndpoint {
    switch role {
    case .sink: return try beginSink(path, 0)
    case .source:
      let open = try one(role, try self.open(path, O_RDONLY | O_NONBLOCK, .source))
      if open.source.kind == .directory {
        throw Failure(word, .source, "open", .isDirectory, .noSource)
      }
      // A fifo nobody has written to yet would look ended; poll tells the two apart.
      if open.source.kind == .pipe { open.stage = .fifoWithoutWriter }
      return open
    case .both:
      let open = try one(role, try self.open(path, O_RDWR | O_NONBLOCK, .source))
      switch open.source.kind {
      case .regularFile, .blockDevice, .pipe:
        throw Failure(word, .source, "open", reason: "cannot be read and written at once", .usage)
      default: return open
      }
    }
  }

  private func open(
    _ path: FilePath, _ flags: CInt, _ side: Descriptor.Direction
  ) throws(Failure) -> Descriptor {
    try attempt("open", side) { () throws(Errno) in
      try Descriptor(opened: try Syscall.open(path, flags: flags | O_NOCTTY, mode: 0o666))
    }
  }

  /// A file that is created where there is none.
  private func beginSink(_ path: FilePath, _ flags: CInt) throws(Failure) -> OpenEndpoint {
    let open = OpenEndpoint(self, .sink, source: Descriptor(owning: .none), sink: Descriptor(owning: .none))
    try attempt("open", .sink) { () throws(Errno) in
      let flags = flags | O_WRONLY | O_NONBLOCK | O_NOCTTY
      do throws(Errno) { open.sink = try Descriptor(opened: try Syscall.open(path, flags: flags)) } catch {
        switch error {
        case .noSuchFileOrDirectory:
          let new = try create(path, flags)
          open.sink = try Descriptor(opened: new.file)
          if let made = new.made {
            open.newFile = MadeFile(made, try open.withSink { file throws(Errno) in try Syscall.fstat(file) })
          }
        case .noSuchAddressOrDevice where Syscall.isFifo(path): open.stage = .fifoWithoutReader(path)
        default: throw error
        }
      }
    }
    return open
  }

  /// A new file, and the path under which it was made here: nil when another process was faster. A link to nowhere gets its target, which
  /// is made by its own name: that alone tells that it is new, and can be removed again.
  private func create(
    _ path: FilePath, _ flags: CInt, links: Int = 0
  ) throws(Errno) -> (file: FileDescriptor, made: FilePath?) {
    do throws(Errno) {
      return (try Syscall.open(path, flags: flags | O_CREAT | O_EXCL, mode: 0o666), path)
    } catch {
      guard error == .fileExists else { throw error }
      // As many as the kernel follows.
      guard links < 40, let target = try? Syscall.readlink(path) else {
        return (try Syscall.open(path, flags: flags | O_CREAT, mode: 0o666), nil)
      }
      return try create(path.removingLastComponent().pushing(target), flags, links: links + 1)
    }
  }

  /// A fifo opened for writing, if it has a reader by now.
  func openFifo(_ path: FilePath, _ side: Descriptor.Direction) throws(Failure) -> Descriptor? {
    try attempt("open", side) { () throws(Errno) in
      do throws(Errno) {
        return try Descriptor(opened: try Syscall.open(path, flags: O_WRONLY | O_NONBLOCK | O_NOCTTY))
      } catch {
        guard error == .noSuchAddressOrDevice else { throw error }
        return nil
      }
    }
  }
}

// MARK: - Sockets

extension Endpoint {
  /// On a thread of its own: the resolver of the C library can neither be stopped nor be given a time.
  private func resolve(
    _ host: String, _ port: UInt16, toListen: Bool = false, _ side: Descriptor.Direction,
    _ manner: OpenEndpoint.Manner
  ) throws(Failure) -> [SocketAddress] {
    typealias Answer = Result<[SocketAddress], SocketAddress.Unresolved>
    let answer = Locked<Answer?>(nil)
    let ask: @Sendable () -> Void = {
      let found = Answer { () throws(SocketAddress.Unresolved) in
        try SocketAddress.resolve(host: host, port: port, toListen: toListen)
      }
      answer.withLock { $0 = found }
    }
    let poll = manner.patience
    // Numbers are no question, and without a thread it is asked here.
    if IPAddress.isNumeric(host) || !Self.run(ask, waitingIn: poll) { ask() }
    switch answer.withLock({ $0 }) {
    case .success(let addresses)?: return addresses
    case .failure(let error)?:
      throw Failure(word, side, "resolve", reason: error.reason, .couldNotOpen(side))
    case nil where poll.stop?.isStopped == true:
      throw Failure(word, side, "resolve", SpliceError.cancelled, .couldNotOpen(side))
    case nil: throw Failure(word, side, "resolve", nothing: "no answer", for: manner.idle)
    }
  }

  /// Runs `body` on a thread, and waits for it while `poll` allows. False when there is no thread to be had.
  private static func run(_ body: @escaping @Sendable () -> Void, waitingIn poll: Poll) -> Bool {
    guard let done = try? Stop() else { return false }
    let begun: ()? = try? Syscall.startThread(name: "splice-resolve") {
      body()
      done.stop()
    }
    if begun == nil { return false }
    while !done.isStopped, (try? poll.check()) != nil {
      try? poll.wait(forAnyOf: [done.interest], atMost: nil)
    }
    return true
  }

  private func unixAddress(_ path: String, _ side: Descriptor.Direction) throws(Failure) -> SocketAddress {
    try attempt("open", side) { () throws(Errno) in try SocketAddress.unix(path) }
  }

  private func connect(
    _ addresses: [SocketAddress], _ role: Role, _ manner: OpenEndpoint.Manner
  ) throws(Failure) -> Descriptor {
    do throws(SpliceError) {
      return try SocketAddress.connect(toOneOf: addresses, waitingIn: manner.patience)
    } catch {
      guard error == .timedOut else {
        throw Failure(word, role.side, "connect", error, .couldNotOpen(role.side))
      }
      throw Failure(word, role.side, "connect", nothing: "no answer", for: manner.idle)
    }
  }

  /// The listener goes when its one peer has come.
  private func listen(
    on address: SocketAddress, _ role: Role, _ manner: OpenEndpoint.Manner
  ) throws(Failure) -> OpenEndpoint {
    var file: SocketFile?
    let listener = try attempt("listen", role.side) { () throws(Errno) in
      try address.listen(backlog: 1, making: &file)
    }
    if manner.explains {
      let port = address.isUnix ? nil : SocketAddress.port(of: listener)
      StandardDescriptors.complain(
        "splice: \(word.escapedName): listening\(port.map { " on port \($0)" } ?? "")")
    }
    let open = OpenEndpoint(self, role, source: listener, sink: Descriptor(owning: .none))
    open.stage = .listening
    open.socketFile = file
    return open
  }
}
