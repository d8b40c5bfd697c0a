// The log of a program, which does not hold it up.

#if Logging
import Logging
import Splice

/// Writes the events of a log as lines, to one or several `PageWriter`s: a call copies a line into memory
/// and waits for nobody.
///
/// ```swift
/// let file = try PageWriter(appendingTo: "/var/log/service.log")
/// LoggingSystem.bootstrap { SpliceLogHandler(label: $0, to: file) }
/// ```
///
/// What comes from outside cannot forge a line, nor a field of one: line feeds, control characters and bytes
/// that are not UTF-8 are escaped.
public struct SpliceLogHandler: LogHandler {
  private let label: String
  private let format: LogFormat
  private let writers: [PageWriter]
  /// From which level on events are written.
  public var logLevel = Logger.Level.info
  /// Fields of every line.
  public var metadata: Logger.Metadata = [:]
  /// Fields of every line, asked for each time.
  public var metadataProvider: Logger.MetadataProvider?

  /// A handler for a logger of this name. A writer that takes nothing holds up none of the others.
  public init(
    label: String, _ format: LogFormat = .text, to writers: PageWriter...,
    metadataProvider: Logger.MetadataProvider? = nil
  ) {
    (self.label, self.format, self.writers) = (label, format, writers)
    self.metadataProvider = metadataProvider
  }

  /// A field of every line.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes an event.
  public func log(event: LogEvent) {
    let fields = Fields(
      own: event.metadata, provided: metadataProvider?.get(), handler: metadata.isEmpty ? nil : metadata,
      error: event.error.map { "\($0)" })
    var line = LineBuffer()
    format.write(event, label: label, fields, at: .now, into: &line)
    for writer in writers { line.write(to: writer) }
  }
}

extension LogFormat {
  /// Makes the line, of a logger of this name, that says how many were dropped in front of it: for
  /// `PageWriter.Options.noting`.
  public func note(of label: String = "log") -> @Sendable (_ dropped: Int) -> [UInt8] {
    { dropped in
      let event = LogEvent(
        level: .warning, message: "\(dropped) log \(dropped == 1 ? "line was" : "lines were") dropped",
        metadata: nil, source: "SpliceLogging", file: #fileID, function: #function, line: #line)
      var line = LineBuffer()
      write(event, label: label, Fields(), at: .now, into: &line)
      return line.contents
    }
  }
}
#endif
