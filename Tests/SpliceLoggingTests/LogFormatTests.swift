// Lines of a log, and that nothing from outside can forge one.

import Foundation
import Logging
import Splice
import TestSupport
import Testing

@testable import SpliceLogging

@Suite struct LogFormatTests {
  private func event(_ message: String, _ metadata: Logger.Metadata? = nil) -> LogEvent {
    LogEvent(
      level: .info, message: "\(message)", metadata: metadata, source: "App", file: "App/main.swift",
      function: "main()", line: 1)
  }

  private func line(
    _ format: LogFormat, _ message: String, label: String = "app", _ own: Logger.Metadata? = nil,
    provided: Logger.Metadata? = nil, handler: Logger.Metadata? = nil, error: String? = nil
  ) -> String {
    var made = LineBuffer()
    format.write(
      event(message, own), label: label,
      Fields(own: own, provided: provided, handler: handler, error: error),
      at: LogTime(seconds: 1_000_000_000, milliseconds: 7), into: &made)
    return String(decoding: made.contents, as: UTF8.self)
  }

  @Test func `lines are as their formats have them`() {
    let text = line(.text, "it began", ["b": "2", "a": "1"])
    #expect(text.hasSuffix(" info app: a=1 b=2 [App] it began\n"))
    #expect(text.prefix(24).wholeMatch(of: /2001-09-0[89]T\d\d:46:40[+-]\d{4}/) != nil)
    #expect(
      line(.logfmt, "it began", ["b": "x y", "a": "1"])
        == "time=2001-09-09T01:46:40.007Z level=info logger=app source=App msg=\"it began\" a=1 b=\"x y\"\n")
    #expect(
      line(.json, "it began", ["b": "2", "time": "never", "list": ["x", ["y": "z"]]])
        == #"{"time":"2001-09-09T01:46:40.007Z","level":"info","logger":"app","source":"App","message":"it began","#
        + #""b":"2","list":["x",{"y":"z"}],"_time":"never"}"# + "\n")
  }

  @Test func `who says most of a field is heard`() {
    let all = line(
      .logfmt, "m", ["a": "own"], provided: ["a": "provided", "b": "provided"],
      handler: ["a": "handler", "b": "handler", "c": "handler"], error: "lost")
    #expect(all.hasSuffix(" msg=m a=own b=provided c=handler error.message=lost\n"))
    // The same of very many.
    let many = Logger.Metadata(uniqueKeysWithValues: (0..<1000).map { ("k\($0)", "\($0)") })
    let long = line(.logfmt, "m", ["k7": "own"], handler: many)
    #expect(long.split(separator: " ").count == 5 + 1000)
    #expect(long.contains(" k7=own ") && long.contains(" k999=999\n"))
  }

  /// Whatever the keys are, the label or the source.
  @Test func `a name makes no field, and no field passes for the line's own`() throws {
    let key = "x user=admin [App] fake"
    #expect(
      line(.text, "m", label: "svc: user=root [App] all is well", [key: "1"])
        .hasSuffix(#" info "svc: user=root [App] all is well": x_user_admin_[App]_fake=1 [App] m"# + "\n"))
    let own: Logger.Metadata = [
      "time": "never", "_time": "soon", "level": "critical", "msg": "no", "": "nothing",
    ]
    #expect(
      line(.logfmt, "m", own).hasSuffix(" msg=m _=nothing __time=soon _level=critical _msg=no _time=never\n"))
    #expect(
      line(.json, "m", own).hasSuffix(
        #","message":"m","":"nothing","__time":"soon","_level":"critical","msg":"no","_time":"never"}"# + "\n"
      ))
  }

  @Test(arguments: LogFormat.allCases) func `values are as deep as anybody reads`(_ format: LogFormat) throws
  {
    var value: Logger.Metadata.Value = "innermost"
    for _ in 0..<5000 { value = ["k": value] }
    let made = line(format, "m", ["deep": value, "flat": ["a", "b\n"]])
    #expect(made.hasSuffix("\n") && made.count < 2000 && !made.contains("innermost"))
    switch format {
    case .json: #expect(made.contains(#""flat":["a","b\n"]"#))
    case .text: #expect(made.contains(#" flat=["a","b\n"] "#) || made.contains(#" flat="[\"a\",\"b\\n\"]""#))
    case .logfmt: #expect(made.contains(#" flat="[\"a\",\"b\\n\"]""#))
    }
  }

  private static let hostile = [
    "two\nlines", "a\r\nb", "\u{1b}[2J", "\u{7f}\u{85}\u{9b}", "\u{2028}\u{2029}", "\u{202e}evil", "\0",
    "tab\there",
    "quote\" and \\ slash", "a=b c=d", "[other] message", "", " ", "ü€😀",
    String(decoding: [0x66, 0xff, 0x6f], as: UTF8.self),
    "\u{61c}\u{200e}\u{2066}",
  ]

  @Test(arguments: LogFormat.allCases, hostile)
  func `nothing from outside makes a line, a field or a colour`(_ format: LogFormat, _ text: String) throws {
    let made = line(format, text, label: text, [text: "\(text)"], error: text)
    #expect(made.unicodeScalars.dropLast().allSatisfy { !$0.needsEscape } && made.hasSuffix("\n"))
    switch format {
    case .json:
      let object = try #require(
        JSONSerialization.jsonObject(with: Data(made.utf8), options: .fragmentsAllowed) as? [String: Any])
      #expect(object["message"] as? String == text && object["logger"] as? String == text)
      #expect(object[text] as? String == text && object["error.message"] as? String == text)
    case .logfmt:
      // Keys and values, by a reader of the format.
      var rest = Substring(made.dropLast())
      var fields: [(String, String)] = []
      while !rest.isEmpty {
        let field = try #require(rest.prefixMatch(of: /([^ ="]*)=("((?:[^"\\]|\\.)*)"|[^ "=]*)(?: |$)/))
        fields.append((String(field.1), String(field.3 ?? field.2)))
        rest = rest[field.range.upperBound...]
      }
      #expect(fields.map(\.0).prefix(5) == ["time", "level", "logger", "source", "msg"] && fields.count == 7)
    case .text: #expect(made.contains("error.message="))
    }
  }

  @Test func `a line is as long as it gets`() {
    var random = Random(seed: 5)
    for _ in 0..<200 {
      var line = LineBuffer()
      var want = ""
      while want.utf8.count < 3000 {
        let text = String(
          repeating: ["x", "ü", "\u{1b}"].randomElement(using: &random)!,
          count: .random(in: 0...600, using: &random))
        line.append(text)
        line.put("|")
        line.append(42, digits: 4)
        want += text.escaped + "|0042"
        #expect(line.count == want.utf8.count)
      }
      #expect(line.contents == Array(want.utf8))
    }
  }

  @Test func `dates are those of the calendar`() {
    var random = Random(seed: 3)
    for _ in 0..<2000 {
      let seconds = Int.random(in: -2_000_000_000...16_725_225_600, using: &random)
      var time = time_t(seconds)
      var parts = tm()
      gmtime_r(&time, &parts)
      var want = [CChar](repeating: 0, count: 64)
      strftime(&want, want.count, "%Y-%m-%dT%H:%M:%S.000Z", &parts)
      var made = LineBuffer()
      LogTime(seconds: seconds).writeUTC(into: &made)
      #expect(Array(made.contents) == want.prefix { $0 != 0 }.map(UInt8.init))
    }
  }
}
