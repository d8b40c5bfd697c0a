// Decides what a flow does next. Opens nothing, waits for nothing: an event goes in, an action comes out.
//
// The whole of it rests on one fact: an empty pipe has room. So a fill that would block while the pipe is
// empty means that the source is dry, and only then is the source waited for. While bytes are in the pipe
// they are drained first, and only the sink is waited for.

/// The course of one flow, from a source through a pipe to a sink.
struct FlowMachine: Sendable, Hashable {
  /// What to do next.
  enum Action: Sendable, Hashable {
    /// Take up to this many bytes from the source; `small` ones are better copied.
    case fill(upTo: Int, small: Bool)
    /// Hand over this many bytes, which is all there are.
    case drain(Int)
    /// Wait until the source has something.
    case waitSource
    /// Wait until the sink takes something.
    case waitSink
    /// A fair share has moved: let others have a turn.
    case yield
    /// Everything has moved that was to move.
    case finish
  }

  /// What has happened.
  enum Event: Sendable, Hashable {
    /// The flow begins.
    case proceed
    /// The others have had their turn; or the flow begins, and what is held goes out first.
    case rested
    /// The source was waited for. After its last edge, neither a short read nor a splice that would block
    /// proves that it is dry: the end or urgent data may stand before more.
    case sourceReady(isLast: Bool)
    /// The sink was waited for.
    case sinkReady
    /// A fill was tried, of no more than `asked` bytes: that tells a short one from a full one.
    case filled(Transfer, asked: Int)
    /// A drain was tried.
    case drained(Transfer)
  }

  /// How the stream has shown itself so far.
  private enum Style: Sendable, Hashable {
    case small
    /// With this many small fills in a row.
    case bulky(smalls: Int)
  }

  private var style: Style
  /// Bytes the source may still give.
  private(set) var left: UInt64
  private(set) var sourceEnded = false
  /// Whether a short read says that the source is dry.
  private var shortMeansDry: Bool
  /// Whether small fills may be copied at all.
  private let mayCopy: Bool
  /// The last fill was a read that took all there was.
  private var sourceIsDry = false
  /// The last fill was a splice, which stops at urgent data where a copy does not.
  private var fillWasSplice = false
  /// The source was just waited for, and has yet to show why it is ready.
  private var sourceOwesBytes = false
  /// No further edge may come.
  private var sawLastEdge = false
  private var turn = 0

  /// Small fills are of this size; one that fills up makes the stream bulky. From the rows `threshold-…` of
  /// the benchmarks.
  static let smallSize = MemoryRing.smallMessage
  /// Splices below this are dearer than copies; this many in a row make the stream small again.
  static let spliceWorth = 8 << 10
  static let smallsInARow = 3
  /// One turn moves about this much, so that one fast stream starves no other, and each call counts as this
  /// much beside its bytes: a few hundred of the smallest are a turn, too.
  static let turnSize = 2 << 20
  static let callShare = 8 << 10
  /// One fill asks for no more than this: beyond any pipe that is usual, and far from where `splice` refuses.
  static let largestFill = 1 << 30

  /// The source has told its last edge to an earlier wait.
  mutating func doubtSource() { (sawLastEdge, shortMeansDry) = (true, false) }

  init(limit: UInt64, startsBulky: Bool = false, mayCopy: Bool = true, shortMeansDry: Bool = false) {
    left = limit
    style = startsBulky || !mayCopy ? .bulky(smalls: 0) : .small
    self.mayCopy = mayCopy
    self.shortMeansDry = shortMeansDry
  }

  /// The next action, after an event that left `count` bytes in the pipe.
  mutating func next(after event: Event, count: Int) -> Action {
    switch event {
    case .proceed:
      // Bytes in the pipe at the start may be a header: one fill that does not wait lets the body leave with
      // it.
      return sourceIsOpen ? fill() : drainOrFinish(count)

    case .rested:
      return count > 0 ? .drain(count) : goOn()

    case .sourceReady(let isLast):
      sourceOwesBytes = true
      if isLast { doubtSource() }
      return fill()

    case .sinkReady:
      // What was held may have gone another way meanwhile.
      return count > 0 ? .drain(count) : goOn()

    case .filled(.bytes(let moved), let asked):
      sourceOwesBytes = false
      left -= UInt64(moved)
      turn += moved + Self.callShare
      // A short splice proves nothing: its slots may have run out.
      sourceIsDry = shortMeansDry && style == .small && moved < asked
      learn(from: moved)
      // Nothing can be drained yet when only a part of a unit came.
      return count > 0 ? .drain(count) : goOn()

    case .filled(.endOfFile, _):
      sourceEnded = true
      return drainOrFinish(count)

    case .filled(.wouldBlock, _):
      if count > 0 { return .drain(count) }
      // Ready, or ready for the last time, and yet nothing to splice: urgent data stops splice and not recv.
      // One copy gets past it, even in a flow that is not to copy, which would else wait for ever or without
      // end.
      if fillWasSplice, sourceOwesBytes || sawLastEdge {
        (fillWasSplice, sourceOwesBytes) = (false, false)
        if mayCopy { style = .small }
        return .fill(upTo: Int(min(left, UInt64(Self.smallSize))), small: true)
      }
      return wait(.waitSource)

    case .drained(.wouldBlock):
      return wait(.waitSink)

    case .drained:
      turn += Self.callShare
      // A sink that takes little at a time may take as many calls.
      return count == 0 ? goOn() : turn < Self.turnSize ? .drain(count) : endTurn()
    }
  }

  private mutating func goOn() -> Action {
    guard sourceIsOpen else { return .finish }
    if turn >= Self.turnSize { return endTurn() }
    // The next edge or poll tells when there is more: no call just to hear EAGAIN.
    return sourceIsDry ? wait(.waitSource) : fill()
  }

  private mutating func endTurn() -> Action {
    turn = 0
    return .yield
  }

  private var sourceIsOpen: Bool { left > 0 && !sourceEnded }

  private func drainOrFinish(_ count: Int) -> Action {
    if count > 0 { return .drain(count) }
    return .finish
  }

  /// Waiting gives the others their turn, too.
  private mutating func wait(_ action: Action) -> Action {
    waits()
    return action
  }

  /// Something else than a descriptor is waited for.
  mutating func waits() { turn = 0 }

  private mutating func fill() -> Action {
    let wanted = Int(min(left, UInt64(Self.largestFill)))
    fillWasSplice = style != .small
    return switch style {
    case .small: .fill(upTo: min(wanted, Self.smallSize), small: true)
    case .bulky: .fill(upTo: wanted, small: false)
    }
  }

  private mutating func learn(from moved: Int) {
    switch style {
    case .small:
      if moved >= Self.smallSize { style = .bulky(smalls: 0) }
    case .bulky(let smalls):
      guard mayCopy else { return }
      let inARow = moved < Self.spliceWorth ? smalls + 1 : 0
      style = inARow < Self.smallsInARow ? .bulky(smalls: inARow) : .small
    }
  }
}
