// Misuse answers with the errno the kernel has for it, at once, for both bodies.

import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct MisuseTests {
  @Test(arguments: SplicePipe.Storage.allCases)
  func `a descriptor of the wrong direction`(_ body: SplicePipe.Storage) throws {
    let file = try TemporaryFile(bytes(100))
    var pipe = try SplicePipe(body)
    #expect(throws: Errno.badFileDescriptor) { try pipe.splice(from: file.open(.writeOnly)) }
    // Also while there is nothing to hand over.
    #expect(throws: Errno.badFileDescriptor) { try pipe.splice(to: file.open(.readOnly)) }
    try pipe.write(bytes(10))
    #expect(throws: Errno.badFileDescriptor) { try pipe.splice(to: file.open(.readOnly)) }
    #expect(pipe.count == 10 && pipe.isBalanced)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a flow to what takes nothing does not wait for its source`(_ body: SplicePipe.Storage) async throws {
    let silent = try Ends.pipe()
    let file = try TemporaryFile()
    var pipe = try SplicePipe(body)
    #expect(throws: SpliceError.sink(.badFileDescriptor)) {
      try pipe.forward(from: silent.far, to: file.open(.readOnly), waitingIn: .poll)
    }
    await #expect(throws: SpliceError.sink(.badFileDescriptor)) {
      try await pipe.forward(from: silent.far, to: file.open(.readOnly))
    }
    await #expect(throws: SpliceError.source(.badFileDescriptor)) {
      try await pipe.forward(from: file.open(.writeOnly), to: silent.near)
    }
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `sizes and offsets that cannot be are refused`(_ body: SplicePipe.Storage) throws {
    let file = try TemporaryFile(bytes(100)).open(.readWrite)
    let ends = try Ends.pipe()
    let sockets = try Ends.unix()
    try ends.near.writeAll(bytes(10))
    try sockets.near.writeAll(bytes(10))
    var pipe = try SplicePipe(body)
    var other = try SplicePipe(body)
    #expect(throws: Errno.invalidArgument) { try pipe.splice(from: file, upTo: -1) }
    #expect(throws: Errno.invalidArgument) { try pipe.splice(to: file, upTo: -1) }
    #expect(throws: Errno.invalidArgument) { try pipe.splice(to: &other, upTo: -1) }
    #expect(throws: Errno.invalidArgument) { try pipe.tee(to: &other, upTo: -1) }
    var before: Int64 = -1
    #expect(throws: Errno.invalidArgument) { try pipe.splice(from: file, at: &before) }
    var start: Int64 = 0
    #expect(throws: Errno.illegalSeek) { try pipe.splice(from: ends.far, at: &start) }
    #expect(throws: Errno.illegalSeek) { try pipe.splice(from: sockets.far, at: &start) }
    try pipe.write(bytes(10))
    #expect(throws: Errno.invalidArgument) { try pipe.splice(to: file, at: &before) }
    #expect(throws: Errno.illegalSeek) { try pipe.splice(to: ends.near, at: &start) }
    #expect(throws: Errno.illegalSeek) { try pipe.splice(to: sockets.near, at: &start) }
    #expect(start == 0 && before == -1 && pipe.count == 10 && pipe.isBalanced)
    // Behind the end there is nothing, which is no error.
    var behind: Int64 = 1000
    #expect(try pipe.splice(from: file, at: &behind) == .endOfFile)
    #expect(try pipe.splice(from: file, upTo: 0) == .bytes(0))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `directories and unconnected sockets are errors`(_ body: SplicePipe.Storage) throws {
    var pipe = try SplicePipe(body)
    let directory = Descriptor(owning: try FileDescriptor.open("/tmp", .readOnly))
    #expect(throws: Errno.isDirectory) { try pipe.splice(from: directory) }
    let socket = Descriptor(owning: try Syscall.socket(domain: AF_INET, type: CInt(SOCK_STREAM.rawValue)))
    #expect(throws: Errno.socketNotConnected) { try pipe.splice(from: socket) }
    try pipe.write(bytes(10))
    #expect(throws: (any Error).self) { try pipe.splice(to: socket) }
    #expect(pipe.count == 10 && pipe.isBalanced)
  }

  @Test func `an end of the pipe itself is no source and no sink`() throws {
    let ends = try Syscall.pipe2()
    let reader = Descriptor(owning: try Syscall.duplicate(ends.reader))
    let writer = Descriptor(owning: try Syscall.duplicate(ends.writer))
    var pipe = try SplicePipe(
      owningReader: Descriptor(owning: ends.reader), writer: Descriptor(owning: ends.writer))
    #expect(throws: Errno.invalidArgument) { try pipe.splice(from: reader) }
    try pipe.write(bytes(10))
    #expect(throws: Errno.invalidArgument) { try pipe.splice(from: reader) }
    #expect(throws: Errno.invalidArgument) { try pipe.splice(to: writer) }
    #expect(try pipe.contents() == bytes(10))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `the two ends of one pipe`(_ body: SplicePipe.Storage) throws {
    let ends = try SplicePipe(body).split()
    var reader = ends.reader
    var writer = ends.writer
    #expect(throws: Errno.invalidArgument) { try reader.splice(to: &writer) }
    #expect(throws: Errno.invalidArgument) { try reader.tee(to: &writer) }
    #expect(try reader.splice(to: &writer, upTo: 0) == .bytes(0))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a sink without a reader is an errno, and no signal`(_ body: SplicePipe.Storage) throws {
    var ends = try Ends.pipe()
    try Descriptor(owning: ends.giveFar()).close()
    // A program that another test starts just now has it open for a moment.
    try waitUntil("nobody reads") { try ends.near.withFileDescriptor { try Syscall.isReady($0, 0) } }
    var pipe = try SplicePipe(body)
    try pipe.write(bytes(10))
    #expect(throws: Errno.brokenPipe) { try pipe.splice(to: ends.near) }
    #expect(throws: SpliceError.sink(.brokenPipe)) { try pipe.drain(to: ends.near, waitingIn: .poll) }
    #expect(try pipe.contents() == bytes(10))
  }
}
