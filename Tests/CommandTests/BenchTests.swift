// What `splice bench` says, in little time: nothing here asks how fast this machine is.

import TestSupport
import Testing

@Suite(.mayBlock) struct BenchTests {
  @Test func `it says who won`() throws { try passes("bench/it_says_who_won") }

  @Test func `little room measures less`() throws { try passes("bench/little_room_measures_less") }
}
