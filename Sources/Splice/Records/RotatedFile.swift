// A file that is appended to, and how another one takes its name.
//
// What was made here is known by a mark in an extended attribute: when it was begun, and its inode, so that a
// copy is not taken for it. Nothing without the mark is ever removed.

import CSplice
import SystemPackage

/// A file for records; once it is large or old enough it gets a name with the time, and another is begun.
struct RotatedFile {
  private let path: FilePath
  private let rotation: PageWriter.Rotation?
  /// When the file was begun, in seconds since 1970.
  private var begun = 0
  /// After a rotation that failed, the next is not before this.
  private var notBefore: Moment?

  /// - Throws: EINVAL for what has no name of its own to lose: a symbolic link, or no regular file.
  init(_ path: FilePath, _ rotation: PageWriter.Rotation?) throws(Errno) {
    (self.path, self.rotation) = (path, rotation)
    guard rotation != nil else { return }
    do throws(Errno) {
      if try Syscall.lstat(path).type != S_IFREG { throw .invalidArgument }
    } catch { if error != .noSuchFileOrDirectory { throw error } }
  }

  /// Opens it, and makes it if it is not there.
  ///
  /// - Throws: ENOTSUP when files are to be removed later, and its file system has no marks.
  mutating func open() throws(Errno) -> FileDescriptor {
    let flags = O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY
    guard let rotation else { return try Syscall.open(path, flags: flags, mode: 0o644) }
    begun = CalendarTime.now.seconds
    do throws(Errno) {
      let file = try Syscall.open(path, flags: flags | O_EXCL, mode: 0o644)
      do throws(Errno) { try mark(file) } catch {
        if rotation.keep != nil {
          MadeFile(path, try Syscall.fstat(file)).remove(onlyIfEmpty: true)
          try? Syscall.close(file)
          throw error
        }
      }
      return file
    } catch {
      guard error == .fileExists else { throw error }
      let file = try Syscall.open(path, flags: flags, mode: 0o644)
      begun = Self.mark(of: path)?.begun ?? begun
      return file
    }
  }

  /// Bytes that it has room for when it is new.
  var most: Int { rotation?.size.map { Int(clamping: $0) } ?? .max }

  /// Bytes that may be appended now, by a record of this length or behind one that is begun; nil when another
  /// file has its name, or is to have it.
  mutating func room(in file: FileDescriptor, for record: Int?) throws(Errno) -> Int? {
    guard let rotation, let record else { return .max }
    let status = try Syscall.fstat(file)
    guard MadeFile(path, status).isThere else { return nil }
    let room = most == .max ? Int.max : most - Int(status.size)
    let isOld = rotation.interval.map { .seconds(CalendarTime.now.seconds - begun) >= $0 } ?? false
    guard status.size > 0, isOld || record > room else { return room }
    if let notBefore, .now < notBefore { return room }
    // Of several processes one does it; the others see that it is done.
    do throws(Errno) { try Syscall.lockNow(file) } catch { return room }
    defer { Syscall.unlock(file) }
    guard MadeFile(path, status).isThere else { return nil }
    do throws(Errno) { try giveName() } catch {
      notBefore = .now + .seconds(1)
      throw error
    }
    return nil
  }

  /// Gives it a name that is behind those of the same second, also where some of them are gone.
  private func giveName() throws(Errno) {
    let (time, names) = (CalendarTime.now, try stamped())
    let last = names.last { path.hasStamped($0, at: time) }
    var number = 1
    while let last, !last.lexicographicallyPrecedes(path.stamped(time, number).nameBytes) { number += 1 }
    while true {
      do throws(Errno) {
        try Syscall.rename(path, toNew: path.stamped(time, number))
        break
      } catch {
        guard error == .fileExists else { throw error }
        number += 1
      }
    }
    if let keep = rotation?.keep { try removeOldest(but: keep) }
  }
}

// MARK: - What was made here

extension RotatedFile {
  private static let attribute = "user.splice.log"

  /// C: `fsetxattr`
  private func mark(_ file: FileDescriptor) throws(Errno) {
    try Syscall.setAttribute(Self.attribute, of: file, to: "\(begun) \(Syscall.fstat(file).inode)")
  }

  /// When a file was begun here, and what it is; nil for one that was not.  C: `lgetxattr`
  private static func mark(of path: FilePath) -> (begun: Int, file: MadeFile)? {
    guard let status = try? Syscall.lstat(path), let text = try? Syscall.attribute(attribute, of: path)
    else { return nil }
    let words = text.split(separator: " ")
    guard words.count == 2, let begun = Int(words[0]), UInt64(words[1]) == status.inode else { return nil }
    return (begun, MadeFile(path, status))
  }

  /// The names beside it that have a time, the oldest first.
  private func stamped() throws(Errno) -> [[UInt8]] {
    let directory = try Syscall.open(folder, flags: O_RDONLY | O_DIRECTORY)
    return try Syscall.names(in: directory).filter { path.hasStamped($0) }.sorted {
      $0.lexicographicallyPrecedes($1)
    }
  }

  private var folder: FilePath {
    let folder = path.removingLastComponent()
    return folder.isEmpty ? "." : folder
  }

  /// Removes what was made here, but for the newest.
  private func removeOldest(but keep: Int) throws(Errno) {
    let made = try stamped().compactMap { name in
      Self.mark(of: folder.appending(FilePath(bytes: name).components))?.file
    }
    for file in made.dropLast(max(0, keep)) { file.remove() }
  }
}
