// The log as lines, for people or for machines. What comes from outside cannot forge a line, nor a field of
// one.

#if Services
import ArgumentParser
import CSplice
import Logging
import Splice

/// How a line of the log is written.
enum LogFormat: String, ExpressibleByArgument, CaseIterable {
  /// `TIME LEVEL LABEL: KEY=VALUE... [SOURCE] MESSAGE`
  case text
  /// A JSON object.
  case json
}

/// Writes each event of the log as a line.
struct LineLog: LogHandler {
  private let label: String
  private let format: LogFormat
  private let writer: LogWriter
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?

  init(label: String, _ format: LogFormat, to writer: LogWriter) {
    (self.label, self.format, self.writer) = (label, format, writer)
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
    if let own = event.metadata { all.merge(own) { $1 } }
    if let error = event.error { all["error.message"] = "\(error)" }
    let fields = all.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
    writer.write(format.line(event.level, label, fields, source: event.source, "\(event.message)"))
  }
}

extension LogFormat {
  /// One line of the log, written now.
  func line(
    _ level: Logger.Level, _ label: String, _ fields: [(String, String)] = [], source: String,
    _ message: String
  ) -> String {
    switch self {
    case .text:
      let words = fields.map { " \($0.escaped)=\(Self.field($1))" }.joined()
      return "\(CalendarTime.now.local) \(level) \(label):\(words) [\(source)] \(message.escaped)"
    case .json:
      let head = [
        ("time", CalendarTime.now.utc), ("level", level.rawValue), ("logger", label), ("message", message),
      ]
      // What an event says of itself must not pass for when and how bad it was.
      let taken = Set(head.map(\.0))
      let rest = fields.map { (taken.contains($0) ? "_" + $0 : $0, $1) }
      return Report.object((head + rest).map { ($0, Report.quoted($1)) })
    }
  }

  /// A value of a line of text. It is quoted when its own words could pass for another field, or for the
  /// message.
  private static func field(_ value: String) -> String {
    let value = value.escaped
    let scalars = value.unicodeScalars
    let isPlain =
      !scalars.contains("=") && !scalars.contains("\"") && !(scalars.contains(" ") && scalars.contains("["))
    return isPlain
      ? value : "\"" + value.replacingScalars { $0 == "\"" || $0 == "\\" ? "\\\($0)" : nil } + "\""
  }
}
#endif
