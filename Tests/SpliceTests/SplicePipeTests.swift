// The pipe's verbs, one call each, on real descriptors.

import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite(.mayBlock) struct SplicePipeTests {
  @Test(arguments: SplicePipe.Storage.allCases)
  func `the size is a wish, and the answer the truth`(_ body: SplicePipe.Storage) throws {
    var pipe = try SplicePipe(body, capacity: 5000)
    #expect(pipe.capacity == 8192)
    pipe.resize(to: 256 << 10)
    #expect(pipe.capacity == 256 << 10)
    // Three small segments need three slots, and two would be left.
    let file = try TemporaryFile(bytes(3)).open(.readOnly)
    for offset in 0..<3 {
      var offset = Int64(offset)
      #expect(try pipe.splice(from: file, at: &offset, upTo: 1) == .bytes(1))
    }
    pipe.resize(to: 8192)
    #expect(pipe.capacity == 256 << 10)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `all of the bytes or none`(_ body: SplicePipe.Storage) throws {
    var pipe = try SplicePipe(body, capacity: 8192)
    // An empty one takes what it was granted.
    let content = bytes(8192)
    try pipe.writeAll(content.span.bytes)
    #expect(pipe.count == 8192)
    do throws(Errno) {
      try pipe.writeAll(bytes(5000).span.bytes)
      Issue.record("taken, without room for it")
    } catch { #expect(error == .noBufferSpace || error == .resourceTemporarilyUnavailable) }
    #expect(pipe.count == 8192 && pipe.isBalanced)
    #expect(try pipe.contents() == content)
  }

  @Test func `a pipe of a pool takes a header without borrowing`() throws {
    let pool = PipePool(budget: 4096)
    var pipe = SplicePipe(from: pool, capacity: 4096)
    let content = bytes(6000)
    try pipe.writeAll(content.span.bytes)
    #expect(pipe.count == 6000 && pool.counters.made == 0)
    #expect(try pipe.contents() == content)
  }

  @Test func `a pipe takes over ends, and gives them back`() throws {
    let ends = try Syscall.pipe2()
    try Descriptor(duplicating: ends.writer).writeAll(bytes(100))
    var pipe = try SplicePipe(
      owningReader: Descriptor(owning: ends.reader), writer: Descriptor(owning: ends.writer))
    #expect(pipe.count == 100 && pipe.received == 100)
    try pipe.write(bytes(50))
    let released = try pipe.release()
    let reader = Descriptor(owning: released.reader)
    try released.writer.close()
    #expect(try reader.readToEnd() == bytes(100) + bytes(50))
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a pipe splices with and without offsets`(_ body: SplicePipe.Storage) throws {
    let content = bytes(10_000)
    let file = try TemporaryFile(content)
    let source = try file.open(.readOnly)
    var pipe = try SplicePipe(body)
    #expect(try pipe.splice(from: source, upTo: 1000) == .bytes(1000))
    var offset: Int64 = 5000
    #expect(try pipe.splice(from: source, at: &offset, upTo: 2000) == .bytes(2000))
    #expect(offset == 7000)
    #expect(try pipe.splice(from: source, upTo: 500) == .bytes(500))
    let expected = Array(content[..<1000]) + Array(content[5000..<7000]) + Array(content[1000..<1500])
    #expect(try pipe.contents() == expected)

    let copy = try TemporaryFile()
    let sink = try copy.open(.writeOnly)
    try pipe.write(Array("abcdef".utf8))
    var place: Int64 = 3
    #expect(try pipe.splice(to: sink, at: &place, upTo: 4) == .bytes(4))
    #expect(place == 7)
    #expect(try pipe.splice(to: sink) == .bytes(2))
    #expect(try copy.contents == Array("ef".utf8) + [0] + Array("abcd".utf8))
    #expect(pipe.isBalanced && pipe.count == 0)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `the end is no error, and no bytes are no end`(_ body: SplicePipe.Storage) throws {
    let file = try TemporaryFile(bytes(10)).open(.readOnly)
    var pipe = try SplicePipe(body)
    #expect(try pipe.splice(from: file, upTo: 0) == .bytes(0))
    #expect(try pipe.splice(from: file) == .bytes(10))
    #expect(try pipe.splice(from: file) == .endOfFile)
    let ends = try Ends.pipe()
    #expect(try pipe.splice(from: ends.far) == .wouldBlock)
    #expect(try pipe.splice(to: ends.near, upTo: 0) == .bytes(0))
    #expect(pipe.count == 10)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `bytes move from pipe to pipe`(_ body: SplicePipe.Storage) throws {
    var one = try SplicePipe(body)
    var two = try SplicePipe(body, capacity: 4096)
    try one.write(bytes(10_000))
    #expect(try one.splice(to: &two) == .bytes(4096))
    #expect(try one.splice(to: &two) == .wouldBlock)
    #expect(one.count == 5904 && two.count == 4096 && two.received == 4096)
    #expect(one.isBalanced && two.isBalanced)
    #expect(try two.contents() + one.contents() == bytes(10_000))
    #expect(try one.splice(to: &two) == .wouldBlock)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `tee duplicates the front without consuming it`(_ body: SplicePipe.Storage) throws {
    var one = try SplicePipe(body)
    var two = try SplicePipe(body)
    try one.write(bytes(5000))
    #expect(try one.tee(to: &two, upTo: 3000) == .bytes(3000))
    #expect(one.count == 5000 && two.count == 3000 && two.receivedBy.splice == 3000)
    #expect(try two.contents() == Array(bytes(5000)[..<3000]))
    #expect(try one.contents() == bytes(5000))
    #expect(try one.tee(to: &two) == .wouldBlock)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a pipe is slots and not bytes`(_ body: SplicePipe.Storage) throws {
    let file = try TemporaryFile(bytes(100)).open(.readOnly)
    var pipe = try SplicePipe(body, capacity: 64 << 10)
    for number in 0..<16 {
      var offset = Int64(number)
      #expect(try pipe.splice(from: file, at: &offset, upTo: 1) == .bytes(1))
    }
    var offset: Int64 = 16
    #expect(try pipe.splice(from: file, at: &offset, upTo: 1) == .wouldBlock)
    #expect(pipe.count == 16 && offset == 16)
    let ends = try Ends.unix()
    #expect(try pipe.splice(to: ends.near) == .bytes(16))
    #expect(try ends.far.read(exactly: 16) == Array(bytes(100)[..<16]))
  }

  @Test(arguments: SplicePipe.Storage.allCases, Ends.Kind.allCases)
  func `a lost reader is an errno, and no signal`(_ body: SplicePipe.Storage, _ kind: Ends.Kind) throws {
    var ends = try Ends.make(kind)
    ends.far = try device("/dev/null")
    var pipe = try SplicePipe(body)
    try pipe.write(bytes(100))
    // TCP takes what comes first after the peer has gone, and then says so.
    #expect(throws: Errno.self) {
      for _ in 0..<1000 {
        _ = try pipe.splice(to: ends.near)
        try pipe.write(bytes(100))
      }
    }
    #expect(pipe.count == 100 && pipe.isBalanced)
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `what cannot splice is copied in order`(_ body: SplicePipe.Storage) throws {
    // /dev/null has no splice_read, a file opened to append no splice_write: the kernel itself refuses.
    var pipe = try SplicePipe(body)
    #expect(try pipe.splice(from: try device("/dev/null")) == .endOfFile)
    let file = try TemporaryFile(bytes(10))
    let sink = try file.open(.writeOnly, .append)
    try pipe.write(bytes(100_000, seed: 2))
    while pipe.count > 0 { _ = try pipe.splice(to: sink, upTo: 30_000) }
    #expect(try file.contents == bytes(10) + bytes(100_000, seed: 2))
    #expect(sink.refusal(as: .sink) == (body == .kernel ? .invalidArgument : nil))
    #expect(sink.refusal(as: .source) == nil)
    #expect(pipe.deliveredBy.copy == 100_000 && pipe.deliveredBy.splice == 0)
    #expect(throws: Errno.noSpace) {
      try pipe.write(bytes(10))
      _ = try pipe.splice(to: try device("/dev/full"))
    }
    #expect(try pipe.contents() == bytes(10))
  }

  @Test func `bytes held in user memory come first, wherever they go`() throws {
    // A sink that copies and then blocks leaves bytes in front of the ring.
    let content = bytes(20_000, seed: 3)
    func pipeWithHead() throws -> SplicePipe {
      var pipe = try SplicePipe()
      try pipe.write(content)
      let sink = try Ends.pipe(size: 4096)
      var none: Int64?
      let drained = try pipe.drain(to: sink.near, at: &none, upTo: 10_000, moreFollows: false, via: .copy)
      #expect(drained == .bytes(4096))
      return pipe
    }
    let left = Array(content[4096...])
    do {
      var pipe = try pipeWithHead()
      try pipe.write([1, 2, 3])
      #expect(try pipe.contents() == left + [1, 2, 3])
    }
    do {
      var pipe = try pipeWithHead()
      var other = try SplicePipe()
      #expect(try pipe.tee(to: &other) == .bytes(10_000 - 4096))
      #expect(try other.contents() == Array(left[..<(10_000 - 4096)]))
      while pipe.count > 0 { _ = try pipe.splice(to: &other) }
      #expect(other.received - other.delivered == 20_000 - 4096)
      #expect(try other.contents() == left)
    }
    do {
      let pipe = try pipeWithHead()
      do throws(Errno) {
        _ = try pipe.release()
        Issue.record("bytes in user memory were given up")
      } catch { #expect(error == .resourceBusy) }
    }
  }

  @Test(arguments: SplicePipe.Storage.allCases)
  func `a directory and a wrong mode are failures, not refusals`(_ body: SplicePipe.Storage) throws {
    var pipe = try SplicePipe(body)
    let directory = Descriptor(owning: try FileDescriptor.open("/", .readOnly))
    #expect(throws: Errno.isDirectory) { try pipe.splice(from: directory) }
    let writeOnly = try TemporaryFile().open(.writeOnly)
    #expect(throws: Errno.badFileDescriptor) { try pipe.splice(from: writeOnly) }
    #expect(writeOnly.refusal(as: .source) == nil)
  }

  @Test func `counts of every path are added, and taken away`() {
    var (some, more) = (PathCounts(), PathCounts())
    for (index, path) in TransferPath.allCases.enumerated() {
      some.add(Move(transfer: .bytes(1 << index), path: path))
      more.add(Move(transfer: .bytes(100 << index), path: path))
    }
    var sum = some
    sum.add(more)
    #expect(TransferPath.allCases.enumerated().allSatisfy { sum[$0.element] == 101 << $0.offset })
    #expect(sum.minus(some) == more && sum.minus(more) == some)
  }
}
