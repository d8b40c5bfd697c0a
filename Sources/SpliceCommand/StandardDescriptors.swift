// The descriptors a program is begun with, or without.

import Glibc
import Splice
import Synchronization
import SystemPackage

/// Standard input, output and error, and others that were inherited, as they were when the program began.
enum StandardDescriptors {
  private static let open = Mutex<Set<CInt>>([])

  /// Notes which descriptors are open, and puts something in the place of each standard one that is closed, so that no file
  /// is opened there.
  static func plug() {
    // Those named on the command line are asked for by number.
    let named = CommandLine.arguments.compactMap { $0.hasPrefix("fd:") ? CInt($0.dropFirst(3)) : nil }
    let numbers = Set([0, 1, 2] + named).filter {
      (try? Syscall.statusFlags(of: FileDescriptor(rawValue: $0))) != nil
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

  /// Writes a line to standard error, where messages go and data never does.
  static func complain(_ line: String) { write(line + "\n", patiently: true) }

  /// Writes to standard error. One that is not read is waited for a while when that is asked for, and then given up: nobody
  /// could be told.
  static func write(_ text: String, patiently: Bool) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      do throws(Errno) {
        let count = try Syscall.write(.standardError, Array(bytes))
        bytes = bytes.dropFirst(count)
      } catch {
        guard error == .wouldBlock, patiently,
          (try? Poll(until: .now + .seconds(2)).wait(until: .standardError)) == true
        else { return }
      }
    }
  }
}

extension Poll {
  /// Whether a descriptor takes something before the time is up.
  fileprivate func wait(until descriptor: FileDescriptor) throws(Errno) -> Bool {
    try wait(for: Interest(RegistrationKey(descriptor: descriptor, generation: 0), as: .sink)).contains(
      .first)
  }
}
