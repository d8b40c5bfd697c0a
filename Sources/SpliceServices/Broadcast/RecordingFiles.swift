// The files of a recording: how they are called, what is known of them, and which of them may be removed.
//
// A file has a name that ends in `.part` while it is written, and its own once it is whole: so whoever looks at
// a folder knows which files will not change any more. What was made is written down beside them, a line each,
// and nothing else is ever removed.

import CSplice
import Splice
import SystemPackage

extension Broadcast {
  /// Where and how a broadcast is recorded.
  public struct RecordingOptions: Sendable {
    /// When bytes are to be on the disk, and not only with its kernel.
    public enum Sync: Sendable, Hashable {
      /// Whenever the kernel likes.
      case never
      /// Before a file gets its own name.
      case atEnd
      /// So often, and before a file gets its own name.
      case every(Duration)
    }

    /// The file. While it is written its name ends in `.part`. Where there are several, or the name is taken, the
    /// time is put before its extension: `show.ts`, `show-20261129T203000Z.ts`.
    public var path: FilePath
    /// A file has no more bytes than this, in whole units.
    public var rotateSize: UInt64?
    /// The next file is begun after this time.
    public var rotateInterval: Duration?
    /// So many whole files are kept, and older ones removed that this recording has made.
    public var keep: Int?
    /// When bytes are to be on the disk.
    public var sync = Sync.atEnd
    /// What is kept in memory while the disk does not take it; past it the recording has a gap.
    public var buffer = 64 << 20

    /// One file.
    public init(path: FilePath) { self.path = path }

    var rotates: Bool { rotateSize != nil || rotateInterval != nil }
  }
}

/// The files of a recording.
struct RecordingFiles {
  /// One that is being written.
  struct Part: ~Copyable {
    let file: Descriptor
    /// Another opening of it, for reading, until it is taken.
    private var reading: Descriptor?
    fileprivate let begun: CalendarTime
    fileprivate let made: MadeFile
    /// Its own name, for when it is whole.
    let name: FilePath

    fileprivate init(
      _ file: consuming Descriptor, reading: consuming Descriptor, _ begun: CalendarTime, _ made: MadeFile,
      _ name: FilePath
    ) {
      (self.begun, self.made, self.name) = (begun, made, name)
      self.reading = consume reading
      self.file = consume file
    }

    /// It was begun in vain.
    consuming func discard() { made.remove(onlyIfEmpty: true) }

    /// The opening for reading.
    mutating func takeReading() throws(Errno) -> Descriptor {
      guard let taken = reading.take() else { throw .badFileDescriptor }
      return taken
    }
  }

  /// A whole file that has no name of its own yet.
  struct Late {
    fileprivate let made: MadeFile
    fileprivate let begun: CalendarTime
    fileprivate let start, bytes: UInt64
  }

  private let options: Broadcast.RecordingOptions
  private let index: RecordingIndex
  /// Whole ones, the oldest first.
  private var whole: [MadeFile] = []
  /// Names that files have had: none is given twice, so that what is carried off under its name, or is read, is
  /// one file.
  private var given: Set<String>
  /// Those that could not be named.
  private(set) var late: [Late] = []

  /// What an earlier recording has left under this name is known from its index.
  ///
  /// - Throws: What speaks against making files there.
  init(_ options: Broadcast.RecordingOptions) throws(Errno) {
    self.options = options
    let folder = options.path.removingLastComponent()
    if options.path.lastComponent?.kind != .regular { throw .isDirectory }
    guard try Syscall.status(of: folder.isEmpty ? "." : folder).type == S_IFDIR else { throw .notDirectory }
    index = try RecordingIndex(beside: options.path, synchronized: options.sync != .never)
    given = index.names
    whole = index.takeOthers(than: [])
  }

  /// Why what was made could not be written down yet, if it could not.
  var indexFailure: Errno? { index.failure }

  /// Makes the next file. `probing` finds out whether its disk takes anything.
  func begin(probing: Bool) throws(Errno) -> Part {
    let time = CalendarTime.now
    var number = 1
    while true {
      let name = name(at: time, number)
      let path = name.appending(suffix: ".part")
      do throws(Errno) {
        if isGiven(name) || (try? Syscall.lstat(name)) != nil { throw .fileExists }
        let file = Descriptor(
          owning: try Syscall.open(path, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o666))
        let made = MadeFile(
          path, try file.withFileDescriptor { file throws(Errno) in try Syscall.fstat(file) })
        do throws(Errno) {
          if probing { try file.withFileDescriptor(Self.probe) }
          let reading = Descriptor(owning: try Syscall.open(path, flags: O_RDONLY))
          return Part(file, reading: reading, time, made, name)
        } catch {
          made.remove()
          throw error
        }
      } catch {
        guard error == .fileExists else { throw error }
        number += 1
      }
    }
  }

  private static func probe(_ file: FileDescriptor) throws(Errno) {
    let count = 64 << 10
    guard try Syscall.write(file, [UInt8](repeating: 0, count: count)) == count else { throw .noSpace }
    try Syscall.ftruncate(file, to: 0)
    _ = try Syscall.lseek(file, to: 0, from: .start)
  }

  /// A file is whole, and gets its own name; an empty one is removed. What is removed beyond those that are
  /// kept: how many files. One that cannot be named now is named with a later one.
  mutating func end(_ part: consuming Part, at start: UInt64, bytes: UInt64) throws(Errno) -> Int {
    if bytes == 0 {
      part.made.remove(onlyIfEmpty: true)
      return 0
    }
    nameLate()
    let file = Late(made: part.made, begun: part.begun, start: start, bytes: bytes)
    do throws(Errno) {
      if options.sync != .never {
        try part.file.withFileDescriptor { file throws(Errno) in try Syscall.fsync(file) }
      }
      try name(file)
    } catch {
      late.append(file)
      throw error
    }
    return removeOldest()
  }

  /// How many there are, still without a name.
  var unnamed: Int { late.count { $0.made.isThere } }

  /// Tries again to name what could not be named.
  mutating func nameLate() {
    let files = late
    late = []
    for file in files {
      do throws(Errno) { try name(file) } catch { late.append(file) }
    }
  }

  private mutating func name(_ file: Late) throws(Errno) {
    // Its folder may be gone, or be another one by now.
    guard file.made.isThere else { throw .noSuchFileOrDirectory }
    var number = 1
    while true {
      let name = name(at: file.begun, number)
      do throws(Errno) {
        if isGiven(name) { throw .fileExists }
        try Syscall.rename(file.made.path, toNew: name)
        given.insert(RecordingIndex.word(for: name))
        if options.sync != .never { try? syncFolder() }
        let known = try? file.made.renamed(to: name)
        // Whoever takes whole files elsewhere may have been faster: then it is only written down.
        let made = known ?? MadeFile(name, device: file.made.device, inode: file.made.inode, modified: nil)
        index.add(made, at: file.start, bytes: file.bytes, since: file.begun)
        if let known { whole.append(known) }
        return
      } catch {
        guard error == .fileExists else { throw error }
        number += 1
      }
    }
  }

  /// Writes down that a part of the stream was not recorded.
  func addGap(_ range: Range<UInt64>, why: String) { index.addGap(range, why: why) }

  private mutating func removeOldest() -> Int {
    guard let keep = options.keep else { return 0 }
    // Those of a broadcast that has ended meanwhile.
    whole = index.takeOthers(than: whole) + whole
    if whole.count <= keep { return 0 }
    let old = whole.prefix(whole.count - keep)
    for file in old { file.remove() }
    whole.removeFirst(old.count)
    return old.count
  }

  private func isGiven(_ name: FilePath) -> Bool { given.contains(RecordingIndex.word(for: name)) }

  private func syncFolder() throws(Errno) {
    let folder = options.path.removingLastComponent()
    let descriptor = Descriptor(owning: try Syscall.open(folder.isEmpty ? "." : folder, flags: O_RDONLY))
    try descriptor.withFileDescriptor { folder throws(Errno) in try Syscall.fsync(folder) }
  }

  private func name(at time: CalendarTime, _ number: Int) -> FilePath {
    let hasPlain = !options.rotates
    if hasPlain, number == 1 { return options.path }
    return options.path.stamped(time, hasPlain ? number - 1 : number)
  }
}

extension FilePath {
  /// This path with something behind its last component.
  func appending(suffix: String) -> FilePath { FilePath("\(string)\(suffix)") }
}
