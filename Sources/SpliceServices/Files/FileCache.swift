// Files that were asked for lately, open and with what is known of them.

import NIOCore
import struct SystemPackage.Errno

/// What one event loop knows of the directory. A path is looked at again after a second; whether the file
/// itself has changed is asked each time.
final class FileCache {
  private struct Entry {
    let found: ServedDirectory.Found
    let looked: NIODeadline
    var used: NIODeadline
  }

  private var entries: [[UInt8]: Entry] = [:]
  /// Each may hold four descriptors.
  private let most: Int
  static let patience = TimeAmount.seconds(1)
  /// What nobody asks for is closed.
  private static let idle = TimeAmount.seconds(10)

  init(atMost most: Int) { self.most = most }

  /// What a path leads to, if that is known and as it was.
  func find(_ path: [UInt8], _ now: NIODeadline) -> ServedDirectory.Found? {
    guard let entry = entries[path], now - entry.looked < Self.patience else { return nil }
    if case .file(let file) = entry.found, !file.isUnchanged { return nil }
    entries[path]?.used = now
    return entry.found
  }

  func keep(_ result: Result<Sought, Errno>, _ path: [UInt8], looked: NIODeadline) {
    // Those that are kept open are the first that can be spared.
    if case .failure(.tooManyOpenFiles) = result { entries.removeAll() }
    if case .failure(.tooManyOpenFilesInSystem) = result { entries.removeAll() }
    guard case .success(.found(let found)) = result else { return }
    if entries.count >= most, entries[path] == nil { entries.removeAll() }
    entries[path] = Entry(found: found, looked: looked, used: looked)
  }

  func forgetIdle(_ now: NIODeadline) { entries = entries.filter { now - $0.value.used < Self.idle } }
}

extension ServedFile {
  /// Whether all of its forms are as they were.
  fileprivate var isUnchanged: Bool { plain.isUnchanged && codings.values.allSatisfy(\.isUnchanged) }
}
