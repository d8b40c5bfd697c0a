// What a recording has made, written down beside it, a line for each file and each gap:
//
//   file DEVICE INODE START BYTES BEGUN ENDED NAME
//   gap START BYTES TIME WHY
//
// START is where in the stream it begins; times are UTC. An earlier recording of the same name is known by
// this, and of what is in the folder nothing else is.

import CSplice
import Splice
import SystemPackage

/// The index of a recording: `PATH.index`.
final class RecordingIndex: Sendable {
  private let path: FilePath
  /// Lines that could not be written yet.
  private let pending: Locked<[String]>

  private static let title = "# a recording of splice broadcast: its files and its gaps\n"

  /// - Throws: EEXIST when another kind of file has this name.
  init(beside recording: FilePath) throws(Errno) {
    path = recording.appending(suffix: ".index")
    let text: String?
    do throws(Errno) { text = try Self.read(path) } catch {
      guard error == .noSuchFileOrDirectory else { throw error }
      text = nil
    }
    if let text, !text.isEmpty, !text.hasPrefix(Self.title) { throw .fileExists }
    pending = Locked(text?.isEmpty == false ? [] : [Self.title])
    known = Self.files(in: text ?? "", of: recording.removingLastComponent())
  }

  /// The files that an earlier recording has written down, the oldest first.
  let known: [MadeFile]

  private static func files(in text: String, of folder: FilePath) -> [MadeFile] {
    text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ", maxSplits: 7)
      guard words.count == 8, words[0] == "file", let device = UInt64(words[1]), let inode = UInt64(words[2]),
        let name = FilePath.Component(String(words[7]))
      else { return nil }
      return MadeFile(folder.appending(name), device: device, inode: inode)
    }
  }

  private static func read(_ path: FilePath) throws(Errno) -> String {
    let file = Descriptor(owning: try Syscall.open(path, flags: O_RDONLY))
    var pipe = try SplicePipe(.memory)
    var text: [UInt8] = []
    while case .bytes = try pipe.splice(from: file) {
      while let segment = try pipe.takeSegment() { text += segment }
    }
    return String(decoding: text, as: UTF8.self)
  }

  func add(_ file: MadeFile, at start: UInt64, bytes: UInt64, since begun: CalendarTime) {
    let name = file.path.lastComponent?.string.escaped ?? ""
    let times = "\(begun.utc) \(CalendarTime.now.utc)"
    add("file \(file.device) \(file.inode) \(start) \(bytes) \(times) \(name)")
  }

  func addGap(_ range: Range<UInt64>, why: String) {
    add("gap \(range.lowerBound) \(range.count) \(CalendarTime.now.utc) \(why.escaped)")
  }

  /// What the disk does not take now, it is given with the next.
  private func add(_ line: String) {
    pending.withLock { lines in
      lines.append(line + "\n")
      while let first = lines.first, (try? write(first)) != nil { lines.removeFirst() }
    }
  }

  private func write(_ line: String) throws(Errno) {
    let file = Descriptor(
      owning: try Syscall.open(path, flags: O_WRONLY | O_APPEND | O_CREAT, mode: 0o666))
    let bytes = Array(line.utf8)
    try file.withFileDescriptor { file throws(Errno) in
      guard try Syscall.write(file, bytes) == bytes.count else { throw .noSpace }
    }
  }
}
