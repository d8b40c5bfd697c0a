// The descriptors a program is begun with, or without.

import CSplice
import Splice
import SpliceProcess
import Synchronization
import SystemPackage

/// Standard input, output and error, and others that were inherited, as they were when the program began.
enum StandardDescriptors {
  private static let open = Mutex<Set<CInt>>([])

  /// Notes which descriptors are open, and puts something in the place of each standard one that is closed,
  /// so that no file is opened there.
  static func plug(_ arguments: [String]) {
    // Those named on the command line, as `fd:5` or `--skip-slow=fd:5`, are asked for by number.
    let named = arguments.compactMap { argument in
      let word = argument.hasPrefix("--") ? argument.drop { $0 != "=" }.dropFirst() : argument[...]
      return word.hasPrefix("fd:") ? CInt(word.dropFirst(3)) : nil
    }
    let numbers = Set([0, 1, 2] + named).filter { number in
      do throws(Errno) { _ = try Syscall.statusFlags(of: FileDescriptor(rawValue: number)) } catch {
        return error != .badFileDescriptor
      }
      return true
    }
    open.withLock { $0 = numbers }
    // Opened in ascending order, each takes the lowest number that is free, which is the one that is missing.
    for number: CInt in 0...2 where !numbers.contains(number) {
      _ = try? Syscall.open("/dev/null", flags: O_RDWR)
    }
  }

  /// Puts something in the place of a descriptor that this program was given, so that the reader of a sink sees
  /// the end of what is written by others, and the writer to a source that nobody reads; not of standard error,
  /// which has a report to come yet.  C: `dup3`
  static func letGo(_ place: Endpoint.Place, as role: Descriptor.Direction) {
    let number: FileDescriptor
    switch place {
    case .standard: number = role == .sink ? .standardOutput : .standardInput
    case .inherited(let value) where value != STDERR_FILENO: number = FileDescriptor(rawValue: value)
    default: return
    }
    guard let null = try? Descriptor(owning: Syscall.open("/dev/null", flags: O_RDWR)) else { return }
    null.withFileDescriptor { try? Syscall.replace(number, by: $0) }
  }

  /// Whether a descriptor was open when the program began.
  static func wasOpen(_ descriptor: FileDescriptor) -> Bool {
    open.withLock { $0.contains(descriptor.rawValue) }
  }

  /// Writes a line to standard error, where messages go and data never does: whether it could be said. What
  /// is from outside has been escaped.
  @discardableResult
  static func complain(_ line: String) -> Bool { complain(Array(line.utf8)) }

  /// Writes a line of bytes to standard error: whether it could be said.
  @discardableResult
  static func complain(_ line: [UInt8]) -> Bool {
    wasOpen(.standardError) && write(line + [UInt8(ascii: "\n")], patiently: true)
  }

  /// Writes a line to standard output: whether it could be said.
  static func print(_ line: String) -> Bool {
    wasOpen(.standardOutput) && write(Array("\(line)\n".utf8), to: .standardOutput, patiently: true)
  }

  /// Of the terminal that standard output is, or of a page.
  static var columns: Int {
    (try? Syscall.columns(of: .standardOutput)).flatMap { $0 > 0 ? $0 : nil } ?? 100
  }

  /// Writes what a tool was asked for to standard output: the status to end with, which is `status` when it could
  /// be written.
  static func show(_ text: String, _ status: Status) -> Status {
    do throws(Errno) {
      guard wasOpen(.standardOutput) else { throw .badFileDescriptor }
      // Who reads it may take their time, as with any program.
      try writeAll(Array("\(text)\n".utf8), to: .standardOutput, until: .now + .seconds(86_400))
      return status
    } catch {
      if error == .brokenPipe, Signals.diesOfLostReader { return .lostReader }
      complain("splice: -: write: \(error)")
      return .failedUnderWay
    }
  }

  /// Writes to standard error, or whatever is named: whether all of it was accepted. One that is not read is
  /// waited for a while when that is asked for, and then given up.
  @discardableResult
  static func write(
    _ bytes: [UInt8], to descriptor: FileDescriptor = .standardError, patiently: Bool
  ) -> Bool {
    (try? writeAll(bytes, to: descriptor, until: patiently ? .now + .seconds(2) : .now)) != nil
  }

  /// Throws why not all of it was accepted: EAGAIN of what is not read.
  private static func writeAll(
    _ bytes: [UInt8], to descriptor: FileDescriptor, until deadline: ContinuousClock.Instant
  ) throws(Errno) {
    var rest = bytes[...]
    let target = Target(descriptor)
    try Syscall.withoutSIGPIPE { () throws(Errno) in
      while !rest.isEmpty {
        do throws(Errno) {
          if BlockingWait(until: deadline).wait(until: descriptor) {
            let count = try Syscall.write(target.descriptor, Array(rest.prefix(target.most)))
            rest = rest.dropFirst(count)
          } else if deadline <= .now {
            throw .wouldBlock
          }
        } catch {
          guard error == .wouldBlock, deadline > .now else { throw error }
          BlockingWait(until: deadline).pause(for: .milliseconds(10))
        }
      }
    }
  }

  /// Where writes go, and how much may be written at once without a wait.
  ///
  /// A pipe that has room takes PIPE_BUF. A terminal that is not read says that it has room when it has a
  /// byte of it: it is opened once more, without waits, since the flags of the one that was given are not
  /// ours to change. One that cannot be, or would be another, is written byte by byte.
  private struct Target: ~Copyable {
    let descriptor: FileDescriptor
    /// How much may be written at once.
    let most: Int
    /// Closed with this.
    private let reopened: Descriptor?

    init(_ given: FileDescriptor) {
      switch StandardDescriptors.reopenedTerminal(given) {
      case .some(let own):
        (descriptor, most) = (own.withFileDescriptor { $0 }, Int(PIPE_BUF))
        reopened = consume own
      case nil:
        (descriptor, most) = (given, Syscall.isTerminal(given) ? 1 : Int(PIPE_BUF))
        reopened = nil
      }
    }
  }

  /// A terminal, opened once more; nil for what is none, or would be another one then, or may not be opened.
  static func reopenedTerminal(_ descriptor: FileDescriptor) -> Descriptor? {
    guard Syscall.isTerminal(descriptor),
      (try? Syscall.fstat(descriptor).isSameDeviceWhenOpenedAgain) == true
    else { return nil }
    let path = FilePath("/proc/self/fd/\(descriptor.rawValue)")
    return try? Descriptor(owning: Syscall.open(path, flags: O_WRONLY | O_NOCTTY | O_NONBLOCK))
  }
}

extension BlockingWait {
  /// Whether a descriptor takes something before the time is up.
  fileprivate func wait(until descriptor: FileDescriptor) -> Bool {
    let interest = Interest(RegistrationKey(descriptor: descriptor, generation: 0), as: .sink)
    // Where nobody can be asked, it is tried.
    guard let ready = try? wait(for: interest) else { return true }
    return ready.contains(.first)
  }
}
