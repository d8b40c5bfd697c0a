// Opens endpoints, or begins to. Nothing that is there is changed: a file is truncated only once every
// endpoint is open.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

extension OpenEndpoint {
  /// How opening and ending are done: who may stop them, how long they may take, whether to say what happens,
  /// and how large a pipe is wished for.
  struct Options: Sendable {
    let poll: BlockingWait
    /// What bounds every wait but for a disk.
    var idle: Span?
    var explains = false
    var pipeSize = 1 << 20
    /// Whether programs inherit nothing but their standard streams.
    var isolatesPrograms = false

    /// For one wait that begins now.
    var patience: BlockingWait {
      BlockingWait(until: idle.map { .now + $0.duration } ?? poll.deadline, orStoppedBy: poll.stop)
    }

    /// For what a socket that was our sink has to say after our end.
    var lastWords: BlockingWait {
      let longest = Duration.seconds(5)
      return BlockingWait(until: .now + min(longest, idle?.duration ?? longest), orStoppedBy: poll.stop)
    }
  }
}

extension Endpoint {
  /// Opens, or begins to: `OpenEndpoint.settle` waits for those who have yet to come.
  func begin(_ role: Role, _ options: OpenEndpoint.Options) throws(Failure) -> OpenEndpoint {
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
      open = OpenEndpoint(self, role)
      open.stage = .program(command)
    case .zero: open = try one(role, try self.open("/dev/zero", O_RDONLY, role.side))
    case .digest:
      open = OpenEndpoint(self, role)
    case .null: open = try one(role, try self.open("/dev/null", O_RDWR, role.side))
    case .tcp(let host, let port):
      open = try one(role, try connect(try resolve(host, port, role.side, options), role, options))
    case .unix(let path): open = try one(role, try connect([try unixAddress(path, role.side)], role, options))
    case .tcpListen(let host, let port):
      guard let address = try resolve(host, port, toListen: true, role.side, options).first else {
        throw Failure(self, role.side, "resolve", reason: "no address", .couldNotOpen(role.side))
      }
      open = try listen(on: address, role, options)
    case .unixListen(let path):
      open = try listen(on: try unixAddress(path, role.side), role, options)
    }
    open.enlarge(options)
    return open
  }

  /// One descriptor for whatever it is opened for.
  private func one(_ role: Role, _ descriptor: consuming Descriptor) throws(Failure) -> OpenEndpoint {
    let open = OpenEndpoint(self, role)
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
      if open.sourceKind == .directory {
        throw Failure(self, .source, "open", .isDirectory, .noSource)
      }
      // A fifo nobody has written to yet would look ended; poll tells the two apart.
      if open.sourceKind == .pipe { open.stage = .fifoWithoutWriter }
      return open
    case .both: return try one(role, try self.open(path, O_RDWR | O_NONBLOCK, .source))
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
    let open = OpenEndpoint(self, .sink)
    try attempt("open", .sink) { () throws(Errno) in
      let flags = flags | O_WRONLY | O_NONBLOCK | O_NOCTTY
      do throws(Errno) { open.putSink(try Descriptor(opened: try Syscall.open(path, flags: flags))) } catch {
        switch error {
        case .noSuchFileOrDirectory:
          let new = try create(path, flags)
          open.putSink(try Descriptor(opened: new.file))
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

  /// A new file, and the path under which it was made here: nil when another process was faster. A link to
  /// nowhere gets its target, which is made by its own name: that alone tells that it is new, and can be
  /// removed again.
  private func create(
    _ path: FilePath, _ flags: CInt, links: Int = 0
  ) throws(Errno) -> (file: FileDescriptor, made: FilePath?) {
    // What ends with a slash is a directory, and none is made.
    if path.lastComponent?.kind == .currentDirectory { throw .isDirectory }
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
  private func resolve(
    _ host: String, _ port: UInt16, toListen: Bool = false, _ side: Descriptor.Direction,
    _ options: OpenEndpoint.Options
  ) throws(Failure) -> [SocketAddress] {
    let poll = options.patience
    do {
      return try SocketAddress.lookUp(host: host, port: port, toListen: toListen, waitingIn: poll)
    } catch {
      if poll.stop?.isStopped == true {
        throw Failure(self, side, "resolve", SpliceError.cancelled, .couldNotOpen(side))
      }
      if let deadline = poll.deadline, deadline <= .now {
        throw Failure(self, side, "resolve", nothing: "no answer", for: options.idle)
      }
      let reason = (error as? SocketAddress.Unresolved)?.reason ?? "\(error)"
      throw Failure(self, side, "resolve", reason: reason, .couldNotOpen(side))
    }
  }

  private func unixAddress(_ path: String, _ side: Descriptor.Direction) throws(Failure) -> SocketAddress {
    try attempt("open", side) { () throws(Errno) in try SocketAddress.unix(path) }
  }

  private func connect(
    _ addresses: [SocketAddress], _ role: Role, _ options: OpenEndpoint.Options
  ) throws(Failure) -> Descriptor {
    do throws(SpliceError) {
      return try SocketAddress.connect(toOneOf: addresses, waitingIn: options.patience)
    } catch {
      guard error == .timedOut else {
        throw Failure(self, role.side, "connect", error, .couldNotOpen(role.side))
      }
      throw Failure(self, role.side, "connect", nothing: "no answer", for: options.idle)
    }
  }

  /// The listener goes when its one peer has come. A socket that is there is not replaced: to ask whether
  /// somebody listens there for one peer is to be that peer.
  private func listen(
    on address: SocketAddress, _ role: Role, _ options: OpenEndpoint.Options
  ) throws(Failure) -> OpenEndpoint {
    var file: SocketFile?
    let listener = try attempt("listen", role.side) { () throws(Errno) in
      try address.listen(backlog: 1, making: &file)
    }
    if options.explains {
      let port = address.isUnix ? nil : SocketAddress.port(of: listener)
      StandardDescriptors.complain(
        "splice: \(word.escapedName): listening\(port.map { " on port \($0)" } ?? "")")
    }
    let open = OpenEndpoint(self, role, source: listener)
    open.stage = .listening
    open.socketFile = file
    return open
  }
}
