// Where a server listens, and where others are that it connects to.

import Splice
import SystemPackage

/// Where a server listens, or another one is.
public enum ServerAddress: Sendable, Hashable {
  /// Every address of the name.
  case tcp(host: String, port: UInt16)
  /// A path; `@NAME` has no file. A byte of it that is not UTF-8, 0xNN, is written U+10FENN.
  case unix(String)
  /// The sockets the service manager has opened for this process, all of them. Only to listen.
  /// C: sd_listen_fds(3)
  case inherited

  /// What went wrong with one before anything was served.
  public struct Unusable: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where.
    public let address: ServerAddress
    /// What was tried.
    public let act: String
    /// Why it failed.
    public let reason: String
    /// Whether what was asked for makes no sense, whatever the state of this host is.
    public let isMisuse: Bool

    init(address: ServerAddress, act: String, reason: String, isMisuse: Bool = false) {
      (self.address, self.act, self.reason, self.isMisuse) = (address, act, reason, isMisuse)
    }

    /// Who, what act, why.
    public var description: String { "\(address): \(act): \(reason)" }
  }
}

extension ServerAddress: CustomStringConvertible {
  /// As the command's endpoints are written, on one line whatever the name is.
  public var description: String {
    switch self {
    case .tcp(let host, let port):
      host.contains(":") ? "[\(host.escaped)]:\(port)" : "\(host.escaped):\(port)"
    case .unix(let path): "unix:\(path.escaped)"
    case .inherited: "systemd"
    }
  }

  /// Of a socket that another process has bound.
  init(_ address: SocketAddress) {
    if let ip = address.ip, let port = address.port {
      self = .tcp(host: IPAddress.text(ip), port: port)
    } else {
      let path = address.path ?? []
      let name = path.first == 0 ? [UInt8(ascii: "@")] + path.dropFirst() : path
      self = .unix(String(carrying: name))
    }
  }

  /// This address with the port that was chosen.
  func at(port: UInt16?) -> Self {
    guard case .tcp(let host, _) = self, let port else { return self }
    return .tcp(host: host, port: port)
  }

  /// What it means to the kernel.  C: `getaddrinfo`
  func resolve(toListen: Bool = false) throws(Unusable) -> [SocketAddress] {
    switch self {
    case .tcp(let host, let port):
      do throws(SocketAddress.Unresolved) {
        return try SocketAddress.resolve(host: host, port: port, toListen: toListen)
      } catch { throw Unusable(address: self, act: "resolve", reason: error.reason) }
    case .unix(let path):
      do throws(Errno) { return [try SocketAddress.unix(path)] } catch {
        throw Unusable(address: self, act: "resolve", reason: "\(error)")
      }
    case .inherited: throw Unusable(address: self, act: "resolve", reason: "is only to listen on")
    }
  }

  /// Whether it may lead elsewhere one day.
  var isName: Bool {
    guard case .tcp(let host, _) = self else { return false }
    return !IPAddress.isNumeric(host)
  }
}
