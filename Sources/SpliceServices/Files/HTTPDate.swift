// Dates as HTTP has them.  RFC 9110, 5.6.7

/// A second, in seconds since 1970.
struct HTTPDate: Sendable, Hashable, Comparable, CustomStringConvertible {
  let seconds: Int64

  init(seconds: Int64) { self.seconds = seconds }

  static func < (one: Self, other: Self) -> Bool { one.seconds < other.seconds }

  private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// `Sun, 06 Nov 1994 08:49:37 GMT`
  var description: String {
    let (day, second) = (seconds.floorDivided(by: 86_400), seconds.floorRemainder(by: 86_400))
    let (year, month, date) = Self.civil(day)
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let name = Self.days[Int(day.floorRemainder(by: 7))]
    let time = "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
    let digits = String(year)
    let years = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    return "\(name), \(two(date)) \(Self.months[Int(month) - 1]) \(years) \(time) GMT"
  }

  /// Any of the three forms; nil for what is none of them. Of a year with two digits it is told by `now`
  /// whether it is past.
  init?(_ text: some StringProtocol, now: HTTPDate) {
    let words = text.split { " ,-".contains($0) }
    // Sun, 06 Nov 1994 08:49:37 GMT | Sunday, 06-Nov-94 08:49:37 GMT | Sun Nov  6 08:49:37 1994
    let isC = words.count == 5
    guard isC || words.count == 6 && words[5] == "GMT" else { return nil }
    let (date, month, year, time) =
      isC ? (words[2], words[1], words[4], words[3]) : (words[1], words[2], words[3], words[4])
    let clock = time.split(separator: ":", omittingEmptySubsequences: false)
    guard let date = Self.number(date), let month = Self.months.firstIndex(of: String(month)),
      var whole = Self.number(year), clock.count == 3, clock.allSatisfy({ $0.utf8.count == 2 }),
      let hour = Self.number(clock[0]), let minute = Self.number(clock[1]),
      let second = Self.number(clock[2]),
      (1...31).contains(date), hour < 24, minute < 60, second < 61,
      year.utf8.count == 4 || year.utf8.count == 2 && !isC
    else { return nil }
    if year.utf8.count == 2 {
      let this = Self.civil(now.seconds.floorDivided(by: 86_400)).year
      whole += this - this % 100
      // More than fifty years ahead is the past.
      if whole > this + 50 { whole -= 100 }
    }
    let day = Self.day(whole, Int64(month + 1), date)
    // No 31st of April.
    guard Self.civil(day) == (whole, Int64(month + 1), date) else { return nil }
    seconds = day * 86_400 + hour * 3600 + minute * 60 + second
  }

  private static func number(_ word: some StringProtocol) -> Int64? {
    word.utf8.count <= 4 && word.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      ? Int64(word) : nil
  }

  /// The date of a day since 1970: years begin in March, so that a leap day is the last.
  private static func civil(_ day: Int64) -> (year: Int64, month: Int64, date: Int64) {
    let shifted = day + 719_468
    let era = shifted.floorDivided(by: 146_097)
    let ofEra = shifted - era * 146_097
    let year = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * year + year / 4 - year / 100)
    let month = (5 * ofYear + 2) / 153
    let date = ofYear - (153 * month + 2) / 5 + 1
    let civil = month < 10 ? month + 3 : month - 9
    return (year + era * 400 + (civil <= 2 ? 1 : 0), civil, date)
  }

  private static func day(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted.floorDivided(by: 400)
    let ofEra = shifted - era * 400
    let ofYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date - 1
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
  }
}

extension Int64 {
  fileprivate func floorDivided(by divisor: Int64) -> Int64 { (self - floorRemainder(by: divisor)) / divisor }

  fileprivate func floorRemainder(by divisor: Int64) -> Int64 {
    let rest = self % divisor
    return rest < 0 ? rest + divisor : rest
  }
}
