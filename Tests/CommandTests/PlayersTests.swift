// A live stream to a recording, two players and a digest at once; one of the players is stopped.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct PlayersTests {
  @Test func `a stopped player holds up nobody`() throws {
    let here = try TemporaryDirectory()
    let run = try python("players/a_stopped_player_holds_up_nobody", in: here)
    #expect(run.status == 0, "\(run.errors) \(run.text)")
  }
}
