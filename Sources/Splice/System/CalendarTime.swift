// The time on the calendar, for people to read: nothing is ever waited for by it.

import CSplice
import SystemPackage

/// A time on the calendar.
package struct CalendarTime: Sendable, Hashable {
  package let seconds: Int
  private let nanosecond: Int
  private var milliseconds: Int { nanosecond / 1_000_000 }

  /// Since 1970.
  package var nanoseconds: Int64 { Int64(seconds) * 1_000_000_000 + Int64(nanosecond) }

  /// C: `clock_gettime` with CLOCK_REALTIME
  package static var now: CalendarTime {
    var time = timespec()
    // Written by the call.
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return CalendarTime(seconds: time.tv_sec, nanosecond: time.tv_nsec)
  }

  /// A time of which only the second is known.
  package init(seconds: Int) { (self.seconds, nanosecond) = (seconds, 0) }

  private init(seconds: Int, nanosecond: Int) { (self.seconds, self.nanosecond) = (seconds, nanosecond) }

  /// For a table, in UTC.
  package var minutes: String { unsafe text("%Y-%m-%d %H:%M", gmtime_r) }

  /// As RFC 3339 has it, in UTC.
  package var utc: String {
    unsafe text("%Y-%m-%dT%H:%M:%S", gmtime_r) + ".\(String(milliseconds + 1000).dropFirst())Z"
  }

  /// As web servers have it in their logs, in UTC.
  package var common: String { unsafe text("%d/%b/%Y:%H:%M:%S +0000", gmtime_r) }

  /// In UTC, for the name of a file.
  package var compact: String { unsafe text("%Y%m%dT%H%M%SZ", gmtime_r) }

  /// The clock on the wall, with its distance from UTC.
  package var local: String { unsafe text("%Y-%m-%dT%H:%M:%S%z", localtime_r) }

  private func text(
    _ format: String,
    _ convert: (UnsafePointer<time_t>, UnsafeMutablePointer<tm>) -> UnsafeMutablePointer<tm>?
  ) -> String {
    var seconds = time_t(seconds)
    var parts = unsafe tm()
    // Both are written by the call and by nobody else; the name of the zone, which `tm` points to, is the C
    // library's.
    _ = unsafe convert(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 64)
    let count = unsafe strftime(&text, text.count, format, &parts)
    return String(decoding: text.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
