// What a recording has made, written down beside it, a line for each file and each gap:
//
//   file DEVICE INODE MODIFIED START BYTES BEGUN ENDED NAME
//   gap START BYTES TIME WHY
//
// START is where in the stream it begins; times are UTC, and MODIFIED nanoseconds. An earlier recording of the
// same name is known by this, and of what is in the folder nothing else is: not a file that was written since.
// While one broadcast records, another one of the same name leaves what it has made alone.

import CSplice
import Splice
import SystemPackage

/// The index of a recording: `PATH.index`.
final class RecordingIndex: Sendable {
  private let path: FilePath
  /// Whether a line is on the disk, and not only with its kernel.
  private let synchronizes: Bool
  /// Lines that could not be written yet, and why.
  private let pending: Locked<(lines: [String], failure: Errno?)>
  /// Whether what earlier recordings have written down was taken.
  private let isTaken = Locked(false)
  /// Whoever has the lock on it knows and removes what others have made.
  private let lock: Descriptor
  /// Names that files have had, as they are written down: none is given twice.
  let names: Set<String>
  /// The file, where there was none before: without a line it goes again.
  private let made: MadeFile?

  private static let title = "# a recording of splice broadcast: its files and its gaps\n"

  /// - Throws: EEXIST when another kind of file has this name; what keeps files from being made or written there.
  init(beside recording: FilePath, synchronized synchronizes: Bool) throws(Errno) {
    path = recording.appending(suffix: ".index")
    self.synchronizes = synchronizes
    let text = try Self.read(path)
    // One whose title was cut short is begun again, behind that.
    let hasTitle = text.hasPrefix(Self.title) || text.contains("\n" + Self.title)
    if !hasTitle, !Self.title.hasPrefix(text) { throw .fileExists }
    names = Set(Self.lines(of: text).map { String($0[8]) })
    let lineEnd = text.isEmpty || text.hasSuffix("\n") ? "" : "\n"
    pending = Locked(([lineEnd + (hasTitle ? "" : Self.title)].filter { !$0.isEmpty }, nil))
    let flags = O_RDWR | O_NONBLOCK
    var isNew = true
    let file: FileDescriptor
    do throws(Errno) { file = try Syscall.open(path, flags: flags | O_CREAT | O_EXCL, mode: 0o666) } catch {
      guard error == .fileExists else { throw error }
      isNew = false
      file = try Syscall.open(path, flags: flags)
    }
    lock = Descriptor(owning: file)
    made = isNew ? MadeFile(path, try Syscall.fstat(file)) : nil
  }

  deinit { made?.remove(onlyIfEmpty: true) }

  /// Why its last line could not be written yet, if it could not.
  var failure: Errno? { pending.withLock { $0.failure } }

  /// The files that earlier recordings have written down and are not among `ours`, the oldest first, once; none
  /// while one of them still runs.
  func takeOthers(than ours: [MadeFile]) -> [MadeFile] {
    isTaken.withLock { isTaken in
      if isTaken || !isAlone { return [] }
      isTaken = true
      let known = (try? Self.read(path)).map { Self.files(in: $0, of: path.removingLastComponent()) } ?? []
      return known.filter { $0.isThere && !ours.contains($0) }
    }
  }

  private var isAlone: Bool {
    (try? lock.withFileDescriptor { file throws(Errno) in try Syscall.lockNow(file) }) != nil
  }

  private static func files(in text: String, of folder: FilePath) -> [MadeFile] {
    lines(of: text).compactMap { words in
      guard let device = UInt64(words[1]), let inode = UInt64(words[2]), let modified = Int64(words[3]),
        let name = FilePath.Component(String(words[8]))
      else { return nil }
      return MadeFile(folder.appending(name), device: device, inode: inode, modified: modified)
    }
  }

  /// The words of the lines of files.
  private static func lines(of text: String) -> [[Substring]] {
    text.split(separator: "\n").map { $0.split(separator: " ", maxSplits: 8) }.filter {
      $0.count == 9 && $0[0] == "file"
    }
  }

  private static func read(_ path: FilePath) throws(Errno) -> String {
    let file: Descriptor
    do throws(Errno) {
      file = Descriptor(owning: try Syscall.open(path, flags: O_RDONLY | O_NONBLOCK))
    } catch {
      if error == .noSuchFileOrDirectory { return "" }
      throw error
    }
    if file.kind != .regularFile { throw .fileExists }
    var pipe = try SplicePipe(.memory)
    var text: [UInt8] = []
    while case .bytes = try pipe.splice(from: file) {
      while let segment = try pipe.takeSegment() { text += segment }
    }
    return String(decoding: text, as: UTF8.self)
  }

  func add(_ file: MadeFile, at start: UInt64, bytes: UInt64, since begun: CalendarTime) {
    let name = Self.word(for: file.path)
    let times = "\(begun.utc) \(CalendarTime.now.utc)"
    add("file \(file.device) \(file.inode) \(file.modified ?? 0) \(start) \(bytes) \(times) \(name)")
  }

  /// A name as it is written down.
  static func word(for path: FilePath) -> String { path.lastComponent?.string.escaped ?? "" }

  func addGap(_ range: Range<UInt64>, why: String) {
    add("gap \(range.lowerBound) \(range.count) \(CalendarTime.now.utc) \(why.escaped)")
  }

  /// What the disk does not take now, it is given with the next.
  private func add(_ line: String) {
    pending.withLock { pending in
      pending.lines.append(line + "\n")
      do throws(Errno) {
        while let first = pending.lines.first {
          try write(first)
          pending.lines.removeFirst()
        }
        pending.failure = nil
      } catch { pending.failure = error }
    }
  }

  private func write(_ line: String) throws(Errno) {
    let file = Descriptor(
      owning: try Syscall.open(path, flags: O_WRONLY | O_APPEND | O_CREAT, mode: 0o666))
    let bytes = Array(line.utf8)
    try file.withFileDescriptor { file throws(Errno) in
      let length = try Syscall.fstat(file).size
      guard try Syscall.write(file, bytes) == bytes.count else {
        // Of a line there is all or nothing.
        try Syscall.ftruncate(file, to: length)
        throw .noSpace
      }
      if synchronizes { try? Syscall.fsync(file) }
    }
  }
}
