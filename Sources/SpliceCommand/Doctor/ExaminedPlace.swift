// What a path or an address can do: the endpoint that was named, and the file system it is on. What is asked is
// opened for reading at most, and nothing is written to it.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// What was named on the command line.
enum ExaminedPlace: Sendable {
  case path(FilePath)
  case tcp(host: String, port: UInt16)
  case unix(String)

  /// Nil for what cannot be asked without taking bytes from it.
  init?(_ place: Endpoint.Place) {
    switch place {
    case .path(let path): self = .path(path)
    case .tcp(let host, let port): self = .tcp(host: host, port: port)
    case .unix(let path): self = .unix(path)
    default: return nil
    }
  }

  /// What it is, and what it does; throws why it is not to be had. A peer, and a disk, are waited for until the
  /// deadline.
  func section(
    _ endpoint: Endpoint, until deadline: ContinuousClock.Instant
  ) throws(Failure) -> Diagnosis.Section {
    let found = Row.foundApart(until: deadline + .milliseconds(100)) {
      do throws(Failure) { return try rows(endpoint, until: deadline) } catch {
        // It comes back as a row without a name.
        return [.fact("", error.reason, error.act)]
      }
    }
    switch found {
    case .failure(let obstacle):
      throw Failure(endpoint, nil, "open", reason: obstacle.description, .noSource)
    case .success(let rows):
      if let first = rows.first, first.name.isEmpty, case .fact(let reason, _) = first.finding {
        throw Failure(endpoint, nil, first.advice, reason: reason, .noSource)
      }
      return Diagnosis.Section(title: endpoint.word.escapedName, rows: rows)
    }
  }

  private func rows(
    _ endpoint: Endpoint, until deadline: ContinuousClock.Instant
  ) throws(Failure) -> [Row] {
    switch self {
    case .path(let path):
      do throws(Errno) { return try rows(of: path) } catch {
        throw Failure(endpoint, nil, "open", error, .noSource)
      }
    case .tcp, .unix:
      let socket: Held
      do { socket = try connect(until: deadline) } catch { throw Failure(endpoint, "connect", error) }
      defer { socket.discard() }
      return [
        KindOfDescriptor("this connection", "whether pages are shared shows in the rows of its kind above") {
          () throws(Errno) in (Answer(from: socket), Answer(to: socket))
        }.row
      ]
    }
  }

  private func connect(until deadline: ContinuousClock.Instant) throws -> Held {
    let poll = BlockingWait(until: deadline)
    switch self {
    case .tcp(let host, let port):
      return Held(try Descriptor.connect(host: host, port: port, waitingIn: poll).release())
    case .unix(let path): return Held(try Descriptor.connect(unix: path, waitingIn: poll).release())
    case .path: throw SpliceError.sink(.invalidArgument)
    }
  }

  private func rows(of path: FilePath) throws(Errno) -> [Row] {
    let status = try Syscall.status(of: path)
    switch status.type {
    case S_IFDIR: return FileSystemRows(directory: path, status).rows
    case S_IFREG, S_IFBLK:
      let file = try openToRead(path)
      let advice = "by reference where the rows of its file system say so"
      let row = KindOfDescriptor(status.type == S_IFREG ? "this file" : "this disk", advice) {
        () throws(Errno) in (Answer(from: file, at: 0), .untried("it is not opened for writing"))
      }.row
      return [row] + (status.type == S_IFREG ? FileSystemRows(of: file, status, at: path).rows : [])
    case S_IFCHR where status.isMemoryDevice:
      let device = Held(try Syscall.open(path, flags: O_RDWR | O_NONBLOCK))
      return [
        KindOfDescriptor("this device", "made by the kernel as it is read") { () throws(Errno) in
          (Answer(from: device), Answer(to: device))
        }.row
      ]
    case S_IFCHR:
      return [.fact("this device", "not opened", "opening a device may do something: see terminals above")]
    case S_IFIFO: return [.fact("this fifo", "not opened", "its other side would see it: see pipes above")]
    case S_IFSOCK: return [.fact("this socket", "not connected to", "ask for unix:PATH")]
    default: return []
    }
  }

  /// As any reader opens it, but that the time of the last reading stays where that is allowed.
  private func openToRead(_ path: FilePath) throws(Errno) -> Held {
    let flags = O_RDONLY | O_NONBLOCK | O_NOCTTY
    if let file = try? Held(Syscall.open(path, flags: flags | csplice_o_noatime())) { return file }
    return Held(try Syscall.open(path, flags: flags))
  }
}

extension Held {
  /// Takes what has come, so that closing a connection is no reset to its peer.
  fileprivate func discard() {
    _ = try? lend { socket throws(Errno) in
      try unsafe Syscall.withScratch { scratch throws(Errno) in
        // A peer that never ends is not listened to for ever.
        for _ in 0..<64 where try unsafe Syscall.recv(socket, into: scratch) == 0 { return }
      }
    }
  }
}

extension Failure {
  /// From an error of a connection, whatever it is.
  fileprivate init(_ endpoint: Endpoint, _ act: String, _ error: any Error) {
    switch error {
    case let error as SpliceError: self.init(endpoint, nil, act, error, .noSource)
    case let error as SocketAddress.Unresolved:
      self.init(endpoint, nil, "look up", reason: error.reason, .noSource)
    default: self.init(endpoint, nil, act, reason: "\(error)", .noSource)
    }
  }
}

/// What a file system can do, tried in a directory on it with files that have no name.
struct FileSystemRows {
  private let directory: FilePath
  private let name: String
  /// Why no file can be made there.
  private let obstacle: String?

  init(directory: FilePath, _ status: Syscall.FileStatus? = nil) {
    let place = try? Held(Syscall.open(directory, flags: csplice_o_path() | O_DIRECTORY))
    self.init(directory, on: place, differs: false)
  }

  /// That of a file, which may be a link to another one, or mounted where it is.
  init(of file: Held, _ status: Syscall.FileStatus, at path: FilePath) {
    let parent = path.removingLastComponent()
    let directory = parent.isEmpty ? "." : parent
    let isThere = (try? Syscall.status(of: directory))?.device == status.device
    self.init(directory, on: file, differs: !isThere)
  }

  private init(_ directory: FilePath, on place: Held?, differs: Bool) {
    self.directory = directory
    let system = try? place?.lend { place throws(Errno) in try Syscall.fileSystem(of: place) }
    name = system.map { $0.name ?? "file system 0x\(String($0.number, radix: 16))" } ?? "unknown file system"
    if differs {
      obstacle = "its directory is on another file system"
      return
    }
    do throws(Errno) {
      _ = try UnnamedFile.make(in: directory)
      obstacle = nil
    } catch { obstacle = "\(error)" }
  }

  var rows: [Row] {
    if let obstacle {
      return [
        .fact("files on \(name)", "not tried: \(obstacle)", "ask for a directory that can be written to")
      ]
    }
    return KindOfDescriptor.files(in: directory, on: name).map { $0.row } + [
      clones, waits, holes,
    ]
  }

  /// Runs an experiment with a file that has a page.
  private func tried(
    _ name: String, well: String, else substitute: String, _ body: (Held) throws(Errno) -> Void
  ) -> Row {
    do throws(Errno) {
      let file = try UnnamedFile.make(in: directory)
      _ = try Specimen(in: file)
      try body(file)
      return .fact("\(name) on \(self.name)", "yes", number: 1, well)
    } catch {
      return .fact("\(name) on \(self.name)", "no: \(error)", number: 0, substitute)
    }
  }

  private var clones: Row {
    tried(
      "shared blocks", well: "a copy of a file takes no time and no space",
      else: "a copy of a file is a copy of its bytes"
    ) { file throws(Errno) in
      let other = try UnnamedFile.make(in: directory)
      try file.lend { file throws(Errno) in
        try other.lend { other throws(Errno) in
          try Syscall.cloneRange(of: file, at: 0, to: other, at: 0, count: Int64(Syscall.pageSize))
        }
      }
    }
  }

  private var waits: Row {
    tried(
      "reads without waiting", well: "what is in memory is sent at once",
      else: "reads of files go to threads that may wait"
    ) { file throws(Errno) in
      _ = try file.lend { file throws(Errno) in try Syscall.readNow(file, at: 0) }
    }
  }

  private var holes: Row {
    tried("holes", well: "copies keep the holes of sparse files", else: "holes are written as zeros") {
      file throws(Errno) in
      try file.lend { file throws(Errno) in
        try Syscall.punchHole(in: file, at: 0, count: Int64(Syscall.pageSize))
      }
    }
  }
}
