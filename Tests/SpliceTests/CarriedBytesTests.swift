// Bytes in text: every name comes out as it went in.

import Splice
import SystemPackage
import Testing

@Suite struct CarriedBytesTests {
  /// Plain text, cut and overlong UTF-8, surrogates, control characters, and scalars that carry bytes
  /// themselves.
  private static let names: [[UInt8]] =
    [
      "", "plain", "\u{e4}\u{10ffff}", "a\u{301}", "\u{10fe00}\u{10fe80}\u{10feff}\u{10ff00}",
      "a\nb\u{7f}\t\u{1b}[31m",
    ].map { Array($0.utf8) } + [
      [0xff], [0x63, 0xfe], [0xc3], [0xe2, 0x82, 0x41], [0xed, 0xa0, 0x80], [0xc0, 0x8a], [0xf4, 0x8f, 0xba],
      [0xf4, 0x90, 0x80, 0x80], Array(0...255), Array((0...255).reversed()),
    ]

  @Test(arguments: names) func `bytes come out as they went in`(_ name: [UInt8]) {
    for controls in [false, true] {
      let text = String(carrying: name, controls: controls)
      #expect(text.carriedBytes == name)
      // Carried again, as text that was never a name, it comes out as that text.
      #expect(String(carrying: text.utf8).carriedBytes == Array(text.utf8))
    }
  }

  @Test func `text stays as it is`() {
    for text in ["", "a:b/c", "\u{e4}\u{65e5}\u{672c}\u{1f600}"] {
      #expect(String(carrying: text.utf8, controls: true) == text)
    }
    #expect(String(carrying: "a\n".utf8) == "a\n")
    #expect(
      !String(carrying: "a\n\u{1b}\u{7f}".utf8, controls: true).unicodeScalars.contains { $0.value < 0x20 })
  }

  @Test func `printed, it is the name`() {
    for name in Self.names {
      let text = String(carrying: name, controls: true)
      // A backslash in text is not doubled, and there is none here.
      if !name.contains(0x5c) { #expect(text.escaped == name.escaped) }
      #expect(text.escaped.escaped == text.escaped)
    }
    #expect([0xf4, 0x8f, 0xba, 0x80].escaped == "\\xf4\\x8f\\xba\\x80")
    #expect(String(carrying: [0x63, 0xff]).escaped == "c\\xff")
  }

  @Test(arguments: [
    ("a/b", "a/b"), ("a//b", "a/b"), ("a/", "a/."), ("a//", "a/."), ("/", "/."), ("", ""), ("a/.", "a/."),
    ("..", ".."),
  ])
  func `a name becomes a path`(_ name: String, _ path: String) {
    #expect(FilePath(bytes: name.utf8) == FilePath(path))
  }

  @Test func `paths are bytes`() {
    let path = FilePath(bytes: [0x63, 0xff, 0])
    #expect(path.length == 2 && path != FilePath(bytes: [0x63, 0xfe]))
  }
}
