// Names and text as they are printed: one line each, nothing a terminal acts on, and names that can be told
// apart.

import Splice
import Testing

@Suite struct EscapedTests {
  @Test(arguments: [
    ("plain text, ümläut, 日本", "plain text, ümläut, 日本"), ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
    ("\u{1b}[31m", "\\u{1b}[31m"), ("\u{7f}\u{85}\u{9b}1m", "\\u{7f}\\u{85}\\u{9b}1m"),
    ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
    ("\u{202e}\u{2066}\u{200f}\u{61c}", "\\u{202e}\\u{2066}\\u{200f}\\u{61c}"),
    ("a\\b", "a\\b"), ("\r\n", "\\r\\n"),
  ])
  func `text is escaped`(_ text: String, _ escaped: String) {
    #expect(text.escaped == escaped)
    #expect(text.escaped.escaped == escaped)
  }

  @Test(
    arguments: [
      ([0x61, 0x0a, 0x62], "a\\nb"), ([0x63, 0xff], "c\\xff"), ([0x63, 0xfe], "c\\xfe"),
      ([0x5c, 0x6e], "\\\\n"),
      ([0xc3, 0xa4], "ä"), ([0xc3], "\\xc3"), ([0xe2, 0x82, 0x41], "\\xe2\\x82A"), ([0xc2, 0x9b], "\\u{9b}"),
      ([0x9b], "\\x9b"),
      ([0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"), ([0xc0, 0x8a], "\\xc0\\x8a"), ([], ""),
    ] as [([UInt8], String)])
  func `names are escaped`(_ name: [UInt8], _ escaped: String) {
    #expect(name.escaped == escaped)
    #expect(([9, 9] + name).dropFirst(2).escaped == escaped)
  }

  /// Whatever the bytes: one line that says which they were.
  @Test func `two names never look the same`() {
    let alphabet: [UInt8] = [0x5c, 0x78, 0x75, 0x66, 0x7b, 0x7d, 0x0a, 0xff, 0xc3, 0xa4, 0xe2, 0x80, 0xae]
    var seen: [String: [UInt8]] = [:]
    for one in alphabet {
      for two in alphabet {
        for three in alphabet {
          for name in [[one], [one, two], [one, two, three]] {
            let text = name.escaped
            #expect(seen[text] ?? name == name, "\(text)")
            #expect(text == text.escaped)
            seen[text] = name
          }
        }
      }
    }
  }
}
