// The experiments: a page goes through a pipe, and is changed behind it. What comes out is what was put in
// where the kernel copied, and the change where it passed the page on by reference.
//
// All files have no name, and nothing is ever written to what is not the experiment's own.

import CSplice
import Splice
import SpliceProcess
import Synchronization
import SystemPackage

/// A descriptor of an experiment, closed with it.
final class Held: Sendable {
  private let number: FileDescriptor

  init(_ number: FileDescriptor) { self.number = number }

  deinit { try? Syscall.close(number) }

  /// Lends the number: it stays open for the time of the call.
  func lend<Result>(_ body: (FileDescriptor) throws(Errno) -> Result) throws(Errno) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(number)
  }

  /// The next byte of a stream, or the first of a file; a stream is waited for a little.
  func firstByte(at offset: Int64? = nil) throws(Errno) -> UInt8? {
    if offset == nil { try waitUntilReadable() }
    return try lend { number throws(Errno) in
      var byte: UInt8 = 0
      let count = try unsafe withUnsafeMutableBytes(of: &byte) { byte throws(Errno) in
        // Alive for the call.
        if let offset { return try unsafe Syscall.pread(number, into: byte, at: offset) }
        return try unsafe Syscall.read(number, into: byte)
      }
      return count == 0 ? nil : byte
    }
  }

  /// Waits a little for bytes, which what is on the loopback has at once.  C: `ppoll`
  func waitUntilReadable() throws(Errno) {
    try lend { number throws(Errno) in
      var entries = [pollfd(fd: number.rawValue, events: Int16(POLLIN), revents: 0)]
      _ = try Syscall.ppoll(&entries, for: .milliseconds(100))
    }
  }

  /// Writes a byte that is no specimen's.
  func writeByte() throws(Errno) {
    _ = try lend { number throws(Errno) in try Syscall.write(number, [Specimen.before]) }
  }
}

/// A page that can be changed after it was put somewhere.
struct Specimen {
  let file: Held

  static let before = UInt8(ascii: "a"), after = UInt8(ascii: "b")

  /// A page of memory with a descriptor, or of a file without a name.  C: `memfd_create`
  init() throws(Errno) {
    if Self.mayUseMemory.load(ordering: .relaxed), let file = try? Held(Syscall.memfd(named: "splice-doctor"))
    {
      try self.init(in: file)
      return
    }
    guard let file = UnnamedFile.anywhere() else { throw .noSuchFileOrDirectory }
    try self.init(in: file)
  }

  /// False where memfd_create is refused, or would end this process.
  static let mayUseMemory = Atomic<Bool>(false)

  /// The first page of a file of one's own.
  init(in file: Held) throws(Errno) {
    self.file = file
    try fill(with: Self.before)
  }

  func change() throws(Errno) { try fill(with: Self.after) }

  private func fill(with byte: UInt8) throws(Errno) {
    let page = [UInt8](repeating: byte, count: Syscall.pageSize)
    let count = try file.lend { file throws(Errno) in try Syscall.pwrite(file, page, at: 0) }
    if count < page.count { throw .noSpace }
  }
}

/// A pipe for one experiment.
struct TrialPipe {
  let reader, writer: Held

  init() throws(Errno) {
    let ends = try Syscall.pipe2()
    (reader, writer) = (Held(ends.reader), Held(ends.writer))
  }

  /// Splices what is at the beginning of a file, or what a stream has, into this.  C: `splice`
  func take(from source: Held, at offset: Int64? = nil) throws(Errno) {
    try splice(from: source, at: offset, to: writer, at: nil)
  }

  /// Splices what is in this to the beginning of a file, or to a stream.  C: `splice`
  func pass(to sink: Held, at offset: Int64? = nil) throws(Errno) {
    try Syscall.withoutSIGPIPE { () throws(Errno) in
      try splice(from: reader, at: nil, to: sink, at: offset)
    }
  }

  /// Duplicates what is in this.  C: `tee`
  func tee(to other: TrialPipe) throws(Errno) {
    _ = try reader.lend { reader throws(Errno) in
      try other.writer.lend { writer throws(Errno) in
        try Syscall.tee(from: reader, to: writer, count: Syscall.pageSize)
      }
    }
  }

  private func splice(
    from source: Held, at sourceOffset: Int64?, to sink: Held, at sinkOffset: Int64?
  ) throws(Errno) {
    _ = try source.lend { source throws(Errno) in
      try sink.lend { sink throws(Errno) in
        var (sourceOffset, sinkOffset) = (sourceOffset, sinkOffset)
        return try Syscall.splice(
          from: source, at: &sourceOffset, to: sink, at: &sinkOffset, count: Syscall.pageSize)
      }
    }
  }
}

extension Answer.Pages {
  /// Told by a byte of a page that was changed behind the call.
  init(seeing byte: UInt8?) {
    self =
      switch byte {
      case Specimen.before: .copied
      case Specimen.after: .shared
      default: .unknown
      }
  }
}

extension Answer {
  /// Whether a source is spliced, which has something to be taken, or nothing yet. Where its bytes are those of
  /// a specimen, `change` is called between the splice and the look at what is in the pipe.
  init(
    from source: Held, at offset: Int64? = nil, change: (() throws(Errno) -> Void)? = nil
  ) {
    do throws(Errno) {
      let pipe = try TrialPipe()
      do throws(Errno) { try pipe.take(from: source, at: offset) } catch {
        self.init(error, as: .source)
        return
      }
      guard let change else {
        self = .splices(.unknown)
        return
      }
      try change()
      self = .splices(Pages(seeing: try pipe.reader.firstByte()))
    } catch {
      self = .untried("\(error)")
    }
  }

  /// Whether a sink is spliced to, found out with an empty pipe: nothing is written. What cannot be spliced to
  /// says so first.
  init(to sink: Held) {
    do throws(Errno) {
      let pipe = try TrialPipe()
      do throws(Errno) { try pipe.pass(to: sink) } catch {
        self.init(error, as: .sink)
        return
      }
      self = .splices(.unknown)
    } catch {
      self = .untried("\(error)")
    }
  }

  /// Whether a sink of one's own is spliced to, with the page of a specimen, which is changed before `look`
  /// gets at what has arrived.
  init(
    to sink: Held, at offset: Int64? = nil, look: () throws(Errno) -> UInt8?
  ) {
    do throws(Errno) {
      let (specimen, pipe) = (try Specimen(), try TrialPipe())
      do throws(Errno) { try pipe.take(from: specimen.file, at: 0) } catch {
        // Nothing can be put into a pipe by splice, so the sink is asked without.
        self.init(to: sink)
        return
      }
      do throws(Errno) { try pipe.pass(to: sink, at: offset) } catch {
        self.init(error, as: .sink)
        return
      }
      try specimen.change()
      self = .splices(Pages(seeing: try look()))
    } catch {
      self = .untried("\(error)")
    }
  }
}
