// The files below a directory, and nothing else: no path and no link leads out of it.

import CSplice
import Splice
import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor
import struct SystemPackage.FilePath

/// A directory whose files are shown to everybody.
///
/// A path is resolved by the kernel, from this directory and never out of it, whatever links are made
/// meanwhile. What is no file and no directory is not there: a fifo or a device is never opened for reading.
/// Everything here may wait for a disk.
final class ServedDirectory: Sendable {
  private let root: Descriptor
  private let consistency: SharedFile.Consistency

  /// Keeps a directory. Throws ENOTDIR for anything else.
  init(_ path: FilePath, _ consistency: SharedFile.Consistency) throws(Errno) {
    self.consistency = consistency
    root = try Descriptor(opened: Syscall.open(path, flags: csplice_o_path() | O_DIRECTORY))
  }

  /// From now on this thread, and those it starts, can open nothing else.  C: `landlock_restrict_self`
  func confineThread() throws(Errno) {
    try root.withFileDescriptor { root throws(Errno) in try Syscall.confineThread(to: root) }
  }

  /// What a path leads to.
  enum Found: Sendable {
    case file(ServedFile)
    case directory
  }

  /// Looks at what is there now, with the compressed forms that a file has beside it.
  /// C: `openat2`, `fstat`
  func look(at path: [UInt8]) throws(Errno) -> Found {
    guard let plain = try open(path) else { return .directory }
    var codings: [ContentCoding: ServedFile.Form] = [:]
    for coding in ContentCoding.allCases {
      // One that cannot be had is no reason to withhold the file.
      codings[coding] = (try? open(path + Array(coding.suffix.utf8))) ?? nil
    }
    return .file(
      ServedFile(plain, codings, type: ContentType.of(path.split(separator: UInt8(ascii: "/")).last ?? [])))
  }

  /// Nil for a directory.
  private func open(_ path: [UInt8]) throws(Errno) -> ServedFile.Form? {
    let place = try Descriptor(opened: openNode(path, csplice_o_path()))
    switch place.kind {
    case .directory: return nil
    case .regularFile: break
    default: throw .noSuchFileOrDirectory
    }
    var form = try open(place)
    // What would be promised of it could not be kept.
    for _ in 0..<Self.patience where consistency == .stable && !form.tag.isStrong {
      BlockingWait.poll.pause(for: .nanoseconds(ServedFile.Form.tick))
      form = try open(place)
    }
    if consistency == .stable, !form.tag.isStrong { throw .resourceBusy }
    return form
  }

  /// The same file, and no other that has its name by now.
  private func open(_ place: borrowing Descriptor) throws(Errno) -> ServedFile.Form {
    let number = try place.withFileDescriptor { place throws(Errno) in
      try Syscall.open(FilePath("/proc/self/fd/\(place.rawValue)"), flags: O_RDONLY | O_NONBLOCK)
    }
    return try ServedFile.Form(SharedFile(Descriptor(opened: number), consistency: consistency))
  }

  /// For how many ticks a file that is being written is waited for.
  private static let patience = 5

  private func openNode(_ path: [UInt8], _ flags: CInt) throws(Errno) -> FileDescriptor {
    try root.withFileDescriptor { root throws(Errno) in
      var tries = 0
      while true {
        do throws(Errno) { return try Syscall.open(beneath: root, FilePath(bytes: path), flags: flags) } catch
        {
          tries += 1
          guard error == .wouldBlock, tries < Self.mostTries else { throw error }
          if tries.isMultiple(of: 10) { BlockingWait.poll.pause(for: .microseconds(50)) }
        }
      }
    }
  }

  /// How often a path is looked at, while other names on this machine change.
  private static let mostTries = 1000

  /// What is in a directory, but for what is hidden.
  func list(_ path: [UInt8]) throws(Errno) -> (entries: [Entry], others: Int) {
    let directory = try openNode(path, O_RDONLY | O_DIRECTORY)
    let names = try Syscall.names(in: directory).filter { $0.first != UInt8(ascii: ".") }
      .sorted { $0.lexicographicallyPrecedes($1) }
    var entries: [Entry] = []
    for name in names.prefix(Self.mostListed) {
      // Links that lead out, and what was removed meanwhile, are not there; nor is what is neither.
      guard let number = try? openNode(path + [UInt8(ascii: "/")] + name, csplice_o_path()) else { continue }
      defer { try? Syscall.close(number) }
      guard let status = try? Syscall.fstat(number) else { continue }
      switch status.type {
      case S_IFDIR: entries.append(Entry(name: name, size: nil, modified: status.modified))
      case S_IFREG: entries.append(Entry(name: name, size: UInt64(status.size), modified: status.modified))
      default: break
      }
    }
    return (entries, max(0, names.count - Self.mostListed))
  }

  /// Each is opened to be listed, for everybody who asks.
  private static let mostListed = 2000

  /// A line of a listing.
  struct Entry: Sendable, Hashable {
    let name: [UInt8]
    /// Nil for a directory.
    let size: UInt64?
    /// In nanoseconds since 1970.
    let modified: Int64
  }
}

/// A file, and the compressed forms of it.
struct ServedFile: Sendable {
  let plain: Form
  let codings: [ContentCoding: Form]
  /// Of all forms.
  let type: String
  /// The headers that each form always has, as they are sent.
  private let plainLines: String
  private let codedLines: [ContentCoding: String]

  init(_ plain: Form, _ codings: [ContentCoding: Form], type: String) {
    (self.plain, self.codings, self.type) = (plain, codings, type)
    let vary = codings.isEmpty ? "" : "\r\nvary: accept-encoding"
    plainLines = plain.lines + vary
    codedLines = Dictionary(
      uniqueKeysWithValues: codings.map {
        ($0, $1.lines + vary + "\r\ncontent-encoding: \($0.rawValue)")
      })
  }

  func form(_ coding: ContentCoding?) -> (form: Form, lines: String) {
    guard let coding, let form = codings[coding], let lines = codedLines[coding] else {
      return (plain, plainLines)
    }
    return (form, lines)
  }

  /// An open file in one state.
  final class Form: Sendable {
    let file: SharedFile
    let tag: EntityTag
    fileprivate let lines: String
    var size: UInt64 { file.size }
    let modified: HTTPDate

    init(_ file: SharedFile) {
      self.file = file
      let status = file.status
      modified = HTTPDate(seconds: status.modified.secondsOfNanoseconds)
      let words = [UInt64(bitPattern: status.changed), UInt64(status.size), status.inode]
      let opaque = words.map { String($0, radix: 36) }.joined(separator: "-")
      // Within a tick of the clock by which the kernel marks changes two states may have one mark.
      let isSettled = CalendarTime.now.nanoseconds - status.changed > Self.tick
      tag = EntityTag(isStrong: isSettled, opaque)
      // No date is later than that of the answer.
      let date = min(modified, HTTPDate(seconds: Int64(CalendarTime.now.seconds)))
      lines =
        "\r\netag: \(tag)\r\nlast-modified: \(date)\r\naccept-ranges: bytes"
        + "\r\nx-content-type-options: nosniff"
    }

    static let tick: Int64 = 20_000_000

    /// Whether the open file is in the same state still: not known of one that another machine has, or a
    /// program, which would have to be waited for.  C: `fstat`
    var isUnchanged: Bool {
      tag.isStrong && file.isLocal && (try? Syscall.fstat(file.number)) == file.status
    }
  }
}

extension Int64 {
  fileprivate var secondsOfNanoseconds: Int64 {
    self >= 0 ? self / 1_000_000_000 : (self - 999_999_999) / 1_000_000_000
  }
}
