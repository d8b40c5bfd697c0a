// Endpoints opened: a descriptor, and what is to be undone at the end.
//
// Opening changes nothing that is there: a file is truncated only once every endpoint is open.

import Glibc
import Splice
import SystemPackage

/// An endpoint that is open.
struct OpenEndpoint: ~Copyable {
  let endpoint: Endpoint
  let descriptor: Descriptor
  private let socketFile: SocketFile?
  private let isNewOrWhole: Bool

  /// How opening is done: who may stop it, and whether to say what happens.
  struct Manner {
    let poll: Poll
    let explains: Bool
  }

  /// The file of a unix socket that listened, which goes with it.
  struct SocketFile: ~Copyable {
    let path: FilePath
    deinit { try? Syscall.unlink(path) }
  }

  init(
    _ endpoint: Endpoint, _ descriptor: consuming Descriptor, socketFile: consuming SocketFile? = nil,
    isNewOrWhole: Bool = false
  ) {
    self.endpoint = endpoint
    self.descriptor = descriptor
    self.socketFile = socketFile
    self.isNewOrWhole = isNewOrWhole
    // A pipe we were given is as large as it may be: its other end gains as well.
    if self.descriptor.kind == .pipe {
      self.descriptor.withFileDescriptor { _ = try? Syscall.setPipeSize(of: $0, to: 1 << 20) }
    }
  }

  /// Ends a sink: a socket hears of the end, and what it still says is read for a while.
  consuming func finish(waitingIn poll: Poll) throws(SpliceError) {
    try descriptor.finish(waitingIn: poll)
  }

  /// What a file that is a sink held before goes now.
  func truncate() throws(Failure) {
    guard isNewOrWhole, descriptor.kind == .regularFile else { return }
    do throws(Errno) {
      try descriptor.withFileDescriptor { file throws(Errno) in try Syscall.ftruncate(file, to: 0) }
    } catch { throw Failure(endpoint.word, .sink, "truncate", error, .noSink) }
  }

  /// Whether this and another are the same file or disk.
  func isSameFile(as other: borrowing OpenEndpoint) -> Bool {
    func status(_ open: borrowing OpenEndpoint) -> Syscall.FileStatus? {
      guard open.descriptor.kind == .regularFile || open.descriptor.kind == .blockDevice else { return nil }
      return open.descriptor.withFileDescriptor { try? Syscall.fstat($0) }
    }
    guard let mine = status(self), let theirs = status(other) else { return false }
    return mine.device == theirs.device && mine.inode == theirs.inode
  }

  /// Bytes from the descriptor's offset to the end, of a regular file that has a size; files of `/proc` say 0 and have more.
  var bytesLeft: UInt64? {
    guard descriptor.kind == .regularFile else { return nil }
    return descriptor.withFileDescriptor { file in
      guard let size = try? Syscall.fstat(file).size, size > 0,
        let offset = try? Syscall.lseek(file, to: 0, from: .current)
      else { return nil }
      return UInt64(max(0, size - offset))
    }
  }

  /// Puts the offset of a file we share back over bytes that were read and not delivered.
  func giveBack(_ count: Int) {
    guard count > 0, descriptor.kind == .regularFile else { return }
    descriptor.withFileDescriptor { _ = try? Syscall.lseek($0, to: -Int64(count), from: .current) }
  }
}

// MARK: - Opening

extension Endpoint {
  func openAsSource(_ manner: OpenEndpoint.Manner) throws -> OpenEndpoint {
    switch place {
    case .standard: return try standard(.standardInput, .source)
    case .path(let path):
      let source = OpenEndpoint(self, try open(path, O_RDONLY | O_NONBLOCK, .source))
      if source.descriptor.kind == .directory { throw failed(.source, "open", .isDirectory) }
      // A fifo nobody has written to yet would look ended; poll tells the two apart.
      if source.descriptor.kind == .pipe { try wait(for: source.descriptor, as: .source, manner) }
      return source
    case .zero: return OpenEndpoint(self, try open("/dev/zero", O_RDONLY, .source))
    case .null: return OpenEndpoint(self, try open("/dev/null", O_RDONLY, .source))
    case .tcp, .tcpListen, .unix, .unixListen: return try socket(manner, .source)
    }
  }

  func openAsSink(_ manner: OpenEndpoint.Manner) throws -> OpenEndpoint {
    switch place {
    case .standard: return try standard(.standardOutput, .sink)
    case .path(let path):
      return OpenEndpoint(self, try openToWrite(path, manner), isNewOrWhole: true)
    case .zero: preconditionFailure("zero: as a sink is refused when flags are read")
    case .null: return OpenEndpoint(self, try open("/dev/null", O_WRONLY, .sink))
    case .tcp, .tcpListen, .unix, .unixListen: return try socket(manner, .sink)
    }
  }

  private func standard(
    _ descriptor: FileDescriptor, _ side: Descriptor.Direction
  ) throws(Failure) -> OpenEndpoint {
    guard StandardDescriptors.wasOpen(descriptor) else { throw failed(side, "open", .badFileDescriptor) }
    do throws(Errno) {
      return OpenEndpoint(self, try Descriptor(duplicating: descriptor))
    } catch { throw failed(side, "open", error) }
  }

  private func open(
    _ path: FilePath, _ flags: CInt, _ side: Descriptor.Direction
  ) throws(Failure) -> Descriptor {
    do throws(Errno) {
      return Descriptor(owning: try Syscall.open(path, flags: flags | O_NOCTTY, mode: 0o666))
    } catch { throw failed(side, "open", error) }
  }

  private func openToWrite(_ path: FilePath, _ manner: OpenEndpoint.Manner) throws(Failure) -> Descriptor {
    while true {
      do throws(Errno) {
        return Descriptor(
          owning: try Syscall.open(path, flags: O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY, mode: 0o666))
      } catch {
        // A fifo without a reader. Nothing tells when one comes, so it is asked for again.
        guard error == .noSuchAddressOrDevice, manner.poll.stop?.isStopped != true else {
          throw failed(.sink, "open", error)
        }
        manner.poll.pause(for: .milliseconds(20))
      }
    }
  }

  private func wait(
    for descriptor: borrowing Descriptor, as side: Descriptor.Direction, _ manner: OpenEndpoint.Manner
  ) throws(Failure) {
    do throws(Errno) { try descriptor.wait(as: side, in: manner.poll) } catch {
      throw failed(side, "open", error)
    }
  }
}

// MARK: - Sockets

extension Endpoint {
  private func socket(
    _ manner: OpenEndpoint.Manner, _ side: Descriptor.Direction
  ) throws(Failure) -> OpenEndpoint {
    switch place {
    case .tcp(let host, let port):
      return OpenEndpoint(self, try connect(try resolve(host, port, side), manner, side))
    case .unix(let path):
      return OpenEndpoint(self, try connect([try unixAddress(path, side)], manner, side))
    case .tcpListen(let host, let port):
      guard let address = try resolve(host, port, toListen: true, side).first else {
        throw Failure(word, side, "resolve", reason: "no address", Self.status(side))
      }
      return OpenEndpoint(self, try accept(from: try listen(on: address, manner, side), manner, side))
    case .unixListen(let path):
      let listener = try listen(on: try unixAddress(path, side), manner, side)
      if path.hasPrefix("@") { return OpenEndpoint(self, try accept(from: listener, manner, side)) }
      let file = OpenEndpoint.SocketFile(path: FilePath(path))
      return OpenEndpoint(self, try accept(from: listener, manner, side), socketFile: file)
    case .standard, .path, .zero, .null: preconditionFailure("\(word) is no socket")
    }
  }

  private func resolve(
    _ host: String, _ port: UInt16, toListen: Bool = false, _ side: Descriptor.Direction
  ) throws(Failure) -> [SocketAddress] {
    do throws(SocketAddress.Unresolved) {
      return try SocketAddress.resolve(host: host, port: port, toListen: toListen)
    } catch { throw Failure(word, side, "resolve", reason: error.reason, Self.status(side)) }
  }

  private func unixAddress(_ path: String, _ side: Descriptor.Direction) throws(Failure) -> SocketAddress {
    do throws(Errno) { return try SocketAddress.unix(path) } catch { throw failed(side, "open", error) }
  }

  private func connect(
    _ addresses: [SocketAddress], _ manner: OpenEndpoint.Manner, _ side: Descriptor.Direction
  ) throws(Failure) -> Descriptor {
    do throws(SpliceError) {
      return try SocketAddress.connect(toOneOf: addresses, waitingIn: manner.poll)
    } catch { throw failed(side, "connect", error) }
  }

  private func listen(
    on address: SocketAddress, _ manner: OpenEndpoint.Manner, _ side: Descriptor.Direction
  ) throws(Failure) -> Descriptor {
    do throws(Errno) {
      let listener = try address.listen(backlog: 1)
      if manner.explains, let port = address.isUnix ? nil : SocketAddress.port(of: listener) {
        StandardDescriptors.complain("splice: \(word): listening on port \(port)")
      } else if manner.explains {
        StandardDescriptors.complain("splice: \(word): listening")
      }
      return listener
    } catch { throw failed(side, "listen", error) }
  }

  /// Waits for one peer; the listener goes when it has come.
  private func accept(
    from listener: consuming Descriptor, _ manner: OpenEndpoint.Manner, _ side: Descriptor.Direction
  ) throws(Failure) -> Descriptor {
    do throws(SpliceError) { return try listener.accept(waitingIn: manner.poll) } catch {
      throw failed(side, "accept", error)
    }
  }
}

// MARK: - Failing

extension Endpoint {
  private static func status(_ side: Descriptor.Direction) -> Status { side == .source ? .noSource : .noSink }

  private func failed(_ side: Descriptor.Direction, _ act: String, _ errno: Errno) -> Failure {
    Failure(word, side, act, errno, Self.status(side))
  }

  private func failed(_ side: Descriptor.Direction, _ act: String, _ error: SpliceError) -> Failure {
    Failure(word, side, act, error, Self.status(side))
  }
}
