// The sockets a server listens on: one for each thread where the kernel shares a port among them, one for all otherwise.

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

    init(_ descriptor: consuming Descriptor, isInherited: Bool = false) throws(Errno) {
      address = try SocketAddress(of: descriptor)
      self.descriptor = descriptor
      self.isInherited = isInherited
    }

    /// Clients are refused from now on, unless somebody else is to take them.  C: `shutdown` with SHUT_RD
    func close() {
      if !isInherited { descriptor.withFileDescriptor { try? Syscall.shutdown($0, .reading) } }
    }
  }

  /// Those of each thread.
  let sockets: [[Socket]]
  /// Where they are bound.
  let bound: [ServerAddress]
  /// Files of unix sockets, which go with them.
  private let files: [FilePath]

  /// Clients that the kernel keeps for us.
  static let backlog = 4096

  /// `threads` share each port, and then other processes may share it too. Nil: it is for one, and nobody else.
  init(
    on addresses: [ServerAddress], sharedBy threads: Int? = nil, tcp: TCPOptions = TCPOptions()
  ) throws(ServerAddress.Failure) {
    let isShared = threads != nil
    let threads = threads ?? 1
    func listen(on place: SocketAddress) throws(Errno) -> Socket {
      try Self.listen(on: place, isShared: isShared, tcp)
    }
    var sockets = [[Socket]](repeating: [], count: threads)
    var (bound, files) = ([ServerAddress](), [FilePath]())
    for address in addresses {
      if address == .inherited {
        for socket in try Self.inherited(tcp) {
          for thread in 0..<threads { sockets[thread].append(socket) }
          bound.append(ServerAddress(socket.address))
        }
        continue
      }
      for place in try address.resolve(toListen: true) {
        do throws(Errno) {
          let first = try listen(on: place)
          for thread in 0..<threads {
            let isOwn = thread > 0 && !place.isUnix
            sockets[thread].append(isOwn ? try listen(on: first.address) : first)
          }
          bound.append(address.at(port: first.address.port))
          if case .unix(let path) = address, !path.hasPrefix("@") { files.append(FilePath(path)) }
        } catch {
          for file in files { try? Syscall.unlink(file) }
          throw ServerAddress.Failure(address: address, act: "listen", reason: "\(error)")
        }
      }
    }
    (self.sockets, self.bound, self.files) = (sockets, bound, files)
  }

  deinit { close() }

  private static func inherited(_ tcp: TCPOptions) throws(ServerAddress.Failure) -> [Socket] {
    var sockets: [Socket] = []
    do throws(Errno) {
      for passed in try ServiceManager.takeListeners() {
        let socket = Descriptor(owning: passed)
        try socket.setTCP(tcp)
        sockets.append(try Socket(socket, isInherited: true))
      }
    } catch { throw ServerAddress.Failure(address: .inherited, act: "listen", reason: "\(error)") }
    guard !sockets.isEmpty else {
      throw ServerAddress.Failure(
        address: .inherited, act: "listen", reason: "no socket was passed (LISTEN_FDS)")
    }
    return sockets
  }

  private static func listen(
    on place: SocketAddress, isShared: Bool, _ tcp: TCPOptions
  ) throws(Errno) -> Socket {
    let socket: Descriptor
    do throws(Errno) { socket = try place.listen(backlog: backlog, sharing: isShared) } catch {
      // A file that nobody listens on any more, since its owner was killed.
      guard error == .addressInUse, let file = try place.abandonedFile() else { throw error }
      try Syscall.unlink(file)
      socket = try place.listen(backlog: backlog)
    }
    // What a listener is told, those it takes are told too.
    try socket.setTCP(tcp)
    return try Socket(socket)
  }

  /// Removes the files.
  func close() { for file in files { try? Syscall.unlink(file) } }
}

extension SocketAddress {
  /// The file of a unix socket that refuses to be connected to.
  fileprivate func abandonedFile() throws(Errno) -> FilePath? {
    guard isUnix, let path, path.first != 0 else { return nil }
    let probe = try Syscall.socket(domain: domain, type: 1)
    defer { try? Syscall.close(probe) }
    do throws(Errno) { try Syscall.connect(probe, to: bytes) } catch {
      return error == .connectionRefused ? FilePath(String(decoding: path, as: UTF8.self)) : nil
    }
    return nil
  }
}
