// The three descriptors a program is begun with, or without.

import Splice
import Synchronization
import SystemPackage

/// Standard input, output and error, as they were when the program began.
enum StandardDescriptors {
  private static let closed = Mutex<Set<CInt>>([])

  /// Puts something in the place of each one that is closed, so that no file is opened there.
  static func plug() {
    // Opened in ascending order, each takes the lowest number that is free, which is the one that is missing.
    for number: CInt in 0...2 where (try? Syscall.statusFlags(of: FileDescriptor(rawValue: number))) == nil {
      _ = try? Syscall.open("/dev/null", flags: FileDescriptor.AccessMode.readWrite.rawValue)
      _ = closed.withLock { $0.insert(number) }
    }
  }

  /// Whether a descriptor was open when the program began.
  static func wasOpen(_ descriptor: FileDescriptor) -> Bool {
    closed.withLock { !$0.contains(descriptor.rawValue) }
  }

  /// Writes a line to standard error, where messages go and data never does.
  static func complain(_ line: String) {
    // Nobody could be told if this failed.
    _ = try? FileDescriptor.standardError.writeAll((line + "\n").utf8)
  }
}
