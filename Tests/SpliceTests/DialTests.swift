// Connecting: every address in turn, and patience with a busy listener.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct DialTests {
  @Test func everyAddressIsTried() throws {
    let listener = try SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0].listen(backlog: 1)
    let good = try SocketAddress.resolve(host: "127.0.0.1", port: SocketAddress.port(of: listener)!)
    let socketWithoutListener = try SocketAddress.unix("/nonexistent/socket")
    _ = try SocketAddress.connect(toOneOf: [socketWithoutListener] + good, waitingIn: .poll)
    #expect(throws: SpliceError.source(.noSuchFileOrDirectory)) {
      _ = try SocketAddress.connect(toOneOf: [socketWithoutListener], waitingIn: .poll)
    }
  }

  @Test func aFullBacklogIsWaitedFor() throws {
    let address = try SocketAddress.unix("@splice-\(UUID().uuidString)")
    let listener = try address.listen(backlog: 0)
    // One fits; the next is waited for until its deadline, or until there is room.
    let first = try SocketAddress.connect(toOneOf: [address], waitingIn: .poll)
    #expect(throws: SpliceError.timedOut) {
      _ = try SocketAddress.connect(toOneOf: [address], waitingIn: Poll(until: .now + .milliseconds(50)))
    }
    let second = onThread { try SocketAddress.connect(toOneOf: [address], waitingIn: .poll).release() }
    _ = try listener.accept(waitingIn: .poll)
    let connected = Descriptor(owning: try second.join())
    try connected.writeAll(bytes(10))
    #expect(try listener.accept(waitingIn: .poll).read(exactly: 10) == bytes(10))
    withExtendedLifetime(first) {}
  }
}
