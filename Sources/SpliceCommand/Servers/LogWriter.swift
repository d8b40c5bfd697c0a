// The log's way to standard error, or to a file: a thread that logs never waits.

#if Services
import CoreMetrics
import Splice
import SpliceLogging
import SystemPackage

/// Lines of a log, in the order in which they came. Those that nobody takes fast enough are dropped and
/// counted: in the log itself, as soon as it is written again, and in a metric.
struct LogWriter: Sendable {
  let records: PageWriter

  /// What its metrics are, by name.
  static let metricsHelp = PageWriter.Options.metricsHelp(of: "splice_log")

  /// Where lines go.
  enum Target {
    /// It stays open.
    case descriptor(FileDescriptor)
    /// Appended to, and made if it is not there.
    case file(FilePath)
  }

  /// Begins one, whose metrics have a name. `noting` makes the line that says how many were dropped; `refused` is
  /// told what a file or who reads it has against lines.
  init(
    _ metrics: any MetricsFactory, as name: String = "splice_log", to target: Target,
    noting: @escaping @Sendable (_ dropped: Int) -> [UInt8],
    refused: (@Sendable (Errno) -> Void)? = nil
  ) throws(Errno) {
    var options = PageWriter.Options()
    (options.capacity, options.noting, options.whenRefused) = (1 << 19, noting, refused)
    options.measure(as: name, in: metrics)
    switch target {
    case .descriptor(let number):
      // People watch it.
      options.flushInterval = .zero
      records = try PageWriter(Descriptor(owning: Syscall.duplicate(number)), options: options)
    case .file(let path): records = try PageWriter(appendingTo: path, options: options)
    }
  }

  /// Queues a line, and drops it when there is no room. Never waits.
  func write(_ text: String) { records.write(text + "\n") }

  /// Gives what is queued a bounded time to be written.
  func finish() { records.flush(for: .seconds(1)) }
}
#endif
