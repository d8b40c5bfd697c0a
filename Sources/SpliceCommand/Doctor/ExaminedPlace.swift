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

  /// A peer is waited for so long.
  private static let patience = Duration.seconds(1)

  /// What it is, and what it does; throws why it is not to be had.
  func section(_ endpoint: Endpoint, _ calls: Calls) throws(Failure) -> Diagnosis.Section {
    var section = Diagnosis.Section(title: endpoint.word.escapedName, rows: [])
    switch self {
    case .path(let path):
      let status: Syscall.FileStatus
      do throws(Errno) { status = try Syscall.status(of: path) } catch {
        throw Failure(endpoint, nil, "look at", error, .noSource)
      }
      section.rows = rows(of: path, status, calls)
    case .tcp, .unix:
      let socket: Held
      do { socket = try connect() } catch { throw Failure(endpoint, "connect", error) }
      section.rows = [
        KindOfDescriptor("this connection", "files and streams leave this machine's memory without a copy") {
          () throws(Errno) in (Answer(from: socket), Answer(to: socket))
        }.row(calls)
      ]
    }
    return section
  }

  private func connect() throws -> Held {
    let poll = BlockingWait(until: .now + Self.patience)
    switch self {
    case .tcp(let host, let port):
      return Held(try Descriptor.connect(host: host, port: port, waitingIn: poll).release())
    case .unix(let path): return Held(try Descriptor.connect(unix: path, waitingIn: poll).release())
    case .path: throw SpliceError.sink(.invalidArgument)
    }
  }

  private func rows(of path: FilePath, _ status: Syscall.FileStatus, _ calls: Calls) -> [Row] {
    switch status.type {
    case S_IFDIR: FileSystemRows(path).rows(calls)
    case S_IFREG:
      [readable("this file", path, "sent to sockets and pipes without a copy").row(calls)]
        + FileSystemRows(path.removingLastComponent()).rows(calls)
    case S_IFBLK: [readable("this disk", path, "read by reference, as a file is").row(calls)]
    case S_IFCHR where status.isMemoryDevice:
      [
        KindOfDescriptor("this device", "made by the kernel as it is read") { () throws(Errno) in
          let device = Held(try Syscall.open(path, flags: O_RDWR | O_NONBLOCK))
          return (Answer(from: device), Answer(to: device))
        }.row(calls)
      ]
    case S_IFCHR:
      [.fact("this device", "not opened", "opening a device may do something: see terminals above")]
    case S_IFIFO: [.fact("this fifo", "not opened", "its other side would see it: see pipes above")]
    case S_IFSOCK: [.fact("this socket", "not connected to", "ask for unix:PATH")]
    default: []
    }
  }

  /// What is only read from.
  private func readable(_ name: String, _ path: FilePath, _ advice: String) -> KindOfDescriptor {
    KindOfDescriptor(name, advice) { () throws(Errno) in
      let file = Held(try Syscall.open(path, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY))
      return (Answer(from: file, at: 0), .none)
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

/// What the file system of a directory can do, tried with files that have no name.
struct FileSystemRows {
  private let directory: FilePath
  private let name: String
  /// Why no file can be made in it.
  private let obstacle: Errno?

  init(_ directory: FilePath) {
    self.directory = directory.isEmpty ? "." : directory
    let place = try? Held(Syscall.open(self.directory, flags: O_RDONLY | O_DIRECTORY))
    let system = place.flatMap { try? $0.lend { place throws(Errno) in try Syscall.fileSystem(of: place) } }
    name = system.map { $0.name ?? "file system 0x\(String($0.number, radix: 16))" } ?? "unknown file system"
    do throws(Errno) {
      _ = try UnnamedFile.make(in: self.directory)
      obstacle = nil
    } catch { obstacle = error }
  }

  func rows(_ calls: Calls) -> [Row] {
    if let obstacle {
      return [
        .fact(
          "files on \(name)", "not tried: \(obstacle)",
          "no file without a name can be made in \(directory.string.escapedName)")
      ]
    }
    return KindOfDescriptor.files(in: directory, on: name).map { $0.row(calls) } + [clones, waits, holes]
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
    ) { file throws(Errno) in _ = try file.lend { file throws(Errno) in try Syscall.readNow(file, at: 0) } }
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
