// Dates in three forms.

import Testing

@testable import SpliceServices

struct HTTPDateTests {
  private let now = HTTPDate(seconds: 1_790_000_000)

  @Test(arguments: [
    "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
  ])
  func `all three forms are read`(_ text: String) {
    #expect(HTTPDate(text, now: now) == HTTPDate(seconds: 784_111_777))
  }

  @Test(arguments: [
    "", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 31 Apr 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
    "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 19944 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT",
    "Sun Nov  6 08:49:37 94", "Sun, 6 Nov 1994 8:49:37 GMT",
  ])
  func `what is no date is none`(_ text: String) { #expect(HTTPDate(text, now: now) == nil) }

  @Test func `two digits of a year are at most fifty years ahead`() {
    let text = "Sunday, 06-Nov-75 08:49:37 GMT"
    #expect(HTTPDate(text, now: now)?.description.contains("2075") == true)
    #expect(HTTPDate("Sunday, 06-Nov-77 08:49:37 GMT", now: now)?.description.contains("1977") == true)
  }

  @Test func `every day is written as it is read`() {
    for day in stride(from: Int64(-200_000), through: 2_000_000, by: 37) {
      let date = HTTPDate(seconds: day * 86_400 + 12_345)
      #expect(HTTPDate(date.description, now: now) == date, "\(date)")
    }
    #expect(HTTPDate(seconds: 0).description == "Thu, 01 Jan 1970 00:00:00 GMT")
    #expect(HTTPDate(seconds: 951_782_400).description == "Tue, 29 Feb 2000 00:00:00 GMT")
  }
}
