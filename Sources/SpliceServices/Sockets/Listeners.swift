// The sockets a server listens on: one for each thread where the kernel shares a port among them, one for all
// otherwise.

import CSplice
import Splice
import SystemPackage

/// The sockets a server listens on.
final class Listeners: Sendable {
  /// One that one thread takes clients from.
  final class Socket: Sendable {
    let descriptor: Descriptor
    let address: SocketAddress
    /// Whether others may take clients from it after us.
    let isInherited: Bool
    /// What was made for it.
    fileprivate let file: SocketFile?
    /// Takes the place of a unix socket that is closed. It is open from the beginning, as there may be no
    /// descriptor left by then.
    private let nothing: Descriptor?

    init(
      _ descriptor: consuming Descriptor, _ file: SocketFile? = nil, isInherited: Bool = false
    ) throws(Errno) {
      address = try SocketAddress(of: descriptor)
      self.file = file
      nothing = address.isUnix ? Descriptor(owning: try Syscall.open("/dev/null", flags: O_RDONLY)) : nil
      self.descriptor = descriptor
      self.isInherited = isInherited
    }

    /// Clients are refused from now on, and those who stand in the queue are let go, unless another process
    /// is to take them.  C: `shutdown` with SHUT_RD, `dup3`
    func close() {
      if isInherited { return }
      descriptor.withFileDescriptor { socket in
        try? Syscall.shutdown(socket, .reading)
        // TCP resets its queue by that, and a unix socket keeps its own until it is closed. Its number stays
        // taken: other threads may still be about to accept there, and are told ENOTSOCK.
        switch nothing {
        case let nothing?: nothing.withFileDescriptor { try? Syscall.replace(socket, by: $0) }
        case nil: break
        }
      }
    }
  }

  /// Those of each thread.
  let sockets: [[Socket]]
  /// Where they are bound.
  let bound: [ServerAddress]
  /// Files of unix sockets, until they are removed.
  private let files: Locked<[SocketFile]>

  /// Clients that the kernel keeps for us.
  static let backlog = 4096

  /// `threads` share each port, and other processes may share it from the beginning if `reusingPort`.
  /// Connections that are taken are reset when they are closed, if `resetting`, until that is taken back; not
  /// those of inherited sockets, whose options belong to others too. `stop` ends the wait for a resolver,
  /// which is a failure then.
  init(
    on addresses: [ServerAddress], sharedBy threads: Int = 1, reusingPort: Bool = false,
    tcp: TCPOptions = TCPOptions(), resetting: Bool = false, stoppedBy stop: StopFlag? = nil
  ) throws(ServerAddress.Unusable) {
    func listen(on place: SocketAddress, _ sharing: SocketAddress.PortSharing) throws(Errno) -> Socket {
      let socket = try Self.listen(on: place, sharing, tcp)
      if resetting { socket.descriptor.resetUnlessFinished() }
      return socket
    }
    var places = try Lookup.all(
      addresses.filter { $0 != .inherited }, toListen: true, waitingIn: BlockingWait(orStoppedBy: stop))[...]
    var sockets = [[Socket]](repeating: [], count: threads)
    var (bound, files) = ([ServerAddress](), [SocketFile]())
    do throws(ServerAddress.Unusable) {
      for address in addresses {
        if address == .inherited {
          for socket in try Self.inherited(tcp) {
            for thread in 0..<threads { sockets[thread].append(socket) }
            bound.append(ServerAddress(socket.address))
          }
          continue
        }
        for place in places.removeFirst() {
          do throws(Errno) {
            // A port that somebody has is not shared by mistake.
            let first = try listen(on: place, reusingPort ? .everybody : threads > 1 ? .laterOn : .none)
            for thread in 0..<threads {
              let isOwn = thread > 0 && !place.isUnix
              sockets[thread].append(isOwn ? try listen(on: first.address, .everybody) : first)
            }
            bound.append(address.at(port: first.address.port))
            if let file = first.file { files.append(file) }
          } catch { throw ServerAddress.Unusable(address: address, act: "listen", reason: "\(error)") }
        }
      }
    } catch {
      for file in files { file.remove() }
      throw error
    }
    (self.sockets, self.bound, self.files) = (sockets, bound, Locked(files))
  }

  deinit { close() }

  private static func inherited(_ tcp: TCPOptions) throws(ServerAddress.Unusable) -> [Socket] {
    var sockets: [Socket] = []
    do throws(Errno) {
      for passed in try ServiceManager.takeListeners() {
        let socket = Descriptor(owning: passed)
        try socket.setTCP(tcp)
        sockets.append(try Socket(socket, isInherited: true))
      }
    } catch { throw ServerAddress.Unusable(address: .inherited, act: "listen", reason: "\(error)") }
    guard !sockets.isEmpty else {
      throw ServerAddress.Unusable(
        address: .inherited, act: "listen", reason: "no socket was passed (LISTEN_FDS)")
    }
    return sockets
  }

  private static func listen(
    on place: SocketAddress, _ sharing: SocketAddress.PortSharing, _ tcp: TCPOptions
  ) throws(Errno) -> Socket {
    // A file without a listener, since its owner was killed, is replaced.
    var file: SocketFile?
    let socket = try place.listen(backlog: backlog, sharing: sharing, replacing: true, making: &file)
    do throws(Errno) {
      // What a listener is told, those it takes are told too.
      try socket.setTCP(tcp)
      return try Socket(socket, file)
    } catch {
      file?.remove()
      throw error
    }
  }

  /// Removes the files that were made here, once. Clients that have connected before are served all the same.
  func close() {
    let files = files.withLock { files in
      defer { files = [] }
      return files
    }
    for file in files { file.remove() }
  }
}
