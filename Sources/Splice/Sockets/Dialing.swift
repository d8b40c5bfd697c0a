// Connecting to one of several addresses, step by step and without waiting: the sockets of an `AddressRace`.
//
// Whoever drives it waits: `Dial.swift` has the two ways, in poll and in a task.

import CSplice
import SystemPackage

/// Connections that are being made to the addresses of one name, of which one will be kept.
struct Dialing: ~Copyable {
  private let addresses: [SocketAddress]
  private var race: AddressRace
  private(set) var attempts: [Attempt] = []
  /// When to go on even if nothing has happened.
  private(set) var next: Moment?

  init(_ addresses: [SocketAddress]) {
    self.addresses = AddressRace.interleaved(addresses)
    race = AddressRace(count: addresses.count)
  }

  /// How long a listener with a full backlog is left alone: nothing tells when it has room. So are several
  /// sockets without an epoll.
  static let untilTriedAgain = Duration.milliseconds(10)

  /// Looks at what was begun and begins what is due. The attempt that has connected, once one has.
  ///
  /// `isTold` when there is but one, and it has just been told that it may be written to, and nothing else: then
  /// it has.
  mutating func advance(
    isTold: Bool = false, prepare: (borrowing Descriptor) throws(Errno) -> Void
  ) throws(Errno) -> Attempt? {
    for attempt in attempts {
      do throws(Errno) { if try attempt.isConnected(isTold: isTold) { return attempt } } catch {
        attempts.removeAll { $0 === attempt }
        race.fail(error)
      }
    }
    while true {
      switch race.move(at: .now) {
      case .begin(let index):
        do throws(Errno) {
          let attempt = try Attempt(addresses[index], prepare)
          if try attempt.isConnected(isTold: false) { return attempt }
          attempts.append(attempt)
        } catch {
          // Whoever has had its time makes room for the next.
          if error.isShortage, !attempts.isEmpty {
            attempts.removeFirst()
            race.makeRoom(error)
          } else {
            race.fail(error)
          }
        }
      case .wait(let time):
        let again = attempts.contains { $0.isRefused } ? Moment.now + Self.untilTriedAgain : nil
        next = [time, again].compactMap { $0 }.min()
        return nil
      case .giveUp(let error): throw error
      }
    }
  }

  /// Why there is no connection, when time is up: what was missing here says nothing of the addresses.
  func whyNot(_ error: SpliceError) -> SpliceError {
    guard error == .timedOut, let shortage = race.shortage else { return error }
    return .sink(shortage)
  }

  /// A connection that is being made to one address.
  final class Attempt {
    let address: SocketAddress
    /// Until it is taken.
    private var own: Descriptor?
    /// Whether the listener of a unix socket had no room for it, so that nothing is under way.
    private(set) var isRefused = false
    private var isBegun = false
    /// Who watches the socket until it is taken.
    private var watch: (watcher: EpollExecutor, key: RegistrationKey)?

    fileprivate init(
      _ address: SocketAddress, _ prepare: (borrowing Descriptor) throws(Errno) -> Void
    ) throws(Errno) {
      self.address = address
      let number = try Syscall.socket(domain: address.domain, type: CInt(SOCK_STREAM.rawValue))
      let socket = Descriptor(stream: number, isUnix: address.isUnix)
      try prepare(socket)
      own = consume socket
    }

    deinit {
      // The close that follows takes the socket off the kernel's list.
      if let watch { watch.watcher.forget(watch.key) }
    }

    /// Whether it is made, which is asked of the kernel by the same call that begins it.  C: `connect`
    fileprivate func isConnected(isTold: Bool) throws(Errno) -> Bool {
      do throws(Errno) { if !isTold || address.isUnix { try connect() } } catch {
        switch error {
        case .socketIsConnected: break
        case .nowInProgress, .alreadyInProcess: return false
        // Only a unix socket says so, and tries again.
        case .wouldBlock where address.isUnix:
          isRefused = true
          return false
        default: throw error
        }
      }
      if isItself {
        // Closed in order, it would keep the port from whoever is to listen there.
        socket.resetUnlessFinished()
        throw .connectionRefused
      }
      return true
    }

    private func connect() throws(Errno) {
      isRefused = false
      defer { isBegun = true }
      while true {
        do throws(Errno) { return try Syscall.connect(socket.raw, to: address.bytes) } catch {
          // What goes on is EALREADY the second time. So this was interrupted, and its edge may have been
          // told.
          guard error == .nowInProgress, isBegun, !address.isUnix else { throw error }
        }
      }
    }

    /// Whether the two names are equal. A connection to a port of this host without a listener, which the
    /// kernel happens to choose as the local one as well, is made with itself (TCP's simultaneous open).
    /// C: `getsockname`, `getpeername`
    private var isItself: Bool {
      guard let port = address.port, LocalPorts.range?.contains(port) != false,
        let own = try? SocketAddress(of: socket), own.port == port,
        let bytes = try? Syscall.getpeername(socket.raw)
      else { return false }
      let peer = SocketAddress(bytes)
      return own.ip == peer.ip && own.port == peer.port
    }

    /// Has an executor watch the socket until this is let go.
    func watched(by executor: EpollExecutor) -> RegistrationKey {
      if let watch { return watch.key }
      let key = executor.attach(socket.raw, inBothDirections: true)
      watch = (executor, key)
      return key
    }

    /// The socket, which is no longer this one's, watched as it was.
    @inline(never)
    func takeWatched(by executor: EpollExecutor) -> Watched {
      Watched(take(), by: executor, inBothDirections: true)
    }

    /// The socket, which is no longer this one's.
    func take() -> Descriptor {
      guard let taken = own.take() else { preconditionFailure("a socket is taken once") }
      return taken
    }

    /// The socket, until it is taken.
    var socket: Descriptor {
      _read {
        switch own {
        case .some(let socket): yield socket
        case .none: preconditionFailure("a socket is taken once")
        }
      }
    }

    /// The socket, to be watched anew by its next owner.
    func takeUnwatched() -> Descriptor {
      if let watch { watch.watcher.detach(watch.key) }
      watch = nil
      return take()
    }
  }
}

/// The ports that the kernel chooses from for connections.
package enum LocalPorts {
  /// As they were when first asked for; nil when that cannot be told.
  /// C: `/proc/sys/net/ipv4/ip_local_port_range`
  package static let range: ClosedRange<UInt16>? = {
    guard let number = try? Syscall.open("/proc/sys/net/ipv4/ip_local_port_range", flags: O_RDONLY) else {
      return nil
    }
    let file = Descriptor(owning: number)
    let text = unsafe String(unsafeUninitializedCapacity: 64) { buffer in
      (try? unsafe Syscall.read(file.raw, into: UnsafeMutableRawBufferPointer(buffer))) ?? 0
    }
    let words = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
    return words.count == 2 && words[0] <= words[1] ? words[0]...words[1] : nil
  }()
}
