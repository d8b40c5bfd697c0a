// Programs that `exec:` endpoints are: started with one or both of their standard streams in our hands, and
// waited for.
//
// A program stays in our process group, so that a terminal treats it as it treats us: it may read a password,
// and ^Z stops both. Those it has started itself are found through /proc when they are to be ended with it.

import CSplice
import Splice
import SpliceProcess
import SystemPackage

/// A program that runs.
struct Child: Sendable {
  private let process: CInt
  /// Where a second signal finds it.
  private let slot: Int?

  /// How long a program that was told to end is given for it.
  private static let grace = Duration.seconds(1)

  /// Starts `/bin/sh -c`, and gives our end of its standard output, its standard input, or both. One that is
  /// `alone` has no descriptors but the standard ones; others have what we were given, too.
  static func start(_ command: String, _ role: Role, alone isAlone: Bool) throws(Errno) -> Started {
    var output = role.isSource ? try Ends.make() : nil
    var input = role.isSink ? try Ends.make() : nil
    let (process, slot) = try ChildTable.start { () throws(Errno) in
      try Syscall.spawn(
        shell: command.carriedBytes, input: input?.reader, output: output?.writer, alone: isAlone)
    }
    return Started(
      child: Child(process: process, slot: slot),
      source: output?.take(.source), sink: input?.take(.sink))
  }

  /// A program and our ends of its streams.
  struct Started: ~Copyable {
    let child: Child
    var source, sink: Descriptor?
  }

  /// A pipe to or from a program. What is not taken is closed: the program has its own.
  private struct Ends: ~Copyable {
    private(set) var reader, writer: FileDescriptor

    static func make() throws(Errno) -> Ends {
      let (reader, writer) = try Syscall.pipe2()
      let ends = Ends(reader: reader, writer: writer)
      // Non-blocking is for our end; the program's is as programs expect it.
      for end in [reader, writer] { try Syscall.setStatusFlags(of: end, to: 0) }
      return ends
    }

    mutating func take(_ side: Descriptor.Direction) -> Descriptor {
      var taken = FileDescriptor.none
      switch side {
      case .source: swap(&taken, &reader)
      case .sink: swap(&taken, &writer)
      }
      return Descriptor(owning: taken)
    }

    deinit { for end in [reader, writer] where end != .none { try? Syscall.close(end) } }
  }
}

// MARK: - Waiting

extension Child {
  /// Waits for the end of it, and says what was wrong with that; nil when nothing was. A program may end by
  /// SIGPIPE when we stopped reading. One that has not ended before `poll` is over is told to end, with those
  /// it has started, and killed when it does not: by the signal that ends us first, if one does, so that it
  /// does not outlive us.
  func wait(mayLoseReader: Bool, in poll: BlockingWait) -> String? {
    // Without a descriptor to wait for, as before Linux 5.3 or in a sandbox, it is asked again and again.
    let end = (try? Syscall.pidfdOpen(process)).map { Descriptor(owning: $0) }
    do throws(Errno) {
      var status = try status(end, poll)
      let ours = Signals.ending
      if status == nil, let ours { status = try tell(ours, end) }
      if let status { return Self.fault(status, mayLoseReader: mayLoseReader) }
      for signal in [SIGTERM, SIGKILL] where signal != ours {
        if try tell(signal, end) != nil { break }
      }
      return Self.unended
    } catch { return "\(error)" }
  }

  /// Kills it and those it has started, for somebody who cannot wait for it. It is not waited for meanwhile.
  func kill() { for one in family { try? Syscall.kill(one, SIGKILL) } }

  /// Sends a signal to it and to those it has started: how it has ended, if it does within the grace.
  private func tell(_ signal: CInt, _ end: borrowing Descriptor?) throws(Errno) -> CInt? {
    for one in family { try? Syscall.kill(one, signal) }
    return try status(end, BlockingWait(until: .now + Self.grace))
  }

  /// Waits for the end of it, and says what was wrong with that; nil when nothing was. It is left running
  /// when `poll` is over before.
  func exit(waitingIn poll: BlockingWait) throws(SpliceError) -> String? {
    let end = (try? Syscall.pidfdOpen(process)).map { Descriptor(owning: $0) }
    while true {
      do throws(Errno) {
        if let status = try status(end, poll) { return Self.fault(status, mayLoseReader: false) }
      } catch { return "\(error)" }
      try poll.check()
    }
  }

  /// What was wrong with one that was ended.
  static let unended = "has not ended"

  /// How it has ended; nil when it has not before `poll` is over.
  private func status(_ end: borrowing Descriptor?, _ poll: BlockingWait) throws(Errno) -> CInt? {
    while true {
      // One that a second signal has found is not waited for: this process ends.
      if try Syscall.hasEnded(process), ChildTable.remove(process, at: slot) {
        return try Syscall.waitpidNow(process)
      }
      guard (try? poll.check()) != nil else { return nil }
      try wait(end, poll)
    }
  }

  private func wait(_ end: borrowing Descriptor?, _ poll: BlockingWait) throws(Errno) {
    switch end {
    case .some(let end): try poll.wait(forAnyOf: [end.interest(as: .source)], atMost: nil)
    case .none: poll.pause(for: .milliseconds(10))
    }
  }

  /// The process and those it has started, as far as that can be told. One that ends and is waited for by its
  /// parent just now may be another already; ours is not, as it is waited for here.
  private var family: [CInt] {
    var all = [process]
    var next = 0
    while next < all.count, all.count < 4096 {
      all += Self.children(of: all[next])
      next += 1
    }
    return all
  }

  private static func children(of process: CInt) -> [CInt] {
    guard let raw = try? Syscall.open(FilePath("/proc/\(process)/task/\(process)/children"), flags: O_RDONLY)
    else {
      return []
    }
    let file = Descriptor(owning: raw)
    guard var pipe = try? SplicePipe(.memory) else { return [] }
    while case .bytes? = try? pipe.splice(from: file) {}
    var text: [UInt8] = []
    while let segment = try? pipe.takeSegment() {
      segment.withBytes { bytes in unsafe bytes.withUnsafeBytes { unsafe text += $0 } }
    }
    return String(decoding: text, as: UTF8.self).split(separator: " ").compactMap { CInt($0) }
  }

  /// As `waitpid` tells it: a signal in the low seven bits, or a status above them.
  private static func fault(_ status: CInt, mayLoseReader: Bool) -> String? {
    let signal = status & 0x7f
    if signal == SIGPIPE, mayLoseReader { return nil }
    if signal != 0 { return "ended by signal \(signal)" }
    let code = (status >> 8) & 0xff
    // A shell says so of its last command.
    if code == 128 + SIGPIPE, mayLoseReader { return nil }
    return code == 0 ? nil : "ended with status \(code)"
  }
}

extension FileDescriptor {
  /// In the place of a descriptor that is none.
  static var none: FileDescriptor { FileDescriptor(rawValue: -1) }
}

/// What an endpoint is for.
enum Role: Sendable, Hashable {
  case source, sink, both

  var isSource: Bool { self != .sink }
  var isSink: Bool { self != .source }
  /// By which it fails: the one it is opened for first.
  var side: Descriptor.Direction { isSource ? .source : .sink }
}
