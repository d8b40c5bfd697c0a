// What a path leads to: a file, a directory or the list of one.

import Splice
import struct SystemPackage.Errno

/// What a path led to, where a disk may be waited for.
enum Sought: Sendable {
  case found(ServedDirectory.Found)
  case listing(PipeSegment)

  /// Of their own: those who read a file from a disk that hangs hold up nobody who looks for another.
  static let threads = DiskThreads()

  static func seek(
    _ path: [UInt8], in directory: ServedDirectory, _ target: RequestTarget, lists: Bool
  ) -> Result<Sought, Errno> {
    do throws(Errno) { return .success(.found(try directory.look(at: path))) } catch {
      guard error == .noSuchFileOrDirectory, lists else { return .failure(error) }
    }
    do throws(Errno) {
      let (entries, others) = try directory.list(target.path)
      let page = Listing.page(of: target, entries, others: others)
      return .success(.listing(PipeSegment(copying: page.utf8)))
    } catch { return .failure(error) }
  }
}
