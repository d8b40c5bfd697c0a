// A file that is appended to, and how another one takes its name.
//
// What was made here is known by a mark in an extended attribute: when it was begun, its number among those of its
// name, its inode, and the name that it got. So a copy, a link or a file of the same name is not taken for it,
// and whatever the clock does the oldest is known. Nothing without its mark is ever removed.

import CSplice
import SystemPackage

/// A file for records; once it is large or old enough it gets a name with the time, and another is begun.
struct RotatedFile {
  private let path: FilePath
  private let rotation: PageWriter.Rotation?
  /// The mark of the file that is open.
  private var mark = Mark()
  /// After a rotation that failed, the next is not before this.
  private var notBefore: Moment?

  /// - Throws: EINVAL for what has no name of its own to lose: a symbolic link, or no regular file; ENAMETOOLONG
  ///   when there is no room for a time in it.
  init(_ path: FilePath, _ rotation: PageWriter.Rotation?) throws(Errno) {
    // Wherever the process goes.
    self.path = path.isAbsolute ? path : try Syscall.workingDirectory().pushing(path)
    self.rotation = rotation
    guard rotation != nil else { return }
    if path.stamped(.now, 1000).nameBytes.count > Int(NAME_MAX) { throw .fileNameTooLong }
    do throws(Errno) {
      if try Syscall.lstat(path).type != S_IFREG { throw .invalidArgument }
    } catch { if error != .noSuchFileOrDirectory { throw error } }
  }

  // A fifo that nobody reads keeps nobody waiting.
  private static let flags = O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK

  /// Opens it, and makes it if it is not there.
  ///
  /// - Throws: ENOTSUP when files are to be removed later, and its file system has no marks.
  mutating func openFirst() throws(Errno) -> FileDescriptor {
    let (file, failure) = try openMarked(like: nil)
    guard let failure, rotation?.keep != nil else { return file }
    // One that was there has no number.
    if mark.number > 0, let status = try? Syscall.fstat(file) {
      MadeFile(path, status).remove(onlyIfEmpty: true)
    }
    try? Syscall.close(file)
    throw failure
  }

  /// Opens another with the owner and the mode of the one before.
  mutating func open(like old: FileDescriptor?) throws(Errno) -> FileDescriptor {
    try openMarked(like: old).0
  }

  /// The file, and why it has no mark, or its file system none.
  private mutating func openMarked(like old: FileDescriptor?) throws(Errno) -> (FileDescriptor, Errno?) {
    // Not for a moment may more people read it.
    let mode = old.flatMap { try? Syscall.fstat($0) }.map { $0.permissions & 0o666 } ?? 0o644
    while true {
      do throws(Errno) {
        let file = try Syscall.open(path, flags: Self.flags | O_CREAT | O_EXCL, mode: mode)
        if let old { Self.setOwner(of: file, like: old) }
        guard rotation != nil else { return (file, nil) }
        let last = mark.number > 0 ? mark.number : stamped().compactMap { Mark(of: $0)?.number }.max() ?? 0
        mark = Mark(begun: CalendarTime.now.seconds, number: last + 1)
        do throws(Errno) { try mark.set(on: file) } catch { return (file, error) }
        return (file, nil)
      } catch { if error != .fileExists { throw error } }
      do throws(Errno) {
        // A link may lead to where there is nothing yet.
        let file = try Syscall.open(path, flags: Self.flags | (rotation == nil ? O_CREAT : 0), mode: mode)
        mark = Mark(of: path) ?? Mark(begun: CalendarTime.now.seconds)
        return (file, Mark.refusal(of: path))
      } catch { if error != .noSuchFileOrDirectory || rotation == nil { throw error } }
    }
  }

  /// As far as we may.  C: `fchown`, `fchmod`
  private static func setOwner(of file: FileDescriptor, like old: FileDescriptor) {
    guard let was = try? Syscall.fstat(old), let now = try? Syscall.fstat(file), was.type == S_IFREG else {
      return
    }
    if (was.user, was.group) != (now.user, now.group) {
      try? Syscall.fchown(file, user: was.user, group: was.group)
    }
    if was.permissions != now.permissions { try? Syscall.fchmod(file, was.permissions) }
  }

  private var most: Int { rotation?.size.map { Int(clamping: $0) } ?? .max }

  /// Bytes that it has room for now.
  func room(in file: FileDescriptor) -> Int {
    guard most < .max, let status = try? Syscall.fstat(file) else { return .max }
    return most - Int(status.size)
  }

  /// Whether it was left for a while.
  var isSpared: Bool { notBefore.map { .now < $0 } ?? false }

  /// Leaves it for a while.
  mutating func spare() { notBefore = .now + .seconds(1) }

  /// Bytes that may be appended now, by a record of this length or behind one that is begun; nil when another
  /// file has its name, or is to have it.
  func room(in file: FileDescriptor, for record: Int?) throws(Errno) -> Int? {
    guard let rotation, let record else { return .max }
    if isSpared { return .max }
    let status = try Syscall.fstat(file)
    guard MadeFile(path, status).isThere else { return nil }
    let room = most == .max ? Int.max : most - Int(status.size)
    let age = Duration.seconds(max(0, CalendarTime.now.seconds - mark.begun))
    let isOld = rotation.interval.map { age >= $0 } ?? false
    guard status.size > 0, isOld || record > room else { return room }
    // Where two processes find this at once, one of them moves what the other has just begun: that is a small file.
    try giveName()
    return nil
  }

  /// Gives it a name that is behind those of the same second, also where some of them are gone.
  private func giveName() throws(Errno) {
    let (time, names) = (CalendarTime.now, stamped())
    let last = names.last { path.hasStamped($0.nameBytes, at: time) }?.nameBytes
    var number = 1
    while let last, !last.lexicographicallyPrecedes(path.stamped(time, number).nameBytes) { number += 1 }
    while true {
      let name = path.stamped(time, number)
      do throws(Errno) {
        try Syscall.rename(path, toNew: name)
        Mark.note(name)
        if let keep = rotation?.keep { removeOldest(of: names + [name], but: max(0, keep)) }
        return
      } catch {
        guard error == .fileExists else { throw error }
        number += 1
      }
    }
  }

  /// The files beside it whose names have a time; none where its folder cannot be read.
  private func stamped() -> [FilePath] {
    let folder = path.removingLastComponent()
    guard let directory = try? Syscall.open(folder, flags: O_RDONLY | O_DIRECTORY),
      let names = try? Syscall.names(in: directory)
    else { return [] }
    return names.filter { path.hasStamped($0) }.sorted { $0.lexicographicallyPrecedes($1) }
      .map { folder.appending(FilePath(bytes: $0).components) }
  }

  /// Removes what was made here, but for the newest.
  private func removeOldest(of names: [FilePath], but keep: Int) {
    let made = names.compactMap { path in
      Mark(of: path).flatMap { $0.name == path.nameBytes ? ($0.number, $0.file) : nil }
    }
    for (_, file) in made.sorted(by: { $0.0 < $1.0 }).dropLast(keep) { file?.remove() }
  }
}

/// What a file says that was made here: `BEGUN NUMBER INODE NAME`.
private struct Mark {
  /// In seconds since 1970.
  var begun = 0
  /// One more than the last of its name had; 0 without a mark.
  var number = 0
  /// What it is on, and the name that was given to that.
  private(set) var file: MadeFile?
  private(set) var name: [UInt8] = []

  private static let attribute = "user.splice.log"

  init(begun: Int = 0, number: Int = 0) { (self.begun, self.number) = (begun, number) }

  /// Nil for a file that was not made here.  C: `lgetxattr`
  init?(of path: FilePath) {
    guard let status = try? Syscall.lstat(path), let text = try? Syscall.attribute(Self.attribute, of: path)
    else { return nil }
    let words = text.split(separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
    guard words.count == 4, let begun = Int(String(decoding: words[0], as: UTF8.self)), begun >= 0,
      let number = Int(String(decoding: words[1], as: UTF8.self)), 1..<Int.max ~= number,
      UInt64(String(decoding: words[2], as: UTF8.self)) == status.inode
    else { return nil }
    (self.begun, self.number, name, file) = (begun, number, Array(words[3]), MadeFile(path, status))
  }

  /// C: `fsetxattr`
  func set(on file: FileDescriptor, named name: FilePath? = nil) throws(Errno) {
    let words = "\(begun) \(number) \(try Syscall.fstat(file).inode) "
    try Syscall.setAttribute(Self.attribute, of: file, to: Array(words.utf8) + (name?.nameBytes ?? []))
  }

  /// Writes the name that a file was given into its mark, whoever has begun it: of two processes, one may have
  /// moved what the other began.
  static func note(_ name: FilePath) {
    guard let mark = Mark(of: name),
      let file = try? Syscall.open(name, flags: O_WRONLY | O_NOFOLLOW | O_NONBLOCK)
    else { return }
    defer { try? Syscall.close(file) }
    try? mark.set(on: file, named: name)
  }

  /// Why a file can have no mark, if its file system has none.
  static func refusal(of path: FilePath) -> Errno? {
    do throws(Errno) { _ = try Syscall.attribute(attribute, of: path) } catch {
      if error == .notSupported || error == .notSupportedOnSocket { return error }
    }
    return nil
  }
}
