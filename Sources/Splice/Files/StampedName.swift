// Names with a time, for files of which there are more and more: those of one path sort by when they were made.

import CSplice
import SystemPackage

extension FilePath {
  /// This path with a time before its extension: `show.ts`, `show-20261129T203000Z.ts`. Those of one second are
  /// numbered from the second one on: `show-20261129T203000Z_0002.ts`.
  package func stamped(_ time: CalendarTime, _ number: Int) -> FilePath {
    let (stem, suffix) = nameParts
    let digits = String(number)
    let again = number > 1 ? "_" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits : ""
    let name = stem + "-\(time.compact)\(again)".utf8 + suffix
    return removingLastComponent().appending(FilePath(bytes: name).components)
  }

  /// Whether a name is one that this path gets by ``stamped(_:_:)``, at a time or at any.
  func hasStamped(_ name: [UInt8], at time: CalendarTime? = nil) -> Bool {
    let (stem, suffix) = nameParts
    guard name.starts(with: stem), name.count > stem.count + suffix.count,
      name.suffix(suffix.count) == suffix[...]
    else { return false }
    // -20261130T133105Z, and perhaps _0002.
    let stamp = name[stem.count..<(name.count - suffix.count)]
    let digits = stamp.dropFirst(17)
    guard stamp.count == 17 || digits.first == UInt8(ascii: "_") && digits.count >= 5,
      zip(stamp, "-00000000T000000Z".utf8).allSatisfy({ $1 == UInt8(ascii: "0") ? $0.isDigit : $0 == $1 }),
      digits.dropFirst().allSatisfy(\.isDigit)
    else { return false }
    return time.map { stamp.starts(with: "-\($0.compact)".utf8) } ?? true
  }

  /// The last component.
  var nameBytes: [UInt8] {
    let path = unsafe withPlatformString {
      unsafe Array(UnsafeRawBufferPointer(start: $0, count: strlen($0)))
    }
    return Array(path[(path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0)...])
  }

  /// The last component without its extension, and that with its dot.
  private var nameParts: (stem: [UInt8], suffix: [UInt8]) {
    let name = nameBytes
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), dot > 0 else { return (name, []) }
    return (Array(name[..<dot]), Array(name[dot...]))
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= self }
}
