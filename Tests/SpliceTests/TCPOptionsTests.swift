// What is asked of TCP, as the kernel has it.

import Glibc
import Splice
import SystemPackage
import TestSupport
import Testing

@Suite struct TCPOptionsTests {
  private func options(_ options: TCPOptions) throws -> [CInt] {
    let socket = try SocketAddress.resolve(host: "127.0.0.1", port: 0, toListen: true)[0].listen(backlog: 1)
    try socket.setTCP(options)
    return try socket.withFileDescriptor { socket in
      try [
        Syscall.getsockopt(socket, level: SOL_SOCKET, option: SO_KEEPALIVE),
        Syscall.getsockopt(socket, level: CInt(IPPROTO_TCP), option: TCP_KEEPIDLE),
        Syscall.getsockopt(socket, level: CInt(IPPROTO_TCP), option: TCP_KEEPINTVL),
        Syscall.getsockopt(socket, level: CInt(IPPROTO_TCP), option: TCP_KEEPCNT),
        Syscall.getsockopt(socket, level: CInt(IPPROTO_TCP), option: TCP_USER_TIMEOUT),
      ]
    }
  }

  @Test func `keepalive and the user timeout are two things`() throws {
    let usual = try options(TCPOptions())
    #expect(usual[0] == 0 && usual[4] == 0)
    #expect(try options(TCPOptions(keepalive: .seconds(7))) == [1, 7, 7, 2, 0])
    #expect(try options(TCPOptions(keepalive: .milliseconds(10))) == [1, 1, 1, 2, 0])
    // The longest that the kernel takes.
    #expect(try options(TCPOptions(keepalive: .seconds(36_000))) == [1, 32767, 32767, 2, 0])
    #expect(try options(TCPOptions(userTimeout: .milliseconds(1500))) == [0] + usual[1...3] + [1500])
  }
}
