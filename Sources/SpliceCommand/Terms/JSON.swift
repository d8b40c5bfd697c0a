// JSON as the command writes it: objects on one line, members in the order given.

import Splice

/// Values as JSON.
enum JSON {
  /// An object, whose values are JSON already.
  static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\(quoted($0.0)):\($0.1)" }.joined(separator: ",") + "}"
  }

  /// A JSON string of a name. A byte that is not UTF-8, 0xNN, is U+10FENN in it, since JSON is text.
  static func quotedName(_ name: String) -> String { quoted(String(carrying: name.carriedBytes)) }

  /// A JSON string.
  static func quoted(_ text: String) -> String {
    "\""
      + text.replacingScalars { scalar in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\t": "\\t"
        case "\r": "\\r"
        // All of these have four digits.
        case _ where scalar.needsEscape: "\\u" + String(scalar.value + 0x10000, radix: 16).dropFirst()
        default: nil
        }
      } + "\""
  }

  /// An array, whose elements are JSON already.
  static func array(_ elements: [String]) -> String { "[\(elements.joined(separator: ","))]" }
}
