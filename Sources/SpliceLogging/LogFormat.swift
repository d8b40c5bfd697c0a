// An event as a line: for people, or for machines.

#if Logging
import Logging
import Splice

/// How a line of a log is written.
public enum LogFormat: String, Sendable, Hashable, CaseIterable {
  /// `TIME LEVEL LABEL: KEY=VALUE... [SOURCE] MESSAGE`
  case text
  /// `time=TIME level=LEVEL logger=LABEL source=SOURCE msg=MESSAGE KEY=VALUE...`
  case logfmt
  /// A JSON object.
  case json
}

/// What an event says of itself, from the one that says most to the one that says least.
struct Fields {
  let own, provided, handler: Logger.Metadata?
  let error: String?
}

extension LogFormat {
  /// Writes one line, in UTC for machines.
  func write(
    _ event: LogEvent, label: String, _ fields: Fields, at time: LogTime, into line: inout LineBuffer
  ) {
    switch self {
    case .text:
      time.writeLocal(into: &line)
      line.put(" ")
      line.append(event.level.rawValue)
      line.put(" ")
      line.append(label)
      line.put(":")
      fields.forEach { key, value in
        line.put(" ")
        line.append(key)
        line.put("=")
        line.append(field: value)
      }
      line.put(" [")
      line.append(event.source)
      line.put("] ")
      line.append(event.message.description)
    case .logfmt:
      line.put("time=")
      time.writeUTC(into: &line)
      line.put(" level=")
      line.append(event.level.rawValue)
      line.put(" logger=")
      line.append(word: label)
      line.put(" source=")
      line.append(word: event.source)
      line.put(" msg=")
      line.append(word: event.message.description)
      fields.forEach { key, value in
        line.put(" ")
        line.append(key: key)
        line.put("=")
        line.append(word: value.text)
      }
    case .json:
      line.put("{\"time\":\"")
      time.writeUTC(into: &line)
      line.put("\",\"level\":\"")
      line.append(event.level.rawValue)
      line.put("\",\"logger\":")
      line.append(string: label)
      line.put(",\"source\":")
      line.append(string: event.source)
      line.put(",\"message\":")
      line.append(string: event.message.description)
      fields.forEach { key, value in
        line.put(",\"")
        // What an event says of itself must not pass for when and how bad it was.
        if Self.taken.contains(key) { line.put("_") }
        line.append(key, .json)
        line.put("\":")
        line.append(json: value)
      }
      line.put("}")
    }
    line.put("\n")
  }

  private static let taken: Set<String> = ["time", "level", "logger", "source", "message"]
}

extension Fields {
  /// Each key once, in order, with what the first says who knows it. Few are looked for; many are sorted.
  func forEach(_ body: (String, Logger.Metadata.Value) -> Void) {
    let count = (own?.count ?? 0) + (provided?.count ?? 0) + (handler?.count ?? 0) + (error == nil ? 0 : 1)
    if count == 0 { return }
    if count > Self.few {
      var all = handler ?? [:]
      if let provided { all.merge(provided) { $1 } }
      if let own { all.merge(own) { $1 } }
      if let error { all[Self.errorKey] = .string(error) }
      for (key, value) in all.sorted(by: { $0.key < $1.key }) { body(key, value) }
      return
    }
    var last: String?
    while let key = next(after: last) {
      if let value = value(of: key) { body(key, value) }
      last = key
    }
  }

  private static let few = 12
  private static let errorKey = "error.message"

  private func next(after last: String?) -> String? {
    var least: String?
    func look(_ key: String) {
      if let last, key <= last { return }
      if let known = least, known <= key { return }
      least = key
    }
    for metadata in [own, provided, handler] {
      if let metadata { for key in metadata.keys { look(key) } }
    }
    if error != nil { look(Self.errorKey) }
    return least
  }

  private func value(of key: String) -> Logger.Metadata.Value? {
    if let error, key == Self.errorKey { return .string(error) }
    return own?[key] ?? provided?[key] ?? handler?[key]
  }
}

extension Logger.MetadataValue {
  fileprivate var text: String {
    switch self {
    case .string(let text): text
    case .stringConvertible(let value): value.description
    default: description
    }
  }
}

extension String {
  /// Whether it is a word of ASCII that needs neither quotation marks nor escapes.
  fileprivate var isWord: Bool {
    !isEmpty
      && utf8.allSatisfy {
        $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: "\"")
          && $0 != UInt8(ascii: "\\")
      }
  }
}

extension LineBuffer {
  /// A value of a line of text. It is quoted when its own words could pass for another field, or for the
  /// message.
  fileprivate mutating func append(field value: Logger.Metadata.Value) {
    let text = value.text
    let scalars = text.unicodeScalars
    let isPlain =
      text.isWord
      || !scalars.contains { $0 == "=" || $0 == "\"" } && !(scalars.contains(" ") && scalars.contains("["))
    if isPlain { append(text) } else { append(quoted: text) }
  }

  private mutating func append(quoted text: String) {
    put("\"")
    append(text, .quoted)
    put("\"")
  }

  /// A value of logfmt, quoted unless it is a word.
  fileprivate mutating func append(word text: String) {
    if text.isWord { append(text) } else { append(quoted: text) }
  }

  /// A key of logfmt, in which no character ends it.
  fileprivate mutating func append(key: String) {
    if key.isWord { return append(key) }
    for scalar in key.unicodeScalars {
      let isOfWords = scalar != " " && scalar != "=" && scalar != "\"" && !scalar.needsEscape
      append(isOfWords ? String(scalar) : "_")
    }
  }

  fileprivate mutating func append(string text: String) {
    put("\"")
    append(text, .json)
    put("\"")
  }

  fileprivate mutating func append(json value: Logger.Metadata.Value) {
    switch value {
    case .string, .stringConvertible: append(string: value.text)
    case .array(let values):
      put("[")
      for (index, value) in values.enumerated() {
        if index > 0 { put(",") }
        append(json: value)
      }
      put("]")
    case .dictionary(let values):
      put("{")
      for (index, (key, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { put(",") }
        append(string: key)
        put(":")
        append(json: value)
      }
      put("}")
    }
  }
}
#endif
