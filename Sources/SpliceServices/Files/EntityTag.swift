// Which of its states a file is in, and what a request makes of that.  RFC 9110, 8.8.3 and 13

/// The name of one state of a file.
struct EntityTag: Sendable, Hashable, CustomStringConvertible {
  /// Whether a file in another state has another name for certain.
  let isStrong: Bool
  /// What is between the quotes.
  let opaque: Substring

  init(isStrong: Bool, _ opaque: some StringProtocol) {
    (self.isStrong, self.opaque) = (isStrong, Substring(opaque))
  }

  var description: String { isStrong ? "\"\(opaque)\"" : "W/\"\(opaque)\"" }

  /// Strong comparison: the bytes are the same.
  func isExactly(_ other: Self) -> Bool { isStrong && other.isStrong && opaque == other.opaque }

  /// Weak comparison: one is as good as the other.
  func isAsGood(as other: Self) -> Bool { opaque == other.opaque }

  /// A tag at the beginning of a text, which is left behind it.
  fileprivate init?(at text: inout Substring.UTF8View) {
    let isWeak = text.starts(with: "W/".utf8)
    if isWeak { text = text.dropFirst(2) }
    guard text.first == UInt8(ascii: "\"") else { return nil }
    text.removeFirst()
    guard let end = text.firstIndex(of: UInt8(ascii: "\"")) else { return nil }
    (isStrong, opaque) = (!isWeak, Substring(text[..<end]))
    text = text[text.index(after: end)...]
  }
}

/// What a header names: any state, or some.
private enum EntityTags {
  case any
  case these([EntityTag])

  /// Nil when it is malformed, or there is none.
  init?(_ header: String?) {
    guard let header else { return nil }
    var rest = Substring(header).utf8.trimmed
    if rest.elementsEqual("*".utf8) {
      self = .any
      return
    }
    var tags: [EntityTag] = []
    while true {
      while let byte = rest.first,
        byte == UInt8(ascii: ",") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
      {
        rest.removeFirst()
      }
      if rest.isEmpty { break }
      guard let tag = EntityTag(at: &rest) else { return nil }
      tags.append(tag)
    }
    self = .these(tags)
  }
}

/// What a request says of the state it wants a file in.
struct Conditions: Sendable {
  var ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince, ifRange: String?

  /// What comes of them.
  enum Verdict: Sendable, Hashable {
    case proceed
    /// 304
    case notModified
    /// 412
    case failed
  }

  /// Decides in the order of RFC 9110, 13.2.2, for a request that reads.
  func verdict(_ tag: EntityTag, modified: HTTPDate, now: HTTPDate) -> Verdict {
    if let ifMatch {
      switch EntityTags(ifMatch) {
      case .any: break
      case .these(let tags) where tags.contains { $0.isExactly(tag) }: break
      default: return .failed
      }
    } else if let date = ifUnmodifiedSince.flatMap({ HTTPDate($0, now: now) }), modified > date {
      return .failed
    }
    if let ifNoneMatch {
      switch EntityTags(ifNoneMatch) {
      case .any: return .notModified
      case .these(let tags) where tags.contains { $0.isAsGood(as: tag) }: return .notModified
      default: return .proceed
      }
    }
    if let date = ifModifiedSince.flatMap({ HTTPDate($0, now: now) }), modified <= date {
      return .notModified
    }
    return .proceed
  }

  /// Whether a range may be sent: the file is in the state of which the client has the rest (13.1.5). A date
  /// tells only of a file that has not been written in the second it names.
  func mayBeRanged(_ tag: EntityTag, modified: HTTPDate, now: HTTPDate) -> Bool {
    guard let ifRange else { return true }
    var rest = Substring(ifRange).utf8.trimmed
    if let wanted = EntityTag(at: &rest) { return rest.isEmpty && wanted.isExactly(tag) }
    return HTTPDate(ifRange, now: now) == modified && modified.seconds < now.seconds - 1
  }
}
