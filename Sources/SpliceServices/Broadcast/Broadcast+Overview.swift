// What is to be known of a broadcast: by those who look after it, by what measures it, and at a glance.

import Splice

extension Broadcast: Administered {
  /// Why no viewer should be sent here now; nil when one may.
  public var unready: String? { mount.serving.connections.isClosed ? "draining" : nil }

  /// Why this process should be restarted, nil while all is well.
  public var unhealthy: String? { Heartbeat.complaint(of: threads.map(\.heartbeat)) }

  /// Tells swift-metrics what is not told when it happens. It does so by itself every few seconds.
  public func report() {
    mount.serving.report()
    mount.measures.tell(
      position: mount.fan.position, isFed: mount.source != nil, viewers: mount.places, mount.totals,
      mount.recorder?.state)
  }

  /// The source, the viewers and the recording.
  public var overview: Overview {
    let totals = mount.totals
    var tables: [Overview.Table] = []
    if let recording = mount.recorder?.state { tables.append(Self.table(of: recording)) }
    let viewers = mount.viewers
    let shown = viewers.sorted { $0.sink.counters.lag > $1.sink.counters.lag }.prefix(Self.shownViewers)
    tables.append(
      Overview.Table(
        viewers.count > Self.shownViewers ? "Viewers, the slowest" : "Viewers",
        ["client", "behind", "delivered", "skipped"],
        shown.map { viewer in
          let counters = viewer.sink.counters
          return [
            .text(viewer.client), .number(UInt64(max(0, counters.lag)), .bytes),
            .number(counters.delivered, .bytes), .number(counters.skipped, .bytes),
          ]
        }))
    var overview = Overview(
      title: "broadcast",
      places: (httpAddresses.map { "http://\($0)\(mount.options.path)" })
        + plainAddresses.map { "\($0)" },
      charts: [
        .level("Viewers", UInt64(mount.places)),
        .total("Source", mount.fan.position, in: .bytes),
        .total("To viewers", totals.delivered, in: .bytes),
        .level(
          "Furthest behind", UInt64(max(0, viewers.map(\.sink.counters.lag).max() ?? 0)), in: .bytes),
      ],
      tables: tables)
    if case .tcp(_, let port)? = httpAddresses.first {
      overview.player = Overview.Player(
        port: port, path: mount.options.path, type: mount.options.contentType)
    }
    return overview
  }

  /// So many viewers are listed.
  private static let shownViewers = 50

  private static func table(of recording: RecordingState) -> Overview.Table {
    let (isGood, word): (Bool, String) =
      switch recording.activity {
      case .recording: (true, "recording")
      case .waiting(let why): (false, why)
      case .over: (true, "ended")
      }
    return Overview.Table(
      "Recording", ["file", "state", "recorded", "files", "gaps"],
      [
        [
          .text(recording.file?.string ?? ""), .state(isGood, word), .number(recording.bytes, .bytes),
          .number(recording.files, .count), .number(recording.gaps, .count),
        ]
      ])
  }
}
