// The log for machines: a JSON object a line, on standard error.

import Glibc
import Logging
import Splice

/// Writes each event of the log as a line of JSON.
struct JSONLog: LogHandler {
  let label: String
  var logLevel = Logger.Level.info
  var metadata: Logger.Metadata = [:]
  var metadataProvider: Logger.MetadataProvider?

  init(label: String) { self.label = label }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    StandardDescriptors.complain(line(event, at: Self.now))
  }

  func line(_ event: LogEvent, at time: String) -> String {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
    if let own = event.metadata { all.merge(own) { $1 } }
    let head = [
      ("time", time), ("level", event.level.rawValue), ("logger", label), ("message", "\(event.message)"),
    ]
    // What an event says of itself must not pass for when and how bad it was.
    let taken = Set(head.map(\.0))
    let rest = all.sorted { $0.key < $1.key }.map {
      (taken.contains($0.key) ? "_" + $0.key : $0.key, "\($0.value)")
    }
    return Report.object((head + rest).map { ($0, Report.quoted($1)) })
  }

  /// As RFC 3339 has it, in UTC.
  private static var now: String {
    var time = timespec()
    var parts = unsafe tm()
    // Both are written by the call and by nobody else; the name of the zone, which `tm` points to, is not read.
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    unsafe gmtime_r(&time.tv_sec, &parts)
    let date = unsafe [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday].map { digits($0, 2) }
    let clock = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec].map { digits($0, 2) }
    let fraction = digits(Int32(time.tv_nsec / 1_000_000), 3)
    return "\(date.joined(separator: "-"))T\(clock.joined(separator: ":")).\(fraction)Z"
  }

  private static func digits(_ number: Int32, _ count: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, count - text.count)) + text
  }
}
