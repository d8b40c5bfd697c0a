// `splice relay` under loads in which an event is easily lost: no connection may hang, no direction may
// starve.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayLivenessTests {
  @Test func `an answer in the middle of a bulk transfer arrives`() throws {
    // Two events for one connection come in one batch, and the first one's turn ends in a rest. Clients and
    // servers are processes of their own, so that the relay has no time to be idle.
    try passes("relay_liveness/an_answer_in_the_middle_of_a_bulk_transfer_arrives")
  }

  @Test func `a byte in the other direction is not held up by bulk`() throws {
    // Sixteen sources that never run dry and sinks that always take: the flows forward rest, and never wait.
    try passes("relay_liveness/a_byte_in_the_other_direction_is_not_held_up_by_bulk")
  }

  @Test func `what comes with a PROXY header arrives`() throws {
    try passes("relay_liveness/what_comes_with_a_proxy_header_arrives")
  }

  @Test func `a reset is seen while the other side is stuck`() throws {
    try passes("relay_liveness/a_reset_is_seen_while_the_other_side_is_stuck")
  }
}
