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
      line.append(label)
      line.put(":")
      fields.forEach { key, value in
        line.put(" ")
        line.append(key)
        line.put("=")
        line.append(value.text, as: .field)
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
      line.append(label, as: .word)
      line.put(" source=")
      line.append(event.source, as: .word)
      line.put(" msg=")
      line.append(event.message.description, as: .word)
      fields.forEach { key, value in
        line.put(" ")
        line.append(key: key)
        line.put("=")
        line.append(value.text, as: .word)
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
        line.append(Self.isTaken(key) ? "_" + key : key, as: .json)
        line.put(":")
        line.append(json: value)
      }
      line.put("}")
    }
    line.put("\n")
  }

  private static func isTaken(_ key: String) -> Bool {
    switch key {
    case "time", "level", "logger", "source", "message": true
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

extension Logger.MetadataValue {
  fileprivate var text: String {
    switch self {
    case .string(let text): text
    case .stringConvertible(let value): value.description
    default: description
    }
  }
}

extension LineBuffer {
  /// A key of logfmt, in which no character ends it.
  fileprivate mutating func append(key: String) {
    var bytes = key
    if bytes.withUTF8({ unsafe ByteKinds(of: $0) }).isSubset(of: .bracket) { return append(key) }
    for scalar in key.unicodeScalars {
      let isOfWords = scalar != " " && scalar != "=" && scalar != "\"" && !scalar.needsEscape
      append(isOfWords ? String(scalar) : "_")
    }
  }

  fileprivate mutating func append(json value: Logger.Metadata.Value) {
    switch value {
    case .string, .stringConvertible: append(value.text, as: .json)
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
        append(key, as: .json)
        put(":")
        append(json: value)
      }
      put("}")
    }
  }
}
#endif
