// The time on the calendar, for people to read: nothing is ever waited for by it.

import CSplice
import SystemPackage

/// A time on the calendar.
package struct CalendarTime: Sendable, Hashable {
  private let seconds: Int
  private let milliseconds: Int

  /// C: `clock_gettime` with CLOCK_REALTIME
  package static var now: CalendarTime {
    var time = timespec()
    // Written by the call.
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return CalendarTime(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }

  /// As RFC 3339 has it, in UTC.
  package var utc: String {
    unsafe text("%Y-%m-%dT%H:%M:%S", gmtime_r) + ".\(String(milliseconds + 1000).dropFirst())Z"
  }

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
