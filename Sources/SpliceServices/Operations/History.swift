// The last minutes of what is drawn.

/// The last minutes of what is drawn, a point for each look.
struct History: Sendable {
  /// So many points are kept: five minutes at one look a second.
  static let length = 300

  /// One line of points: levels as they are, and of totals the rate since the look before.
  private(set) var points: [[Double]]
  private var last: (charts: [Overview.Chart], time: ContinuousClock.Instant)?

  init() { points = [] }

  /// Takes what there is now.
  mutating func look(at charts: [Overview.Chart], _ time: ContinuousClock.Instant) {
    defer { last = (charts, time) }
    if points.count != charts.count { points = charts.map { _ in [] } }
    let before = last
    let seconds = before.map { (time - $0.time) / .seconds(1) } ?? 0
    for (index, chart) in charts.enumerated() {
      var point = Double(chart.value)
      if chart.isTotal {
        guard let before, before.charts.indices.contains(index), seconds > 0 else { continue }
        let earlier = before.charts[index].value
        point = chart.value >= earlier ? Double(chart.value - earlier) / seconds : 0
      }
      points[index].append(point)
      if points[index].count > Self.length { points[index].removeFirst() }
    }
  }
}
