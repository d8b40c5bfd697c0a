// The least a command with an argument parser can be: what `splice` is measured against at its start.

import ArgumentParser

#if canImport(Glibc)
import Glibc
#endif

@main struct BareParser: ParsableCommand {
  @Argument var source: String
  @Argument var sink: String

  func run() throws {
    // The kilobyte is moved, so that both programs do something.
    var bytes = [UInt8](repeating: 0, count: 4096)
    while case let count = read(0, &bytes, 4096), count > 0 { write(1, bytes, count) }
  }
}
