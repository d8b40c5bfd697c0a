// What a target names, and which are refused before any file is looked at.

import Testing

@testable import SpliceServices

struct RequestTargetTests {
  @Test(arguments: [
    ("/", ".", true), ("/a", "a", false), ("/a/", "a", true), ("/a/b.txt", "a/b.txt", false),
    ("//a///b", "a/b", false), ("/%61%2Dz", "a-z", false), ("/a%20b", "a b", false), ("/a+b", "a+b", false),
    ("/a?x=/../y", "a", false), ("/a%3Fb", "a?b", false), ("/a%23b", "a#b", false),
    ("/\u{fc}", "\u{fc}", false),
    ("/.", ".", true), ("/./a", "a", false), ("/a/./b/.", "a/b", true), ("/%2e/a", "a", false),
    ("/a/%2e", "a", true),
    ("http://host/a", "a", false), ("HTTP://host:80/a/", "a", true),
    ("/.well-known/x", ".well-known/x", false),
    ("/a\\..\\b", "a\\..\\b", false), ("/a..b/c", "a..b/c", false), ("/%25%32%65", "%2e", false),
  ])
  func `a target names`(_ text: String, _ path: String, _ isDirectory: Bool) throws {
    let target = try RequestTarget(text)
    #expect(String(decoding: target.path, as: UTF8.self) == path)
    #expect(target.isDirectory == isDirectory)
  }

  @Test(arguments: [
    "", "a", "*", "?", "http://", "http:///a", "ftp://host/a", "/%", "/%2", "/%zz", "/%00", "/a%0d%0ab",
    "/a%7f", "/a#b", "/#",
    "/a\u{1}b", "/\t", "host:80",
  ])
  func `what is malformed is refused`(_ text: String) {
    #expect(throws: RequestTarget.Refusal.malformed) { try RequestTarget(text) }
  }

  @Test(arguments: [
    "/..", "/../etc/passwd", "/a/../b", "/%2e%2e/x", "/.%2e/x", "/%2E./x", "/.git/config",
    "/a/.hidden", "/..%2fx", "/a%2fb", "/%2e%2e%2f%2e%2e%2fetc/passwd", "/a/.well-known", "/.well-known2",
    "/..%5c..%5cx",
  ])
  func `what is hidden or leads elsewhere is refused`(_ text: String) {
    #expect(throws: RequestTarget.Refusal.hidden) { try RequestTarget(text) }
  }

  @Test func `one that is too long is refused`() throws {
    #expect(throws: RequestTarget.Refusal.tooLong) {
      try RequestTarget("/" + String(repeating: "a", count: 4096))
    }
    _ = try RequestTarget("/" + String(repeating: "a", count: 4095))
  }

  /// `//host/` would be another host's.
  @Test func `a redirection stays on this host`() throws {
    #expect(try RequestTarget("//evil.example").asDirectory == "/evil.example/")
    #expect(try RequestTarget("/a b%25/\u{fc}?q=1").asDirectory == "/a%20b%25/%C3%BC/?q=1")
    #expect(try RequestTarget("http://host//x").asDirectory == "/x/")
  }
}
