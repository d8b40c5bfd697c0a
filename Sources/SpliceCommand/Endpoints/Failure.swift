// What went wrong, and for whom.

import Splice
import SystemPackage

/// A failed endpoint: who, what act, why.
struct Failure: Error, Sendable, Hashable {
  let endpoint: String
  /// Which of the endpoints of the command it is, as two may have one name; nil for what is no endpoint.
  let number: Int?
  /// Its role, unless it was neither.
  let side: Descriptor.Direction?
  let act: String
  let reason: String
  /// The errno's C name, when there is one.
  let errno: String?
  let status: Status
  /// Whether it was stopped, and nothing was wrong. When a signal did that, the signal is its own message.
  var isInterruption = false
  /// Whether the user has been told.
  var isSaid = false

  init(
    _ endpoint: Endpoint, _ side: Descriptor.Direction?, _ act: String, reason: String, errno: String? = nil,
    _ status: Status
  ) {
    self.endpoint = endpoint.word
    self.number = endpoint.number
    self.side = side
    self.act = act
    self.reason = reason
    self.errno = errno
    self.status = status
  }

  /// Of what is no endpoint.
  init(_ place: String, _ act: String, _ errno: Errno, _ status: Status) {
    (endpoint, number, side, self.act) = (place, nil, nil, act)
    (reason, self.errno, self.status) = (errno.description, errno.name, status)
  }

  init(_ endpoint: Endpoint, _ side: Descriptor.Direction?, _ act: String, _ errno: Errno, _ status: Status) {
    self.init(endpoint, side, act, reason: errno.description, errno: errno.name, status)
    isInterruption = errno == .interrupted
  }

  /// From an error of the library, whichever side it names.
  init(
    _ endpoint: Endpoint, _ side: Descriptor.Direction?, _ act: String, _ error: SpliceError, _ status: Status
  ) {
    switch error {
    case .source(let errno), .sink(let errno), .pipe(let errno): self.init(endpoint, side, act, errno, status)
    case .truncated(let missing):
      self.init(endpoint, side, act, reason: "truncated: \(missing) bytes are missing", status)
    case .cancelled: self.init(endpoint, side, act, Errno.interrupted, status)
    case .timedOut: self.init(endpoint, side, act, Errno.timedOut, status)
    }
  }

  /// From a wait that the idle timeout has ended.
  init(
    _ endpoint: Endpoint, _ side: Descriptor.Direction, _ act: String, nothing: String, for idle: Span?
  ) {
    self.init(
      endpoint, side, act, reason: "\(nothing) for \(idle?.word ?? "too long")", errno: Errno.timedOut.name,
      .failedUnderWay)
  }

  /// Of a pipe or a buffer, which stands between the endpoints.
  init(using what: String, _ errno: Errno) {
    (endpoint, number, side, act) = (what, nil, nil, "use")
    (reason, self.errno, status) = (errno.description, errno.name, .failedUnderWay)
  }

  init(using what: String, _ error: SpliceError) {
    switch error {
    case .source(let errno), .sink(let errno), .pipe(let errno): self.init(using: what, errno)
    case .timedOut, .truncated: self.init(using: what, Errno.timedOut)
    case .cancelled: self.init(using: what, Errno.interrupted)
    }
  }

  /// One line, as every message of the command is.
  var message: String { "splice: \(endpoint.escapedName): \(act): \(reason.escaped)" }
}

extension Errno {
  /// The C name, such as ENOSPC.
  var name: String {
    switch self {
    case .notPermitted: "EPERM"
    case .noSuchFileOrDirectory: "ENOENT"
    case .interrupted: "EINTR"
    case .ioError: "EIO"
    case .badFileDescriptor: "EBADF"
    case .wouldBlock: "EAGAIN"
    case .noMemory: "ENOMEM"
    case .permissionDenied: "EACCES"
    case .badAddress: "EFAULT"
    case .resourceBusy: "EBUSY"
    case .fileExists: "EEXIST"
    case .noSuchAddressOrDevice: "ENXIO"
    case .operationNotSupportedByDevice: "ENODEV"
    case .notDirectory: "ENOTDIR"
    case .isDirectory: "EISDIR"
    case .invalidArgument: "EINVAL"
    case .tooManyOpenFilesInSystem: "ENFILE"
    case .tooManyOpenFiles: "EMFILE"
    case .textFileBusy: "ETXTBSY"
    case .fileTooLarge: "EFBIG"
    case .noSpace: "ENOSPC"
    case .illegalSeek: "ESPIPE"
    case .readOnlyFileSystem: "EROFS"
    case .brokenPipe: "EPIPE"
    case .fileNameTooLong: "ENAMETOOLONG"
    case .noFunction: "ENOSYS"
    case .tooManySymbolicLinkLevels: "ELOOP"
    case .notSupported: "EOPNOTSUPP"
    case .addressInUse: "EADDRINUSE"
    case .addressNotAvailable: "EADDRNOTAVAIL"
    case .networkDown: "ENETDOWN"
    case .networkUnreachable: "ENETUNREACH"
    case .connectionAbort: "ECONNABORTED"
    case .connectionReset: "ECONNRESET"
    case .noBufferSpace: "ENOBUFS"
    case .socketNotConnected: "ENOTCONN"
    case .timedOut: "ETIMEDOUT"
    case .connectionRefused: "ECONNREFUSED"
    case .hostIsDown: "EHOSTDOWN"
    case .noRouteToHost: "EHOSTUNREACH"
    case .diskQuotaExceeded: "EDQUOT"
    default: "errno \(rawValue)"
    }
  }
}
