// Whether connecting to an address leads to a socket of this process that listens.

import CSplice
import Splice
import SystemPackage

extension Listeners {
  /// Throws when a connection to one of these places comes to one of these sockets. What leads here through
  /// another host or program is not seen.
  func mustNotBeReached(
    by address: ServerAddress, at places: [SocketAddress]
  ) throws(ServerAddress.Unusable) {
    guard places.contains(where: isReached) else { return }
    throw ServerAddress.Unusable(
      address: address, act: "connect", reason: "this is the relay itself", isMisuse: true)
  }

  /// Whether an address may lead here, as far as can be told without looking its name up.
  func mayBeReached(by address: ServerAddress) -> Bool {
    guard case .tcp(_, let port) = address else { return true }
    return sockets.contains { $0.contains { $0.address.port == port } }
  }

  private func isReached(by place: SocketAddress) -> Bool {
    sockets.contains { $0.contains { $0.isReached(by: place) } }
  }
}

extension Listeners.Socket {
  fileprivate func isReached(by place: SocketAddress) -> Bool {
    if place.isUnix { return address == place || SocketFile(of: address)?.isReached(by: place) == true }
    let (own, target) = (address.unmapped, place.unmapped.connected)
    guard let ip = own.ip, let targetIP = target.ip, own.port == target.port else { return false }
    if ip == targetIP { return true }
    guard own.isUnspecified, ip.count == targetIP.count || (ip.count == 16 && takesBothFamilies) else {
      return false
    }
    return target.isLocal
  }

  /// Whether a socket of IPv6 takes clients of IPv4 too.  C: `getsockopt` with IPV6_V6ONLY
  private var takesBothFamilies: Bool {
    descriptor.withFileDescriptor {
      (try? Syscall.getsockopt($0, level: CInt(IPPROTO_IPV6), option: IPV6_V6ONLY)) == 0
    }
  }
}

extension SocketAddress {
  /// The address that stands for any: 0.0.0.0 or ::.
  fileprivate var isUnspecified: Bool { ip?.allSatisfy { $0 == 0 } ?? false }

  /// Where a connection to this address goes: the one that stands for any is this host.
  fileprivate var connected: SocketAddress {
    guard let ip, let port, isUnspecified else { return self }
    return SocketAddress(
      ip: ip.count == 4 ? [127, 0, 0, 1] : [UInt8](repeating: 0, count: 15) + [1], port: port)
  }

  /// Whether this is an address of this host: what is sent to one of those is sent from it, too.
  /// C: `connect` of a datagram socket, `getsockname`
  fileprivate var isLocal: Bool {
    guard let ip else { return false }
    if ip.count == 4, ip[0] == 127 { return true }
    guard let number = try? Syscall.socket(domain: domain, type: CInt(SOCK_DGRAM.rawValue)) else {
      return false
    }
    let socket = Descriptor(owning: number)
    return socket.withFileDescriptor { socket in
      guard (try? Syscall.connect(socket, to: bytes)) != nil, let own = try? Syscall.getsockname(socket)
      else {
        return false
      }
      return SocketAddress(own).ip == ip
    }
  }
}
