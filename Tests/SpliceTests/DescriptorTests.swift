// One owner, a kind, and flags that are nobody's but the open file's.

import Foundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct DescriptorTests {
  @Test func `a descriptor knows what it is`() throws {
    #expect(try TemporaryFile().open(.readOnly).kind == .regularFile)
    #expect(try device("/dev/null").kind == .characterDevice)
    #expect(try Ends.pipe().near.kind == .pipe)
    #expect(try Ends.unix().near.kind == .streamSocket)
    #expect(try Ends.tcp().far.kind == .tcpSocket)
    #expect(Descriptor(owning: try FileDescriptor.open("/", .readOnly)).kind == .directory)
    #expect(
      Descriptor(owning: FileDescriptor(rawValue: socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0))).kind
        == .otherSocket)
    #expect(Descriptor(owning: try Syscall.eventfd()).kind == .other)
    let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    #expect(Descriptor(owning: FileDescriptor(rawValue: terminal)).kind == .terminal)
  }

  /// Nothing will be confirmed any more: whoever ends such a sink does not wait for that, whoever heard of
  /// the reset first.
  @Test func `a sink that was reset is not waited for`() throws {
    var ends = try Ends.tcp()
    let piece = bytes(1 << 20)
    // Until nothing more fits.
    while true {
      let sent = try? unsafe piece.withUnsafeBytes { bytes in
        try unsafe Syscall.send(ends.near.raw, from: bytes, moreFollows: false)
      }
      if sent == nil { break }
    }
    ends.far.resetUnlessFinished()
    try FileDescriptor(rawValue: ends.giveFar().rawValue).close()
    let near = Descriptor(owning: ends.giveNear())
    // The error is taken by a read, and the bytes stay unconfirmed.
    try BlockingWait(until: .now + Bound.usual).waitOnce(for: near.raw, as: .source)
    #expect(near.takeSocketError() == .connectionReset)
    #expect(try Syscall.bytesUnconfirmed(in: near.raw) > 0)
    let late = ContinuousClock.now + Bound.usual
    near.abort(waitingIn: BlockingWait(until: late))
    #expect(ContinuousClock.now < late)
  }

  @Test func `a descriptor closes once, and is released without closing`() async {
    // In a process of its own, where nobody else takes the number.
    await #expect(processExitsWith: .success) {
      func isOpen(_ descriptor: FileDescriptor) -> Bool { (try? Syscall.statusFlags(of: descriptor)) != nil }
      // A number that the runtime does not take meanwhile for something of its own.
      func high() throws -> FileDescriptor {
        FileDescriptor(rawValue: fcntl(try Syscall.eventfd().rawValue, F_DUPFD, 700))
      }
      let number = try high()
      do { _ = Descriptor(owning: number) }
      precondition(!isOpen(number))
      let released = Descriptor(owning: try high()).release()
      precondition(isOpen(released))
      try Descriptor(owning: released).close()
      precondition(!isOpen(released))
      do throws(Errno) {
        try Descriptor(owning: released).close()
        preconditionFailure("closed twice")
      } catch { precondition(error == .badFileDescriptor) }
    }
  }

  @Test func `own descriptors are non-blocking, and shared ones are left alone`() throws {
    var pair: [CInt] = [-1, -1]
    pipe(&pair)
    let (reader, writer) = (FileDescriptor(rawValue: pair[0]), FileDescriptor(rawValue: pair[1]))
    defer { try? reader.close(); try? writer.close() }
    let shared = try Descriptor(duplicating: reader)
    #expect(try Syscall.statusFlags(of: reader) & O_NONBLOCK == 0)
    #expect(try Syscall.statusFlags(of: shared.raw) & O_NONBLOCK != 0)
    // Nothing there: answered at once.
    var into = try SplicePipe()
    #expect(try into.splice(from: shared) == .wouldBlock)
    let own = Descriptor(owning: try Syscall.duplicate(writer))
    #expect(try Syscall.statusFlags(of: own.raw) & O_NONBLOCK != 0)
  }

  @Test func `a shared blocking socket never keeps a call waiting`() throws {
    var pair: [CInt] = [-1, -1]
    socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair)
    let (near, far) = (FileDescriptor(rawValue: pair[0]), FileDescriptor(rawValue: pair[1]))
    defer { try? near.close(); try? far.close() }
    let shared = try Descriptor(duplicating: near)
    var pipe = try SplicePipe()
    #expect(try pipe.splice(from: shared) == .wouldBlock)
    // Fills up, and then says so.
    var accepted = 0
    filling: while true {
      try pipe.write(bytes(60_000))
      while pipe.count > 0 {
        guard case .bytes(let count) = try pipe.splice(to: shared) else { break filling }
        accepted += count
      }
    }
    #expect(accepted > 0 && pipe.isBalanced && pipe.deliveredBy.splice == 0)
    #expect(try Syscall.statusFlags(of: near) & O_NONBLOCK == 0)
  }
}
