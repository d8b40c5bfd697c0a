// The pipeline that a handler is in, as far as splicing has to know it.

#if NIO
import NIOCore
import Splice
import struct SystemPackage.FileDescriptor

extension ChannelHandlerContext {
  /// The channel's socket, which is open until the channel's loop closes it.
  func socket() throws -> FileDescriptor {
    let handle = NIOBSDSocket.Handle.self
    let number = try pipeline.syncOperations.withUnsafeTransportIfAvailable(of: handle) { $0 }
    guard let number else { throw SpliceRefusal.noHandler }
    return FileDescriptor(rawValue: number)
  }

  /// What its socket has accepted and its peer not taken yet.  C: `ioctl` with SIOCOUTQ
  package var untaken: UInt64 {
    let count = try? Syscall.bytesUnconfirmed(in: socket())
    return UInt64(count ?? 0)
  }

  var isUnix: Bool {
    let address = channel.localAddress ?? channel.remoteAddress
    if case .unixDomainSocket? = address { return true }
    return false
  }
}

extension SpliceRefusal {
  /// Nil when what is spliced by the handler of this context arrives as it is.
  ///
  /// NIO has no list of a pipeline's handlers but its description, a handler a line from the socket on. One
  /// that cannot be read is refused.
  init?(of context: ChannelHandlerContext) {
    var isFirst = true
    for line in context.pipeline.debugDescription.split(separator: "\n").dropFirst(2) {
      let words = line.split(separator: " ")
      let name = words.first { $0 != "↓↑" }.map(String.init) ?? ""
      if isFirst, name != "SpliceHandler" {
        self = .between(handler: name)
        return
      }
      isFirst = false
      if name.contains("SSL") || name.contains("TLS") {
        self = .encrypted(handler: name)
        return
      }
    }
    if isFirst {
      self = .noHandler
      return
    }
    return nil
  }
}
#endif
