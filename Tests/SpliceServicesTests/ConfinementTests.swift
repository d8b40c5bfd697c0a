// Threads that can open nothing outside a directory.

import CSplice
import Foundation
import Splice
import SystemPackage
import TestSupport
import Testing

@testable import SpliceServices

@Suite(.mayBlock) struct ConfinementTests {
  /// What a thread of its own can open, once it is confined; nil where the kernel has no Landlock.
  private func opened(_ paths: [String], confinedTo directory: String) throws -> [Bool]? {
    let root = try ServedDirectory(FilePath(directory), .live)
    return try onThread {
      do throws(Errno) { try root.confineThread() } catch {
        #expect(error == .noFunction || error == .notSupported)
        return nil
      }
      return paths.map { path in
        guard let file = try? Syscall.open(FilePath(path), flags: O_RDONLY) else { return false }
        try? Syscall.close(file)
        return true
      }
    }.join()
  }

  @Test func `a thread opens what is below its directory, and nothing else`() throws {
    let (directory, other) = (try TemporaryDirectory(), try TemporaryDirectory())
    for place in [directory.path, other.path] {
      try Data("content".utf8).write(to: URL(fileURLWithPath: "\(place)/file"))
    }
    let paths = ["\(directory.path)/file", directory.path, "\(other.path)/file", other.path, "/etc/passwd"]
    guard let opened = try opened(paths, confinedTo: directory.path) else { return }
    #expect(opened == [true, true, false, false, false])
    // Others are as free as before.
    #expect(FileManager.default.contents(atPath: "\(other.path)/file") == Data("content".utf8))
  }
}
