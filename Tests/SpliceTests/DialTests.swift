// Connecting: every address in turn, and patience with a busy listener.

import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

@Suite(.mayBlock) struct DialTests {
  @Test func `every address is tried`() throws {
    let listener = try SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0].listen(backlog: 1)
    let good = try SocketAddress.resolve(host: "127.0.0.1", port: SocketAddress.port(of: listener)!)
    let socketWithoutListener = try SocketAddress.unix("/nonexistent/socket")
    _ = try SocketAddress.connect(toOneOf: [socketWithoutListener] + good, waitingIn: .poll)
    #expect(throws: SpliceError.sink(.noSuchFileOrDirectory)) {
      _ = try SocketAddress.connect(toOneOf: [socketWithoutListener], waitingIn: .poll)
    }
  }

  /// Sockets that listen on one port of several addresses of loopback. All but the last answer nobody: their
  /// queues are full.
  private func alike(
    _ hosts: [String]
  ) throws -> (listeners: [Int32], addresses: [SocketAddress], crowd: [Int32]) {
    func listen(_ host: String, _ port: UInt16, _ backlog: Int) throws -> Int32 {
      try SocketAddress.resolve(host: host, port: port, toListen: true)[0].listen(backlog: backlog).release()
        .rawValue
    }
    let last = try listen(hosts.last!, 0, 4)
    let port = SocketAddress(try Syscall.getsockname(FileDescriptor(rawValue: last))).port!
    var (listeners, crowd) = ([last], [Int32]())
    for host in hosts.dropLast() {
      listeners.append(try listen(host, port, 0))
      for _ in 0..<4 {
        let socket = try Syscall.socket(domain: AF_INET, type: CInt(SOCK_STREAM.rawValue))
        crowd.append(socket.rawValue)
        try? Syscall.connect(socket, to: try SocketAddress.resolve(host: host, port: port)[0].bytes)
      }
    }
    return (listeners, try hosts.map { try SocketAddress.resolve(host: $0, port: port)[0] }, crowd)
  }

  @Test(arguments: [false, true])
  func `a later address is begun before an earlier one has failed`(_ isAsync: Bool) async throws {
    let (listeners, addresses, crowd) = try alike(["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.1"])
    defer { for number in listeners + crowd { close(number) } }
    let begun = ContinuousClock.now
    let peer: SocketAddress
    if isAsync {
      let executor = try EpollExecutor()
      defer { executor.shutdown() }
      peer = try await withTaskExecutorPreference(executor) {
        let socket = try await SocketAddress.connect(
          toOneOf: addresses, within: .seconds(20), watchedBy: executor
        ) { _ in }
        return SocketAddress(try socket.descriptor.withFileDescriptor { try Syscall.getpeername($0) })
      }
    } else {
      let socket = try SocketAddress.connect(
        toOneOf: addresses, waitingIn: BlockingWait(until: .now + .seconds(20)))
      peer = SocketAddress(try socket.withFileDescriptor { try Syscall.getpeername($0) })
    }
    #expect(peer == addresses[3])
    // Three head starts of 250 ms.
    #expect(ContinuousClock.now - begun >= .milliseconds(750))
  }

  /// Those that were begun are given up together, by one deadline.
  @Test func `one deadline is for all`() async throws {
    let (listeners, addresses, crowd) = try alike(["127.0.0.2", "127.0.0.3", "127.0.0.1"])
    defer { for number in listeners + crowd { close(number) } }
    let executor = try EpollExecutor()
    defer { executor.shutdown() }
    await #expect(throws: SpliceError.timedOut) {
      _ = try await SocketAddress.connect(
        toOneOf: Array(addresses.prefix(2)), within: .milliseconds(400), watchedBy: executor
      ) { _ in }.descriptor.kind
    }
    #expect(throws: SpliceError.timedOut) {
      _ = try SocketAddress.connect(
        toOneOf: Array(addresses.prefix(2)), waitingIn: BlockingWait(until: .now + .milliseconds(400)))
    }
  }

  @Test func `a full backlog is waited for`() throws {
    let address = try SocketAddress.unix("@splice-\(UUID().uuidString)")
    let listener = try address.listen(backlog: 0)
    // One fits; the next is waited for until its deadline, or until there is room.
    let first = try SocketAddress.connect(toOneOf: [address], waitingIn: .poll)
    #expect(throws: SpliceError.timedOut) {
      _ = try SocketAddress.connect(
        toOneOf: [address], waitingIn: BlockingWait(until: .now + .milliseconds(50)))
    }
    let second = onThread { try SocketAddress.connect(toOneOf: [address], waitingIn: .poll).release() }
    _ = try listener.accept(waitingIn: .poll)
    let connected = Descriptor(owning: try second.join())
    try connected.writeAll(bytes(10))
    #expect(try listener.accept(waitingIn: .poll).read(exactly: 10) == bytes(10))
    withExtendedLifetime(first) {}
  }
}
