// One of those where clients are forwarded to: where it is, whether it answers, what went there.

import CoreMetrics
import Splice

/// One of those where clients are forwarded to.
final class Upstream: Sendable {
  let address: ServerAddress
  /// Bytes it accepted, and bytes its clients did.
  private let sent = ByteMeter(), received = ByteMeter()
  let measures: UpstreamMeasures
  private let state: Locked<State>
  /// Whether it is looked after, so that its being down is known to end.
  private let isChecked: Bool

  private struct State {
    var places: [SocketAddress]
    var health: Health
    /// Of connections that have ended.
    var traffic = Relay.Traffic()
    /// Connections now, and such as are being made.
    var active = 0
    /// When it is as good as any other again, although it did not answer.
    var forgiven: ContinuousClock.Instant?
  }

  /// How long one without health checks comes last, once it did not answer.
  private static let lastFor = Duration.seconds(10)

  init(
    _ address: ServerAddress, at places: [SocketAddress], _ options: Relay.Options,
    _ metrics: any MetricsFactory
  ) {
    self.address = address
    measures = UpstreamMeasures(of: address, metrics)
    isChecked = options.healthInterval != nil
    let health = Health(rise: isChecked ? options.healthRise : 1, fall: options.healthFall)
    state = Locked(State(places: places, health: health))
  }

  /// Every address of its name, as last known.
  var places: [SocketAddress] {
    get { state.withLock { $0.places } }
    set { state.withLock { $0.places = newValue } }
  }

  var isUp: Bool { state.withLock { $0.health.isUp } }
  var active: Int { state.withLock { $0.active } }
  var traffic: Relay.Traffic { state.withLock { $0.traffic } }

  /// When a client comes to it.
  enum Turn { case inTurn, last, never }

  var turn: Turn {
    state.withLock { state in
      if state.health.isUp { return .inTurn }
      if isChecked { return .never }
      return state.forgiven.map { $0 <= .now } == false ? .last : .inTurn
    }
  }

  /// Takes what came of trying it, and says whether it is now believed to be up when it was down, or the
  /// other way round.
  func note(_ answered: Bool) -> Bool {
    state.withLock { state in
      let hasChanged = state.health.note(answered)
      state.forgiven = state.health.isUp ? nil : .now + Self.lastFor
      return hasChanged
    }
  }

  func begin() { state.withLock { $0.active += 1 } }
  func end() { state.withLock { $0.active -= 1 } }
  func count(_ traffic: Relay.Traffic) { state.withLock { $0.traffic.add(traffic) } }
}

// MARK: - What is measured

extension Upstream {
  /// Count the bytes of its connections.
  var meters: (sent: ByteMeter, received: ByteMeter) { (sent, received) }

  /// Bytes it has accepted, and its clients, those of open connections too.
  var passed: (sent: PathCounts, received: PathCounts) { (sent.passed, received.passed) }

  /// Tells what has not been told yet.
  func report() {
    measures.active.set(active)
    measures.isUp.set(isUp ? 1 : 0)
    measures.sent.tell(sent.passed)
    measures.received.tell(received.passed)
  }
}
