// Owns one descriptor, and knows the two things a hop must ask of it: may this call wait, and does it splice.
//
// A descriptor of our own is non-blocking from the start. One that is shared with others, such as standard
// input, is never made so: the flag belongs to the open file, and so to the shell and its other children too.
// There each call is kept from waiting by other means, or the file is opened a second time for ourselves.

import CSplice
import Synchronization
import SystemPackage

/// An open file descriptor with exactly one owner, closed when the owner goes away.
public struct Descriptor: ~Copyable, Sendable {
  private var number: FileDescriptor
  /// What is open: a hint for choosing a path, never a promise.
  public let kind: Kind
  /// How calls on this descriptor are kept from waiting.
  let patience: Patience
  // The errno with which splice was refused, or would be, 0 for not yet: one for each direction.
  private let refusedAsSource: Atomic<CInt>
  private let refusedAsSink: Atomic<CInt>
  /// What closing does to a TCP peer.
  let closing = Atomic<Closing>(.ends)
  /// Whether the peer has closed a unix socket and left something unread, which the kernel tells once: after
  /// that it says that the stream has ended.
  private let wasLeftUnread = Atomic<Bool>(false)
  /// Where a file said that it ends; 0 when it was not asked.
  private let promisedEnd: Atomic<Int64>
  /// Whether O_NONBLOCK is ours, and goes when the number is given away.
  private var isMadeNonBlocking = false

  /// What closing a TCP connection tells the peer.
  enum Closing: UInt8, AtomicRepresentable {
    case ends
    /// A flow has not finished: it resets, unless a later one does.
    case resetsForFlow
    /// It resets until ``finish(waitingIn:)``.
    case resets
  }

  /// Takes over a descriptor: closes it at the end, and makes it non-blocking unless it is a file on a disk;
  /// ``release()`` takes that back.
  public init(owning fileDescriptor: FileDescriptor) {
    self.init(owning: fileDescriptor, Kind(of: fileDescriptor))
  }

  private init(owning fileDescriptor: FileDescriptor, _ kind: Kind) {
    self.init(fileDescriptor, kind, .ownNonBlocking)
    if !kind.isDisk, let flags = try? Syscall.statusFlags(of: fileDescriptor), flags & O_NONBLOCK == 0 {
      try? Syscall.setStatusFlags(of: fileDescriptor, to: flags | O_NONBLOCK)
      isMadeNonBlocking = true
    }
  }

  /// An end of a pipe that this library made, non-blocking.
  init(pipeEnd fileDescriptor: FileDescriptor) { self.init(fileDescriptor, .pipe, .ownNonBlocking) }

  /// A stream socket that was made non-blocking, of which nothing need be asked.
  package init(stream fileDescriptor: FileDescriptor, isUnix: Bool) {
    self.init(fileDescriptor, isUnix ? .streamSocket : .tcpSocket, .ownNonBlocking)
  }

  /// A descriptor that was just opened: closes it and throws when it cannot be told what it is.  C: `fstat`
  package init(opened fileDescriptor: FileDescriptor) throws(Errno) {
    do throws(Errno) { self.init(owning: fileDescriptor, try Kind(judging: fileDescriptor)) } catch {
      try? Syscall.close(fileDescriptor)
      throw error
    }
  }

  /// A handle of our own on a descriptor that others use too, such as standard input or one a parent gave us.
  /// Their flags are left alone: a pipe or terminal is opened a second time where that is allowed, everything
  /// else shares the open file, and with it the offset. To splice to a socket it has to be non-blocking
  /// already, and to stay so.  C: `open` of `/proc/self/fd/N`, or `fcntl` with F_DUPFD_CLOEXEC
  public init(duplicating fileDescriptor: FileDescriptor) throws(Errno) {
    let what = try Kind(judging: fileDescriptor)
    let (own, patience) = try Self.another(fileDescriptor, what)
    self.init(own, what, patience)
  }

  private static func another(
    _ shared: FileDescriptor, _ kind: Kind
  ) throws(Errno) -> (FileDescriptor, Patience) {
    switch kind {
    case .pipe, .terminal, .characterDevice:
      if kind != .pipe, try !Syscall.fstat(shared).isSameDeviceWhenOpenedAgain {
        return (try Syscall.duplicate(shared), .shared)
      }
      guard let own = try openAgain(shared) else { return (try Syscall.duplicate(shared), .shared) }
      // A fifo whose writer has gone says so only to those who had it open before. Asked afterwards, so that
      // none goes unseen.
      if kind == .pipe, try Syscall.isReady(shared, 0) {
        try? Syscall.close(own)
        return (try Syscall.duplicate(shared), .shared)
      }
      return (own, .ownNonBlocking)
    case .regularFile, .directory, .blockDevice:
      return (try Syscall.duplicate(shared), .ownNonBlocking)
    case .tcpSocket, .streamSocket:
      // One that does not block already is taken to stay so, and splices.
      let blocks = try Syscall.statusFlags(of: shared) & O_NONBLOCK == 0
      return (try Syscall.duplicate(shared), blocks ? .shared : .ownNonBlocking)
    case .otherSocket, .other:
      return (try Syscall.duplicate(shared), .shared)
    }
  }

  /// Nil where it is not ours to open, such as a pipe that another user made.
  private static func openAgain(_ shared: FileDescriptor) throws(Errno) -> FileDescriptor? {
    let flags = try Syscall.statusFlags(of: shared) & (O_ACCMODE | O_APPEND) | O_NONBLOCK | O_NOCTTY
    return try? Syscall.open(FilePath("/proc/self/fd/\(shared.rawValue)"), flags: flags)
  }

  deinit {
    // Nobody is left to be told; `close()` is for those who want to know.
    if number.rawValue >= 0 { try? Syscall.close(number) }
  }

  /// Another name for the same number, which is released and never closed, before this one is.
  package borrowing func alias() -> Descriptor {
    Descriptor(number, kind, patience, promising: promisedEnd.load(ordering: .relaxed))
  }

  /// A second number for the same open file, of which is known what is known of this one.  C: `fcntl` with
  /// F_DUPFD_CLOEXEC
  package borrowing func duplicated() throws(Errno) -> Descriptor {
    Descriptor(
      try Syscall.duplicate(number), kind, patience, promising: promisedEnd.load(ordering: .relaxed))
  }

  private init(
    _ number: FileDescriptor, _ kind: Kind, _ patience: Patience, promising end: Int64 = 0
  ) {
    (self.number, self.kind, self.patience) = (number, kind, patience)
    promisedEnd = Atomic(end)
    // A datagram spliced can lose its tail. A blocking socket of somebody else's heeds no flag of splice, and
    // would hold the pipe's lock while it waits. Both are copied, with MSG_DONTWAIT.
    let unfit = Errno.notSupported.rawValue
    refusedAsSource = Atomic(kind == .otherSocket ? unfit : 0)
    refusedAsSink = Atomic(kind == .otherSocket || kind.isStream && patience == .shared ? unfit : 0)
  }

  /// Lends the number, for the time of the call.
  public borrowing func withFileDescriptor<Result: ~Copyable, Failure: Error>(
    _ body: (FileDescriptor) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(number)
  }

  /// Gives the number to the caller, who closes it from now on: as it was when it was taken over, so blocking
  /// again if it was that, and so is every duplicate of it, since the flag belongs to the open file.
  /// C: `fcntl` with F_SETFL
  public consuming func release() -> FileDescriptor {
    if isMadeNonBlocking, let flags = try? Syscall.statusFlags(of: number) {
      try? Syscall.setStatusFlags(of: number, to: flags & ~O_NONBLOCK)
    }
    return takeNumber()
  }

  private mutating func takeNumber() -> FileDescriptor {
    let taken = number
    number = FileDescriptor(rawValue: -1)
    return taken
  }

  /// EBADF unless this is open for reading, as a source, or for writing, as a sink.  C: `fcntl` with F_GETFL
  borrowing func mustBeOpen(as direction: Direction) throws(Errno) {
    // A socket is open for both.
    if kind.isStream { return }
    let flags = try Syscall.statusFlags(of: number)
    let wrong = direction == .source ? O_WRONLY : O_RDONLY
    if flags & O_ACCMODE == wrong { throw .badFileDescriptor }
  }

  /// What has happened to a socket, which forgets it by that; nil when nothing has.  C: `getsockopt` with
  /// SO_ERROR
  borrowing func takeSocketError() -> Errno? {
    guard kind.isSocket else { return nil }
    guard let code = try? Syscall.getsockopt(number, level: SOL_SOCKET, option: SO_ERROR), code != 0 else {
      return nil
    }
    let errno = Errno(rawValue: code)
    _ = wasLeft(errno)
    return errno
  }

  /// Whether a peer can throw away what it has said before. A unix socket, as a pipe, keeps that when the
  /// peer closes, and calls it a reset (ECONNRESET) if something was left unread.  C: `getsockopt` with
  /// SO_DOMAIN
  borrowing func hasResets() -> Bool {
    switch kind {
    case .tcpSocket: true
    case .streamSocket, .otherSocket:
      (try? Syscall.getsockopt(number, level: SOL_SOCKET, option: SO_DOMAIN)) != AF_UNIX
    default: false
    }
  }

  /// Whether a source that has ended, or has failed, was left by a peer that had something yet to read.
  borrowing func wasLeft(_ error: Errno? = nil) -> Bool {
    if error == .connectionReset, !hasResets() { wasLeftUnread.store(true, ordering: .relaxed) }
    return wasLeftUnread.load(ordering: .relaxed)
  }

  /// Notes that a file has said to end there, or later: one that ends before was cut.
  package borrowing func promise(until end: Int64) { promisedEnd.store(end, ordering: .relaxed) }

  /// How much a file that has just ended, at `offset` or where it stands, has kept back of what it promised; nil
  /// unless it has become shorter. One that is as long as it said and ends all the same, such as those of
  /// `/sys`, has only said too much; and what is cut behind everything is not missed.  C: `fstat`, `lseek`
  borrowing func keptBack(at offset: Int64?) -> UInt64? {
    let end = promisedEnd.load(ordering: .relaxed)
    guard end > 0, let size = try? Syscall.fstat(number).size, size < end,
      let here = offset ?? (try? Syscall.lseek(number, to: 0, from: .current)), here < end
    else { return nil }
    return UInt64(end - here)
  }

  /// ESPIPE for what has no offsets.
  borrowing func mustHavePlaces() throws(Errno) {
    if kind.isSocket || kind == .pipe { throw .illegalSeek }
  }

  /// Closes, and says what went wrong.  C: `close`
  public consuming func close() throws(Errno) {
    try Syscall.close(takeNumber())
  }

  /// The number, for this library's own calls while they borrow the owner.
  var raw: FileDescriptor { number }
}

// MARK: - What it is

extension Descriptor {
  /// What a descriptor is open on, as far as it matters to the ways of moving bytes.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// A file on a disk or in memory, with an offset.
    case regularFile
    /// A directory, which moves no bytes.
    case directory
    /// A disk.
    case blockDevice
    /// A device such as `/dev/null`.
    case characterDevice
    /// A terminal.
    case terminal
    /// A pipe or a fifo.
    case pipe
    /// A TCP connection.
    case tcpSocket
    /// A stream of bytes over another kind of socket, such as a unix one.
    case streamSocket
    /// A socket of datagrams, where one message is one unit.
    case otherSocket
    /// An eventfd, an epoll instance and the like.
    case other

    /// What cannot be told is something else.
    init(of descriptor: FileDescriptor) { self = (try? Kind(judging: descriptor)) ?? .other }

    init(judging descriptor: FileDescriptor) throws(Errno) {
      self =
        switch try Syscall.fstat(descriptor).type {
        case S_IFREG: .regularFile
        case S_IFDIR: .directory
        case S_IFBLK: .blockDevice
        case S_IFCHR: Syscall.isTerminal(descriptor) ? .terminal : .characterDevice
        case S_IFIFO: .pipe
        case S_IFSOCK: try Self.ofSocket(descriptor)
        default: .other
        }
    }

    private static func ofSocket(_ descriptor: FileDescriptor) throws(Errno) -> Kind {
      func option(_ name: CInt) throws(Errno) -> CInt {
        try Syscall.getsockopt(descriptor, level: SOL_SOCKET, option: name)
      }
      guard try option(SO_TYPE) == CInt(SOCK_STREAM.rawValue) else { return .otherSocket }
      return try option(SO_PROTOCOL) == CInt(IPPROTO_TCP) ? .tcpSocket : .streamSocket
    }

    /// Never answers EAGAIN, and may wait for a disk all the same.
    @inline(__always) var isDisk: Bool { self == .regularFile || self == .blockDevice || self == .directory }

    /// A socket that carries a stream, and so has an end to pass on.
    @inline(__always) package var isStream: Bool { self == .tcpSocket || self == .streamSocket }

    @inline(__always) var isSocket: Bool { isStream || self == .otherSocket }
  }
}

// MARK: - May a call wait?

extension Descriptor {
  /// How calls on a descriptor are kept from waiting.
  enum Patience: Sendable, Hashable {
    /// O_NONBLOCK is set on an open file of our own, or the kind has no use for it.
    case ownNonBlocking
    /// The open file is shared: it is asked first, and written to no more than it surely takes.
    case shared
  }

  /// Whether a call in this direction would wait; costs a call only where nothing else keeps it from waiting.
  func wouldWait(for direction: Direction) throws(Errno) -> Bool {
    switch patience {
    case .ownNonBlocking: false
    case .shared: try !Syscall.isReady(number, direction == .source ? POLLIN : POLLOUT)
    }
  }

  /// Whether no call on it waits, whoever makes it: neither for a disk, nor for what else happens to a
  /// terminal or a pipe of others after it has said that it is writable.
  var neverWaits: Bool { !kind.isDisk && (patience == .ownNonBlocking || kind.isSocket) }

  /// The two roles a descriptor can have in a hop.
  public enum Direction: String, Sendable, Hashable, CaseIterable {
    /// Bytes come out of it.
    case source
    /// Bytes go into it.
    case sink
  }
}

// MARK: - Does it splice?

extension Descriptor {
  /// Why this descriptor is not spliced in this direction, once that was found out; nil while nothing speaks
  /// against it.
  @inline(__always)
  public borrowing func refusal(as direction: Direction) -> Errno? {
    let errno =
      switch direction {
      case .source: refusedAsSource.load(ordering: .relaxed)
      case .sink: refusedAsSink.load(ordering: .relaxed)
      }
    return errno == 0 ? nil : Errno(rawValue: errno)
  }

  borrowing func refuse(as direction: Direction, _ errno: Errno) {
    switch direction {
    case .source: refusedAsSource.store(errno.rawValue, ordering: .relaxed)
    case .sink: refusedAsSink.store(errno.rawValue, ordering: .relaxed)
    }
  }
}
