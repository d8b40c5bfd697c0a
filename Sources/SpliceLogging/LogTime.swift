// The time of a line, written digit by digit.

#if Logging
import CSplice
import Synchronization

/// When an event was.
struct LogTime {
  private let seconds, milliseconds: Int

  /// C: `clock_gettime` with CLOCK_REALTIME
  static var now: LogTime {
    var time = timespec()
    // Written by the call.
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return LogTime(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
  }

  init(seconds: Int, milliseconds: Int = 0) { (self.seconds, self.milliseconds) = (seconds, milliseconds) }

  /// `2026-11-30T11:48:08.123Z`, as RFC 3339 has it.
  func writeUTC(into line: inout LineBuffer) {
    Self.write(seconds, into: &line)
    line.put(".")
    line.append(milliseconds, digits: 3)
    line.put("Z")
  }

  /// `2026-11-30T12:48:08+0100`: the clock on the wall.
  func writeLocal(into line: inout LineBuffer) {
    let offset = Self.offset(at: seconds)
    Self.write(seconds + offset * 60, into: &line)
    line.put(offset < 0 ? "-" : "+")
    line.append(abs(offset) / 60, digits: 2)
    line.append(abs(offset) % 60, digits: 2)
  }

  private static func write(_ seconds: Int, into line: inout LineBuffer) {
    // Also before 1970, where a clock that was not set yet may be.
    let day = (seconds - (seconds < 0 ? 86399 : 0)) / 86400
    let second = seconds - day * 86400
    let (year, month, dayOfMonth) = date(day)
    line.append(year, digits: year > 9999 ? 5 : 4)
    line.put("-")
    line.append(month, digits: 2)
    line.put("-")
    line.append(dayOfMonth, digits: 2)
    line.put("T")
    line.append(second / 3600, digits: 2)
    line.put(":")
    line.append(second / 60 % 60, digits: 2)
    line.put(":")
    line.append(second % 60, digits: 2)
  }

  /// The date so many days after 1 January 1970. Years begin in March here, so that a leap day is the last of
  /// one.
  private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
    let day = days + 719_468
    let era = day / 146_097, dayOfEra = day % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    return (
      yearOfEra + era * 400 + (month < 10 ? 0 : 1), month < 10 ? month + 3 : month - 9,
      dayOfYear - (153 * month + 2) / 5 + 1
    )
  }

  /// How far the clock on the wall is from UTC, in minutes: asked once in a quarter of an hour, as it changes
  /// at no other moment.  C: `localtime_r`
  private static func offset(at seconds: Int) -> Int {
    let quarter = UInt64(truncatingIfNeeded: seconds / 900) & (1 << 48 - 1)
    let known = cache.load(ordering: .relaxed)
    if known >> 16 == quarter { return Int(Int16(truncatingIfNeeded: known)) }
    var time = time_t(seconds)
    var parts = unsafe tm()
    // Both are written by the call.
    _ = unsafe localtime_r(&time, &parts)
    let offset = unsafe parts.tm_gmtoff / 60
    cache.store(quarter << 16 | UInt64(UInt16(truncatingIfNeeded: offset)), ordering: .relaxed)
    return offset
  }

  private static let cache = Atomic<UInt64>(.max)
}
#endif
