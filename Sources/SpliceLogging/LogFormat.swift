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
  var own, provided, handler: Logger.Metadata?
  var error: String?
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
      line.append(label, as: .name)
      line.put(":")
      fields.forEach { key, value in
        line.put(" ")
        line.append(key: key)
        line.put("=")
        line.append(value, as: .field)
      }
      line.put(" [")
      line.append(event.source, as: .name)
      line.put("] ")
      line.append(event.message.description)
    case .logfmt:
      line.put("time=")
      time.writeUTC(into: &line)
      line.put(" level=")
      line.append(event.level.rawValue)
      line.put(" logger=")
      line.append(label, as: .word)
      line.put(" source=")
      line.append(event.source, as: .word)
      line.put(" msg=")
      line.append(event.message.description, as: .word)
      fields.forEach { key, value in
        line.put(" ")
        line.append(key: isTaken(key) ? "_" + key : key)
        line.put("=")
        line.append(value, as: .word)
      }
    case .json:
      line.put("{\"time\":\"")
      time.writeUTC(into: &line)
      line.put("\",\"level\":\"")
      line.append(event.level.rawValue)
      line.put("\",\"logger\":")
      line.append(label, as: .json)
      line.put(",\"source\":")
      line.append(event.source, as: .json)
      line.put(",\"message\":")
      line.append(event.message.description, as: .json)
      fields.forEach { key, value in
        line.put(",")
        // What an event says of itself must not pass for when and how bad it was.
        line.append(isTaken(key) ? "_" + key : key, as: .json)
        line.put(":")
        line.append(json: value)
      }
      line.put("}")
    }
    line.put("\n")
  }

  /// Whether a key is one of the line's own, or would be that of a field that is.
  private func isTaken(_ key: String) -> Bool {
    switch key.utf8.first == UInt8(ascii: "_") ? String(key.drop { $0 == "_" }) : key {
    case "time", "level", "logger", "source": true
    case "msg": self == .logfmt
    case "message": self == .json
    default: false
    }
  }
}

extension Fields {
  /// Each key once, in order, with what the first says who knows it.
  func forEach(_ body: (String, Logger.Metadata.Value) -> Void) {
    let most = (own?.count ?? 0) + (provided?.count ?? 0) + (handler?.count ?? 0) + (error == nil ? 0 : 1)
    if most == 0 { return }
    // Of the stack, where they are few.
    unsafe withUnsafeTemporaryAllocation(of: Field.self, capacity: most) { memory in
      var fields = unsafe UnsafeMutableBufferPointer(rebasing: memory[..<0])
      func add(_ key: String, _ value: Logger.Metadata.Value, _ rank: UInt8) {
        var place = fields.count
        unsafe fields = UnsafeMutableBufferPointer(rebasing: memory[...place])
        // Few find their places one by one.
        while most <= Self.few, place > 0, unsafe key < fields[place - 1].key {
          unsafe fields.initializeElement(at: place, to: fields.moveElement(from: place - 1))
          place -= 1
        }
        unsafe fields.initializeElement(at: place, to: Field(key: key, value: value, rank: rank))
      }
      if let error { add("error.message", .string(error), 0) }
      if let own { for (key, value) in own { add(key, value, 1) } }
      if let provided { for (key, value) in provided { add(key, value, 2) } }
      if let handler { for (key, value) in handler { add(key, value, 3) } }
      if most > Self.few { unsafe fields.sort { $0.key == $1.key ? $0.rank < $1.rank : $0.key < $1.key } }
      for index in fields.indices where unsafe index == 0 || fields[index - 1].key != fields[index].key {
        unsafe body(fields[index].key, fields[index].value)
      }
      unsafe fields.deinitialize()
    }
  }

  private static let few = 12

  private struct Field {
    let key: String
    let value: Logger.Metadata.Value
    /// 0 for who says most.
    let rank: UInt8
  }
}

extension LineBuffer {
  /// A key, in which no character ends it.
  fileprivate mutating func append(key: String) {
    var bytes = key
    let found = bytes.withUTF8 { unsafe ByteKinds(of: $0) }
    if found.isSubset(of: .bracket), !key.isEmpty { return append(key) }
    if key.isEmpty { put("_") }
    for scalar in key.unicodeScalars {
      let isOfWords = scalar != " " && scalar != "=" && scalar != "\"" && !scalar.needsEscape
      append(isOfWords ? String(scalar) : "_")
    }
  }

  /// A value; one that has others in it is written as JSON, in a line as well.
  fileprivate mutating func append(_ value: Logger.Metadata.Value, as style: TextStyle) {
    switch value {
    case .string(let text): append(text, as: style)
    case .stringConvertible(let value): append(value.description, as: style)
    case .array, .dictionary:
      var nested = LineBuffer()
      nested.append(json: value)
      append(String(decoding: nested.contents, as: UTF8.self), as: style)
    }
  }

  /// Values in values, as deep as anybody reads.
  fileprivate mutating func append(json value: Logger.Metadata.Value, depth: Int = 0) {
    if depth > 64 { return put("\"...\"") }
    switch value {
    case .string(let text): append(text, as: .json)
    case .stringConvertible(let value): append(value.description, as: .json)
    case .array(let values):
      put("[")
      for (index, value) in values.enumerated() {
        if index > 0 { put(",") }
        append(json: value, depth: depth + 1)
      }
      put("]")
    case .dictionary(let values):
      put("{")
      for (index, (key, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { put(",") }
        append(key, as: .json)
        put(":")
        append(json: value, depth: depth + 1)
      }
      put("}")
    }
  }
}
#endif
