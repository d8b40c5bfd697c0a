// What conditions make of a request.

import Testing

@testable import SpliceServices

struct ConditionsTests {
  private let tag = EntityTag(isStrong: true, "a")
  private let modified = HTTPDate(seconds: 1_000_000_000)
  private let now = HTTPDate(seconds: 1_000_001_000)
  private let same = "Sun, 09 Sep 2001 01:46:40 GMT"
  private let earlier = "Sun, 09 Sep 2001 01:46:39 GMT"

  private func verdict(_ set: (inout Conditions) -> Void, _ tag: EntityTag? = nil) -> Conditions.Verdict {
    var conditions = Conditions()
    set(&conditions)
    return conditions.verdict(tag ?? self.tag, modified: modified, now: now)
  }

  @Test(arguments: [
    ("\"a\"", true), ("\"b\"", false), ("*", true), ("W/\"a\"", false), ("\"b\", \"a\"", true), ("a", false),
    ("\"a", false), ("", false), ("\"b\",W/\"c\",\"a\"", true), ("\"a\" \"b\"", true),
  ])
  func `If-Match is strong`(_ header: String, _ proceeds: Bool) {
    #expect(verdict { $0.ifMatch = header } == (proceeds ? .proceed : .failed))
  }

  @Test(arguments: [
    ("\"a\"", true), ("W/\"a\"", true), ("\"b\"", false), ("*", true), ("\"b\", W/\"a\"", true), ("a", false),
    ("\"a, b\"", false), ("\"\"", false),
  ])
  func `If-None-Match is weak`(_ header: String, _ matches: Bool) {
    #expect(verdict { $0.ifNoneMatch = header } == (matches ? .notModified : .proceed))
  }

  @Test func `dates`() {
    #expect(verdict { $0.ifModifiedSince = same } == .notModified)
    #expect(verdict { $0.ifModifiedSince = earlier } == .proceed)
    #expect(verdict { $0.ifModifiedSince = "yesterday" } == .proceed)
    #expect(verdict { $0.ifUnmodifiedSince = same } == .proceed)
    #expect(verdict { $0.ifUnmodifiedSince = earlier } == .failed)
    #expect(verdict { $0.ifUnmodifiedSince = "yesterday" } == .proceed)
  }

  /// RFC 9110, 13.2.2: tags are asked before dates, and those that must match before those that must not.
  @Test func `the order`() {
    #expect(verdict { ($0.ifMatch, $0.ifUnmodifiedSince) = ("\"a\"", earlier) } == .proceed)
    #expect(verdict { ($0.ifMatch, $0.ifNoneMatch) = ("\"b\"", "\"a\"") } == .failed)
    #expect(verdict { ($0.ifMatch, $0.ifNoneMatch) = ("\"a\"", "\"a\"") } == .notModified)
    #expect(verdict { ($0.ifNoneMatch, $0.ifModifiedSince) = ("\"b\"", same) } == .proceed)
    #expect(verdict { ($0.ifUnmodifiedSince, $0.ifModifiedSince) = (same, same) } == .notModified)
  }

  @Test func `a range of another state is not sent`() {
    func mayBeRanged(_ header: String?, _ tag: EntityTag? = nil, now: HTTPDate? = nil) -> Bool {
      var conditions = Conditions()
      conditions.ifRange = header
      return conditions.mayBeRanged(tag ?? self.tag, modified: modified, now: now ?? self.now)
    }
    #expect(mayBeRanged(nil))
    #expect(mayBeRanged("\"a\""))
    #expect(!mayBeRanged("\"b\""))
    #expect(!mayBeRanged("W/\"a\""))
    #expect(!mayBeRanged("W/\"a\"", EntityTag(isStrong: false, "a")))
    #expect(!mayBeRanged("\"a\", \"b\""))
    #expect(mayBeRanged(same))
    #expect(!mayBeRanged(earlier))
    #expect(!mayBeRanged(same, now: HTTPDate(seconds: 1_000_000_001)))
    #expect(!mayBeRanged("yesterday"))
  }
}
