// What the live page says, and what it never lets pass for its own.

import Testing

@testable import SpliceServices

@Suite struct PageTests {
  @Test(arguments: [
    (0.0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10_700_000, "10.2 MiB"),
    (1_073_741_824, "1 GiB"), (260_000_000_000, "242 GiB"), (1.8e19, "15.6 EiB"),
  ])
  func `bytes are written with their unit`(_ count: Double, _ text: String) {
    #expect(Page.amount(count, .bytes) == text)
  }

  @Test(arguments: [
    (0.0, "0"), (0.5, "0.5"), (7, "7"), (999, "999"), (1234, "1.23k"), (45_678, "45.7k"), (2e6, "2M"),
  ])
  func `counts are written with a prefix`(_ count: Double, _ text: String) {
    #expect(Page.amount(count, .count) == text)
  }

  @Test func `names from outside are escaped`() {
    let evil = "<script>alert(1)</script>&\""
    let overview = Overview(
      title: evil, places: [evil], charts: [.level(evil, 1)],
      shares: [Overview.Shares(evil, in: .bytes, [Overview.Part(evil, 1)])],
      tables: [Overview.Table(evil, [evil], [[.text(evil)], [.state(false, evil)]])])
    let html = Page(overview: overview, unready: evil, points: [[1]]).html
    #expect(!html.contains("<script>alert"))
    #expect(
      html.split(
        separator: "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;", omittingEmptySubsequences: false
      ).count == 13)
  }

  @Test func `the history keeps levels and rates`() {
    var history = History()
    let start = ContinuousClock.now
    for second in 0..<400 {
      history.look(
        at: [.level("a", UInt64(second)), .total("b", UInt64(second * second), in: .bytes)],
        start + .seconds(second))
    }
    #expect(history.points.map(\.count) == [300, 300])
    #expect(history.points[0].last == 399 && history.points[0].first == 100)
    #expect(history.points[1].last == 797)
    // One that begins anew has no negative rate.
    history.look(at: [.level("a", 0), .total("b", 3)], start + .seconds(400))
    #expect(history.points[1].last == 0)
  }
}
