// What a request names: decided from its target alone, before any file is looked at.

/// The names from the served directory to a file or a directory, as bytes of the file system.
struct RequestTarget: Sendable, Hashable {
  /// Each is neither empty nor hidden, and has no slash, no NUL and no control character.
  let names: [[UInt8]]
  /// It ends with a slash.
  let isDirectory: Bool
  /// What follows the first `?`, which chooses nothing here.
  let query: Substring?

  /// Why there is none.
  enum Refusal: Error, Sendable, Hashable {
    /// It is not written as a target is.
    case malformed
    /// It is longer than any path.
    case tooLong
    /// What has this name is never shown.
    case hidden
  }

  /// As long as the kernel's longest path.
  static let longest = 4096
  /// What begins with a dot is hidden, but for this at the top (RFC 8615).
  private static let wellKnown = Array(".well-known".utf8)

  /// Reads the target of a request line: `/path?query`, or with `http://host` in front. What is between
  /// slashes is decoded by itself, so that an encoded slash does not divide.  RFC 9112, 3.2
  init(_ target: some StringProtocol) throws(Refusal) {
    var rest = Substring(target)
    if rest.utf8.first != UInt8(ascii: "/"),
      let scheme = ["http://", "https://"].first(where: { rest.lowercased().hasPrefix($0) })
    {
      rest = rest.dropFirst(scheme.count)
      let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
      guard end > rest.startIndex, rest[..<end].utf8.isHost, rest.first != ":" else { throw .malformed }
      rest = rest[end...]
      // RFC 9110, 4.2.3
      if rest.utf8.first != UInt8(ascii: "/") { rest = "/" + rest }
    }
    guard rest.utf8.first == UInt8(ascii: "/") else { throw .malformed }
    if rest.utf8.count > Self.longest { throw .tooLong }
    let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?"))
    query = mark.map { rest[rest.utf8.index(after: $0)...] }
    let path = rest.utf8[..<(mark ?? rest.endIndex)]
    var isDirectory = path.last == UInt8(ascii: "/")
    var names: [[UInt8]] = []
    for part in path.split(separator: UInt8(ascii: "/")) {
      let name = try Self.decoded(part)
      if name.contains(UInt8(ascii: "/")) { throw .hidden }
      // The directory that it is in.  RFC 3986, 6.2.2.3
      if name == [UInt8(ascii: ".")] {
        isDirectory = isDirectory || part.endIndex == path.endIndex
        continue
      }
      if name.first == UInt8(ascii: "."), !(names.isEmpty && name == Self.wellKnown) { throw .hidden }
      names.append(name)
    }
    (self.names, self.isDirectory) = (names, isDirectory)
  }

  private static func decoded(_ part: Substring.UTF8View.SubSequence) throws(Refusal) -> [UInt8] {
    var name: [UInt8] = []
    var rest = part[...]
    while let byte = rest.popFirst() {
      var value = byte
      if byte == UInt8(ascii: "%") {
        guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
          throw .malformed
        }
        value = high << 4 | low
      }
      // What follows a `#` is the client's own.
      if value < 0x20 || value == 0x7f || byte == UInt8(ascii: "#") { throw .malformed }
      name.append(value)
    }
    return name
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The path below the directory, for the file system; `.` for the directory itself.
  var path: [UInt8] {
    names.isEmpty ? [UInt8(ascii: ".")] : Array(names.joined(separator: [UInt8(ascii: "/")]))
  }

  /// The same place written as a directory, for a redirection: it begins with one slash, so that no browser
  /// takes it for another host.
  var asDirectory: String {
    "/" + names.map { Self.encoded($0) + "/" }.joined() + (query.map { "?\($0)" } ?? "")
  }

  /// A name as a URL has it.  RFC 3986, 2.3
  static func encoded(_ name: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in name {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        text.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        text += "%" + (digits.count < 2 ? "0" : "") + digits
      }
    }
    return text
  }
}
