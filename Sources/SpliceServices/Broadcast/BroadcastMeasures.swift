// What a broadcast tells swift-metrics, under names and in units as Prometheus has them.

import CoreMetrics
import Splice

/// What is measured of a broadcast.
struct BroadcastMeasures: Sendable {
  /// Viewers that came; clients that found no place, that could not be served, that were let go.
  let viewersTotal, tooMany, notServed, tooSlow, recordingLost: Counter
  private let viewers, isFed, isRecording: Meter
  private let source, delivered, skipped, replayed: Total
  private let recorded, files, gaps, missed: Total
  private let lag: Recorder

  private typealias Recorder = CoreMetrics.Recorder

  /// A counter that is told from time to time.
  private struct Total: Sendable {
    let counter: Counter
    let told = Locked<UInt64>(0)

    func tell(_ now: UInt64) {
      let more = told.withLock { told in
        defer { told = max(told, now) }
        return now - min(told, now)
      }
      if more > 0 { counter.increment(by: more) }
    }
  }

  init(of path: String, _ factory: any MetricsFactory) {
    let mount = ("mount", path)
    func counter(_ name: String, _ dimensions: (String, String)...) -> Counter {
      Counter(label: "splice_broadcast_\(name)_total", dimensions: [mount] + dimensions, factory: factory)
    }
    func meter(_ name: String) -> Meter {
      Meter(label: "splice_broadcast_\(name)", dimensions: [mount], factory: factory)
    }
    func total(_ name: String) -> Total { Total(counter: counter(name)) }
    viewersTotal = counter("viewers")
    tooMany = counter("refused", ("reason", "full"))
    notServed = counter("refused", ("reason", "failed"))
    tooSlow = counter("detached", ("reason", "too_slow"))
    recordingLost = counter("detached", ("reason", "recording_lost"))
    viewers = meter("viewers_now")
    isFed = meter("source_connected")
    isRecording = meter("recording")
    source = total("source_bytes")
    delivered = total("delivered_bytes")
    skipped = total("skipped_bytes")
    replayed = total("replayed_bytes")
    recorded = total("recorded_bytes")
    files = total("recording_files")
    gaps = total("recording_gaps")
    missed = total("recording_missed_bytes")
    lag = Recorder(
      label: "splice_broadcast_lag_bytes", dimensions: [mount], aggregate: true, factory: factory)
  }

  func tell(
    position: UInt64, isFed: Bool, viewers: Int, _ totals: Totals, _ recording: RecordingState?
  ) {
    source.tell(position)
    self.isFed.set(isFed ? 1 : 0)
    self.viewers.set(viewers)
    delivered.tell(totals.delivered)
    skipped.tell(totals.skipped)
    replayed.tell(totals.replayed)
    guard let recording else { return }
    isRecording.set(recording.activity == .recording ? 1 : 0)
    recorded.tell(recording.bytes)
    files.tell(recording.files)
    gaps.tell(recording.gaps)
    missed.tell(recording.missed)
  }

  /// How far behind each viewer is.
  func tellLags(of viewers: [Viewing]) {
    for viewer in viewers { lag.record(max(0, viewer.sink.counters.lag)) }
  }
}

extension Broadcast {
  /// What each of a broadcast's metrics is, by name, for a backend that tells.
  public static let metricsHelp = [
    "splice_broadcast_viewers_total": "Viewers that have come.",
    "splice_broadcast_viewers_now": "Viewers that are there.",
    "splice_broadcast_refused_total": "Clients that did not become viewers, by the reason.",
    "splice_broadcast_detached_total": "Viewers that were let go, by the reason.",
    "splice_broadcast_source_connected": "Whether there is a source.",
    "splice_broadcast_source_bytes_total": "Bytes of the stream.",
    "splice_broadcast_delivered_bytes_total": "Bytes that viewers have accepted.",
    "splice_broadcast_skipped_bytes_total": "Bytes that viewers have missed.",
    "splice_broadcast_replayed_bytes_total": "Bytes that viewers were given from the recording.",
    "splice_broadcast_lag_bytes": "How far behind viewers are, each looked at every few seconds.",
    "splice_broadcast_recording": "Whether the stream is being recorded.",
    "splice_broadcast_recorded_bytes_total": "Bytes that were recorded.",
    "splice_broadcast_recording_files_total": "Files that are whole.",
    "splice_broadcast_recording_gaps_total": "Times that were not recorded.",
    "splice_broadcast_recording_missed_bytes_total": "Bytes that were not recorded.",
  ].merging(Serving.metricsHelp(of: "broadcast")) { one, _ in one }
    .merging(Serving.metricsHelp(of: "broadcast_source")) { one, _ in one }
}
