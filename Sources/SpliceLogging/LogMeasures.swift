// What a metrics backend hears of a log.

#if Logging
import CoreMetrics
import Splice

extension PageWriter.Options {
  /// Tells a metrics backend what becomes of records, beside whoever is told already: how many were written
  /// and dropped, in `NAME_written_total` and `NAME_dropped_total`, and for how long the oldest of those that
  /// were written last had waited, in `NAME_lag_seconds`.
  public mutating func measure(
    as name: String = "log", in factory: any MetricsFactory = MetricsSystem.factory
  ) {
    let written = Counter(label: "\(name)_written_total", factory: factory)
    let dropped = Counter(label: "\(name)_dropped_total", factory: factory)
    let lag = Gauge(label: "\(name)_lag_seconds", factory: factory)
    let (others, othersDropped) = (whenWritten, whenDropped)
    whenWritten = { records, waited in
      written.increment(by: records)
      lag.record(waited / .seconds(1))
      others?(records, waited)
    }
    whenDropped = { records in
      dropped.increment(by: records)
      othersDropped?(records)
    }
  }

  /// What the metrics of a name are.
  public static func metricsHelp(of name: String = "log") -> [String: String] {
    [
      "\(name)_written_total": "Lines of a log that were written.",
      "\(name)_dropped_total": "Lines of a log that were dropped because nobody took them fast enough.",
      "\(name)_lag_seconds": "How long the oldest of the lines that were written last had waited.",
    ]
  }
}
#endif
