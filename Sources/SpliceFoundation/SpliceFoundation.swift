// For programs that use Foundation anyway: errors for people, and FileHandle from and to a descriptor.

import Foundation
import Splice
import SystemPackage

// MARK: - Errors: `localizedDescription` says who failed, at what, and why

extension SpliceError: LocalizedError {
  /// What happened, in a sentence.
  public var errorDescription: String? {
    switch self {
    case .source(let errno): "Reading from the source failed: \(errno)."
    case .sink(let errno): "Writing to the sink failed: \(errno)."
    case .pipe(let errno): "The pipe between source and sink failed: \(errno)."
    case .truncated(let missing): "The source ended \(missing) bytes too early."
    case .cancelled: "The transfer was cancelled."
    case .timedOut: "The transfer took too long."
    }
  }
}

extension Duplex.Failure: LocalizedError {
  /// What happened, in a sentence, and in which direction.
  public var errorDescription: String? {
    guard let direction, let what = error.errorDescription else { return error.errorDescription }
    return switch direction {
    case .forward: "From the first to the second: \(what)"
    case .backward: "From the second to the first: \(what)"
    }
  }
}

extension SocketAddress.Unresolved: LocalizedError {
  /// Which name was not found, and why.
  public var errorDescription: String? { "Looking up \(host) failed: \(reason)." }
}

// MARK: - FileHandle

extension FileHandle {
  /// A descriptor of its own for what this has open, which stays as it is. Both share the offset of a file.
  /// C: `fcntl` with F_DUPFD_CLOEXEC
  public func descriptor() throws(Errno) -> Descriptor {
    try Descriptor(duplicating: FileDescriptor(rawValue: fileDescriptor))
  }

  /// Takes a descriptor over, blocking again if it was that, and closes it at the end.
  public convenience init(_ descriptor: consuming Descriptor) {
    self.init(fileDescriptor: descriptor.release().rawValue, closeOnDealloc: true)
  }
}
