// What every flow can be told: one set for all of them, in tasks and on threads.

/// How a flow goes about its work. Each of these holds for every flow of this library, in a task and on a
/// thread.
///
/// ```swift
/// let progress = ByteMeter()
/// let slow = Pace(bytesPerSecond: 1 << 20)
/// try await pipe.forward(
///   from: socket, to: file, options: FlowOptions(pace: slow, idle: .seconds(30), meter: progress))
/// ```
public struct FlowOptions: Sendable {
  /// Which paths may be used.
  public var via: PathChoice
  /// How fast bytes are taken from the source. Flows that share one are together as fast as that.
  public var pace: Pace?
  /// The flow ends with ``SpliceError/timedOut`` when no byte has moved for this long, or up to a quarter
  /// longer; a pause of the pace is not counted, and a peer that takes what its socket has accepted is not
  /// idle. Swift code that gives or takes bytes is not interrupted.
  public var idle: Duration?
  /// Counts the bytes while they pass, for other tasks to read.
  public var meter: ByteMeter?
  /// What a sink does while the flow waits for its source.
  public var whenSinkCloses: SinkClosing

  /// What becomes of a flow that waits for its source, when its sink can be written to, and its peer has
  /// ended its own half.
  ///
  /// A sink that has failed (a connection that was reset, a pipe or unix socket without a reader) ends a flow
  /// at once, in any case. A ``Duplex`` reads both of its ends, and takes the end of one for just that: it
  /// ends at once with a socket that has failed.
  public enum SinkClosing: Sendable, Hashable {
    /// It goes on: the peer of a TCP connection that has said everything may well still read, as a client
    /// that has sent its request does.
    case goOn
    /// It ends with EPIPE as ``SpliceError/sink(_:)``: for peers that only read, and have left when they
    /// close.
    case end
  }

  /// The usual, but for what is named.
  public init(
    via: PathChoice = .automatic, pace: Pace? = nil, idle: Duration? = nil, meter: ByteMeter? = nil,
    whenSinkCloses: SinkClosing = .goOn
  ) {
    self.via = via
    self.pace = pace
    self.idle = idle
    self.meter = meter
    self.whenSinkCloses = whenSinkCloses
  }

  /// Nothing in them keeps bytes from going another way than through the flow.
  var isUsual: Bool {
    via == .automatic && pace == nil && idle == nil && meter == nil
  }
}
