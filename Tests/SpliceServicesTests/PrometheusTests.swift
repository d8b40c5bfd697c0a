// The exposition format, to the letter, and counts that are exact whoever counts.

import CoreMetrics
import Testing

@testable import SpliceServices

@Suite struct PrometheusTests {
  @Test func `every kind of metric is written to the letter`() {
    let metrics = PrometheusMetrics(help: ["clients_total": "Clients, by \\ or\nby."])
    Counter(label: "clients_total", dimensions: [("zone", "b\"\\\n"), ("area", "1")], factory: metrics)
      .increment(by: 3)
    Counter(label: "clients_total", factory: metrics).increment()
    let level = Meter(label: "level", factory: metrics)
    level.set(2.5)
    level.increment(by: 1)
    level.decrement(by: 0.25)
    Gauge(label: "2nd-level", factory: metrics).record(-7)
    let times = Timer(label: "wait_seconds", factory: metrics)
    for time: Int64 in [50_000, 100_000, 3_000_000_000, 60_000_000_000] { times.recordNanoseconds(time) }
    #expect(
      metrics.text == """
        # TYPE _2nd_level gauge
        _2nd_level -7
        # HELP clients_total Clients, by \\\\ or\\nby.
        # TYPE clients_total counter
        clients_total 1
        clients_total{area="1",zone="b\\"\\\\\\n"} 3
        # TYPE level gauge
        level 3.25
        # TYPE wait_seconds histogram
        wait_seconds_bucket{le="0.0001"} 2
        wait_seconds_bucket{le="0.00025"} 2
        wait_seconds_bucket{le="0.0005"} 2
        wait_seconds_bucket{le="0.001"} 2
        wait_seconds_bucket{le="0.0025"} 2
        wait_seconds_bucket{le="0.005"} 2
        wait_seconds_bucket{le="0.01"} 2
        wait_seconds_bucket{le="0.025"} 2
        wait_seconds_bucket{le="0.05"} 2
        wait_seconds_bucket{le="0.1"} 2
        wait_seconds_bucket{le="0.25"} 2
        wait_seconds_bucket{le="0.5"} 2
        wait_seconds_bucket{le="1"} 2
        wait_seconds_bucket{le="2.5"} 2
        wait_seconds_bucket{le="5"} 3
        wait_seconds_bucket{le="10"} 3
        wait_seconds_bucket{le="+Inf"} 4
        wait_seconds_sum 63.00015
        wait_seconds_count 4

        """)
  }

  /// A quotation mark with an accent on it is one character, and one to a parser still.
  @Test func `labels forge nothing`() {
    let metrics = PrometheusMetrics()
    let value = "a\"\u{301}} 1\r\nb\u{1b}[2J\u{7f}\u{9b}\u{2028}"
    Counter(label: "a_total", dimensions: [("x", value)], factory: metrics).increment()
    let expected = #"a_total{x="a\""# + "\u{301}" + #"} 1\\r\nb\\u{1b}[2J\\u{7f}\\u{9b}\\u{2028}"} 1"#
    #expect(metrics.text.unicodeScalars.elementsEqual("# TYPE a_total counter\n\(expected)\n".unicodeScalars))
  }

  @Test func `the same name and labels are the same metric`() {
    let metrics = PrometheusMetrics()
    Counter(label: "a_total", dimensions: [("x", "1"), ("y", "2")], factory: metrics).increment(by: 2)
    let again = Counter(label: "a_total", dimensions: [("y", "2"), ("x", "1")], factory: metrics)
    again.increment(by: 3)
    #expect(metrics.text.contains("a_total{x=\"1\",y=\"2\"} 5\n"))
    // A name is of one kind; another takes what it is told, and is not shown.
    Meter(label: "a_total", factory: metrics).set(9)
    #expect(!metrics.text.contains("9"))
    again.destroy()
    #expect(metrics.text.isEmpty)
  }

  @Test func `many threads count at once, and no count is lost`() async {
    let metrics = PrometheusMetrics()
    let counter = Counter(label: "n_total", factory: metrics)
    let level = Meter(label: "level", factory: metrics)
    let timer = Timer(label: "t_seconds", factory: metrics)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<20_000 {
            counter.increment()
            level.increment(by: 0.5)
            timer.recordNanoseconds(500_000_000)
          }
        }
      }
    }
    let lines = metrics.text.split(separator: "\n")
    #expect(lines.contains("n_total 160000") && lines.contains("level 80000"))
    #expect(lines.contains("t_seconds_count 160000") && lines.contains("t_seconds_sum 80000"))
  }
}
