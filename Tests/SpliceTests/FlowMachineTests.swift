// FlowMachine as a table: rows of text, each an event with what is in the pipe, and the action that follows.

import Testing

@testable import Splice

/// Runs a scenario through one machine, row by row.
private func check(_ machine: FlowMachine, _ rows: String, _ location: SourceLocation = #_sourceLocation) {
  var machine = machine
  for row in rows.split(separator: "\n") {
    let sides = row.split(separator: "->").map { $0.split(separator: " ").map(String.init) }
    let words = sides[0]
    let count = Int(words[words.firstIndex(of: "pipe")! + 1].filter(\.isNumber))!
    let expected = sides[1].joined(separator: " ")
    #expect(
      "\(machine.next(after: event(words), count: count).words)" == expected, "\(row)",
      sourceLocation: location)
  }
}

private func event(_ words: [String]) -> FlowMachine.Event {
  func transfer(_ word: String) -> Transfer {
    switch word {
    case "end": .endOfFile
    case "block": .wouldBlock
    default: .bytes(Int(word)!)
    }
  }
  return switch words[0] {
  case "proceed": .proceed
  case "source": .sourceReady(isLast: false)
  case "last": .sourceReady(isLast: true)
  case "sink": .sinkReady
  case "fill": .filled(transfer(words[1]), asked: words[3] == "all" ? .max : Int(words[3])!)
  case "drain": .drained(transfer(words[1]))
  default: fatalError("no such event: \(words)")
  }
}

extension FlowMachine.Action {
  fileprivate var words: String {
    switch self {
    case .fill(let limit, let small):
      "fill \(limit == FlowMachine.largestFill ? "all" : "\(limit)")\(small ? " small" : "")"
    case .drain(let count): "drain \(count)"
    case .waitSource: "waitSource"
    case .waitSink: "waitSink"
    case .yield: "yield"
    case .finish: "finish"
    }
  }
}

@Suite(.mayBlock) struct FlowMachineTests {
  @Test func `a file goes through in large pieces`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed               pipe 0       -> fill all
      fill 1048576 of 9999999 pipe 1048576 -> drain 1048576
      drain 1048576         pipe 0       -> fill all
      fill 500 of 9999999   pipe 500     -> drain 500
      drain 500             pipe 0       -> fill all
      fill end of 9999999   pipe 0       -> finish
      """)
  }

  @Test func `a part of a unit is not drained, and more is asked for`() {
    // What can be drained is what stands here as in the pipe.
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed               pipe 0       -> fill all
      fill 100 of 9999999   pipe 0       -> fill all
      fill block of 9999999 pipe 0       -> waitSource
      source                pipe 0       -> fill all
      fill 100 of 9999999   pipe 188     -> drain 188
      drain 188             pipe 0       -> fill all
      fill end of 9999999   pipe 12      -> drain 12
      drain 12              pipe 0       -> finish
      """)
  }

  @Test func `an empty pipe has room, so the source is dry`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed              pipe 0     -> fill all
      fill block of 9999999 pipe 0    -> waitSource
      source               pipe 0     -> fill all
      fill 23168 of 9999999 pipe 23168 -> drain 23168
      drain block          pipe 23168 -> waitSink
      sink                 pipe 23168 -> drain 23168
      drain 20000          pipe 3168  -> drain 3168
      drain 3168           pipe 0     -> fill all
      """)
  }

  @Test func `a full pipe is drained and not waited for`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed               pipe 23168 -> fill all
      fill block of 9999999 pipe 23168 -> drain 23168
      """)
  }

  @Test func `a header leaves with its body`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed              pipe 100   -> fill all
      fill 5000 of 9999999 pipe 5100  -> drain 5100
      drain 5100           pipe 0     -> fill all
      fill end of 9999999  pipe 0     -> finish
      """)
  }

  @Test func `the end goes on only after the pipe is empty`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed              pipe 100 -> fill all
      fill end of 9999999  pipe 100 -> drain 100
      drain 60             pipe 40  -> drain 40
      drain block          pipe 40  -> waitSink
      sink                 pipe 40  -> drain 40
      drain 40             pipe 0   -> finish
      """)
  }

  @Test func `the limit is subtracted once`() {
    check(
      FlowMachine(limit: 1000, startsBulky: true),
      """
      proceed          pipe 0    -> fill 1000
      fill 600 of 1000 pipe 600  -> drain 600
      drain 600        pipe 0    -> fill 400
      fill 400 of 400  pipe 400  -> drain 400
      drain 400        pipe 0    -> finish
      """)
  }

  @Test func `a drain never looks at its source`() {
    check(FlowMachine(limit: 0), "proceed pipe 70 -> drain 70\ndrain 70 pipe 0 -> finish")
    check(FlowMachine(limit: 0), "proceed pipe 0 -> finish")
  }

  @Test func `small messages are copied, and a short read means dry`() {
    check(
      FlowMachine(limit: .max, shortMeansDry: true),
      """
      proceed            pipe 0   -> fill 16384 small
      fill block of 16384 pipe 0  -> waitSource
      source             pipe 0   -> fill 16384 small
      fill 100 of 16384  pipe 100 -> drain 100
      drain 100          pipe 0   -> waitSource
      source             pipe 0   -> fill 16384 small
      fill end of 16384  pipe 0   -> finish
      """)
  }

  @Test func `after the last edge a short read proves nothing`() {
    check(
      FlowMachine(limit: .max, shortMeansDry: true),
      """
      proceed             pipe 0   -> fill 16384 small
      fill block of 16384 pipe 0   -> waitSource
      last                pipe 0   -> fill 16384 small
      fill 100 of 16384   pipe 100 -> drain 100
      drain 100           pipe 0   -> fill 16384 small
      fill end of 16384   pipe 0   -> finish
      """)
  }

  @Test func `after the last edge a splice that would block proves nothing`() {
    // Urgent data in the middle of what has come, and no edge to follow.
    check(
      FlowMachine(limit: .max, startsBulky: true, shortMeansDry: true),
      """
      proceed             pipe 0     -> fill all
      fill block of all   pipe 0     -> waitSource
      last                pipe 0     -> fill all
      fill 30000 of all   pipe 30000 -> drain 30000
      drain 30000         pipe 0     -> fill all
      fill block of all   pipe 0     -> fill 16384 small
      fill 16384 of 16384 pipe 16384 -> drain 16384
      drain 16384         pipe 0     -> fill all
      fill block of all   pipe 0     -> fill 16384 small
      fill block of 16384 pipe 0     -> waitSource
      """)
  }

  @Test func `where a short read proves nothing the source is asked again`() {
    check(
      FlowMachine(limit: .max, shortMeansDry: false),
      """
      proceed           pipe 0   -> fill 16384 small
      fill 100 of 16384 pipe 100 -> drain 100
      drain 100         pipe 0   -> fill 16384 small
      """)
  }

  @Test func `a full read makes the stream bulky and small splices make it small`() {
    check(
      FlowMachine(limit: .max, shortMeansDry: true),
      """
      proceed               pipe 0     -> fill 16384 small
      fill 16384 of 16384   pipe 16384 -> drain 16384
      drain 16384           pipe 0     -> fill all
      fill 300000 of 9999999 pipe 300000 -> drain 300000
      drain 300000          pipe 0     -> fill all
      fill 100 of 9999999   pipe 100   -> drain 100
      drain 100             pipe 0     -> fill all
      fill 100 of 9999999   pipe 100   -> drain 100
      drain 100             pipe 0     -> fill all
      fill 100 of 9999999   pipe 100   -> drain 100
      drain 100             pipe 0     -> fill 16384 small
      """)
  }

  @Test func `a short splice never counts as dry`() {
    // Its slots may have run out: waiting here, with an edge used up, would wait for ever.
    check(
      FlowMachine(limit: .max, startsBulky: true, shortMeansDry: true),
      """
      proceed             pipe 0   -> fill all
      fill 100 of 9999999 pipe 100 -> drain 100
      drain 100           pipe 0   -> fill all
      fill 100 of 9999999 pipe 100 -> drain 100
      drain 100           pipe 0   -> fill all
      fill 100 of 9999999 pipe 100 -> drain 100
      drain 100           pipe 0   -> fill 16384 small
      """)
  }

  @Test func `after a last edge that somebody else was told a short read proves nothing`() {
    var machine = FlowMachine(limit: .max, shortMeansDry: true)
    machine.doubtSource()
    check(
      machine,
      """
      proceed             pipe 0   -> fill 16384 small
      fill 100 of 16384   pipe 100 -> drain 100
      drain 100           pipe 0   -> fill 16384 small
      fill block of 16384 pipe 0   -> waitSource
      """)
  }

  @Test func `a source that is ready with nothing to splice is copied from once`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed               pipe 0 -> fill all
      fill block of 9999999 pipe 0 -> waitSource
      source                pipe 0 -> fill all
      fill block of 9999999 pipe 0 -> fill 16384 small
      fill block of 16384   pipe 0 -> waitSource
      """)
  }

  @Test func `what may not be copied is copied only past what stops splice`() {
    check(
      FlowMachine(limit: .max, mayCopy: false),
      """
      proceed               pipe 0   -> fill all
      fill 100 of 9999999   pipe 100 -> drain 100
      drain 100             pipe 0   -> fill all
      fill 100 of 9999999   pipe 100 -> drain 100
      drain 100             pipe 0   -> fill all
      fill 100 of 9999999   pipe 100 -> drain 100
      drain 100             pipe 0   -> fill all
      fill block of 9999999 pipe 0   -> waitSource
      source                pipe 0   -> fill all
      fill block of 9999999 pipe 0   -> fill 16384 small
      fill 10 of 16384      pipe 10  -> drain 10
      drain 10              pipe 0   -> fill all
      """)
  }

  @Test func `a turn ends after its share`() {
    check(
      FlowMachine(limit: .max, startsBulky: true),
      """
      proceed                pipe 0       -> fill all
      fill 1048576 of 9999999 pipe 1048576 -> drain 1048576
      drain 1048576          pipe 0       -> fill all
      fill 1048576 of 9999999 pipe 1048576 -> drain 1048576
      drain 1048576          pipe 0       -> yield
      proceed                pipe 0       -> fill all
      """)
  }

  @Test func `many small calls are a turn too`() {
    var machine = FlowMachine(limit: .max, startsBulky: true)
    _ = machine.next(after: .proceed, count: 0)
    var held = 1 << 20
    var action = machine.next(after: .filled(.bytes(held), asked: 1 << 30), count: held)
    var calls = 0
    while case .drain = action {
      held -= 1000
      calls += 1
      action = machine.next(after: .drained(.bytes(1000)), count: held)
    }
    #expect(action == .yield && (100...256).contains(calls))
    // What is held goes on afterwards.
    #expect(machine.next(after: .rested, count: held) == .drain(held))
  }
}
