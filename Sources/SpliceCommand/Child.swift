// Programs that `exec:` endpoints are: started with one or both of their standard streams in our hands, and waited for.

import Glibc
import Splice
import SystemPackage

/// A program that runs.
struct Child: Sendable {
  private let process: CInt

  /// Starts `/bin/sh -c`, and gives our end of its standard output, its standard input, or both.
  static func start(_ command: String, _ role: Role) throws(Errno) -> Started {
    let output = role.isSource ? try Ends() : nil
    let input = role.isSink ? try Ends() : nil
    let process = try Syscall.spawn(shell: command, input: input?.reader, output: output?.writer)
    // Its own ends are its own from here on.
    if let end = input?.reader { try? Syscall.close(end) }
    if let end = output?.writer { try? Syscall.close(end) }
    return Started(
      child: Child(process: process), source: Descriptor(owning: output?.reader ?? .none),
      sink: Descriptor(owning: input?.writer ?? .none))
  }

  /// A program and our ends of its streams.
  struct Started: ~Copyable {
    let child: Child
    var source: Descriptor
    var sink: Descriptor
  }

  private struct Ends {
    let reader, writer: FileDescriptor
    init() throws(Errno) {
      (reader, writer) = try Syscall.pipe2()
      // Non-blocking is for our end; the program's is as programs expect it.
      for end in [reader, writer] { try Syscall.setStatusFlags(of: end, to: 0) }
    }
  }

  /// Waits for the end of it, and says what was wrong with that; nil when nothing was. A program may end by SIGPIPE when
  /// we stopped reading. The first signal that ends us is passed on, so that it does not outlive us.
  func wait(mayLoseReader: Bool, in poll: Poll) -> String? {
    // Without a descriptor to wait for, as before Linux 5.3 or in a sandbox, it is waited for all the same.
    if let number = try? Syscall.pidfdOpen(process) {
      let end = Descriptor(owning: number)
      try? end.wait(as: .source, in: poll)
      if let signal = Signals.ending { try? Syscall.kill(process, signal) }
    }
    do throws(Errno) { return Self.fault(try Syscall.waitpid(process), mayLoseReader: mayLoseReader) } catch {
      return "\(error)"
    }
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
