// The descriptors a program is begun with, or without.

import CSplice
import Splice
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

  /// Writes to standard error, or whatever is named: whether all of it was accepted. One that is not read is
  /// waited for a while when that is asked for, and then given up.
  @discardableResult
  static func write(
    _ bytes: [UInt8], to descriptor: FileDescriptor = .standardError, patiently: Bool
  ) -> Bool {
    let deadline = patiently ? ContinuousClock.now + .seconds(2) : .now
    var rest = bytes[...]
    // A terminal that is not read says that it has room when it has only a little, and a write of more would wait.
    let terminal = reopenedTerminal(descriptor)
    defer { if let terminal { try? Syscall.close(terminal) } }
    let descriptor = terminal ?? descriptor
    return Syscall.withoutSIGPIPE {
      while !rest.isEmpty {
        do throws(Errno) {
          if BlockingWait(until: deadline).wait(until: descriptor) {
            // A write of no more than this does not wait where a pipe has room, whatever the flags of the
            // descriptor are.
            let count = try Syscall.write(descriptor, Array(rest.prefix(Int(PIPE_BUF))))
            rest = rest.dropFirst(count)
          } else if deadline <= .now {
            return false
          }
        } catch {
          guard error == .wouldBlock, deadline > .now else { return false }
          BlockingWait(until: deadline).pause(for: .milliseconds(10))
        }
      }
      return true
    }
  }
}

extension StandardDescriptors {
  /// A terminal once more, for writes that do not wait: the flags of the one that was given are not ours to change.
  private static func reopenedTerminal(_ descriptor: FileDescriptor) -> FileDescriptor? {
    guard Syscall.isTerminal(descriptor) else { return nil }
    let flags = O_WRONLY | O_NOCTTY | O_NONBLOCK
    return try? Syscall.open(FilePath("/proc/self/fd/\(descriptor.rawValue)"), flags: flags)
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
