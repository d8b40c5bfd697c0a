// The files of a command, each of which belongs to one sink, or to sources alone: one that is read and
// written would run into itself.

import CSplice
import Splice
import SystemPackage

/// The files and disks that are read or written: one that is written belongs to one endpoint only.
final class OccupiedFiles: Sendable {
  /// A file: by its name only where there is none yet.
  enum File: Sendable, Hashable {
    case there(device: UInt64, inode: UInt64)
    case new(FilePath)
  }

  private let owners = Locked<[File: (word: String, isSource: Bool)]>([:])

  /// Adds the file of an endpoint, if it is one, and throws when another has it. It can be given back to
  /// ``remove(_:)``.
  @discardableResult
  func add(_ open: OpenEndpoint) throws(Failure) -> File? {
    open.role == .source ? try addSource(open) : try addSink(open)
  }

  /// Adds the file that an endpoint is read from.
  @discardableResult
  func addSource(_ open: OpenEndpoint) throws(Failure) -> File? {
    guard open.isSourceOnDisk else { return nil }
    let status = try open.attempt("open") { () throws(Errno) in try open.withSource(Syscall.fstat) }
    return try add(.there(device: status.device, inode: status.inode), of: open.endpoint, isSource: true)
  }

  /// Adds the file that an endpoint is written to.
  @discardableResult
  func addSink(_ open: OpenEndpoint) throws(Failure) -> File? {
    guard !open.endpoint.place.isDigest, open.isSinkOnDisk else { return nil }
    let status = try open.attempt("open") { () throws(Errno) in try open.withSink(Syscall.fstat) }
    return try add(.there(device: status.device, inode: status.inode), of: open.endpoint)
  }

  /// Adds the file that a sink will be, as far as that can be seen before it is opened.
  func add(_ endpoint: Endpoint) throws(Failure) {
    switch endpoint.place {
    case .path(let path), .append(let path):
      guard let status = try? Syscall.status(of: path) else {
        try add(.new(path.lexicallyNormalized()), of: endpoint)
        return
      }
      guard status.type == S_IFREG || status.type == S_IFBLK else { return }
      try add(.there(device: status.device, inode: status.inode), of: endpoint)
    default: return
    }
  }

  /// Another endpoint may have it from now on.
  func remove(_ file: File) { owners.withLock { $0[file] = nil } }

  @discardableResult
  private func add(_ file: File, of endpoint: Endpoint, isSource: Bool = false) throws(Failure) -> File {
    let other = owners.withLock { owners in
      let other = owners[file]
      if other == nil { owners[file] = (endpoint.word, isSource) }
      return other
    }
    guard let other, !(isSource && other.isSource) else { return file }
    throw Failure(
      endpoint, .sink, "open",
      reason: other.isSource
        ? "source and sink are the same file" : "is a sink already, \(other.word.escapedName)", .noSink)
  }
}

extension OpenEndpoint {
  /// Whether there is a disk behind its sink, or what passes for one.
  var isSinkOnDisk: Bool { Self.isOnDisk(sinkKind) }

  fileprivate var isSourceOnDisk: Bool { Self.isOnDisk(sourceKind) }

  private static func isOnDisk(_ kind: Descriptor.Kind?) -> Bool {
    kind == .regularFile || kind == .blockDevice
  }
}
