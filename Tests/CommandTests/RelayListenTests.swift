// `splice relay` and the paths and ports it listens on: what it replaces, what it removes, and a relay that
// leads to itself.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayListenTests {
  /// Everything else that stands at a path is a file of somebody else's.
  @Test func `only a socket that nobody listens on is replaced`() throws {
    let directory = try TemporaryDirectory()
    try passes("relay_listen/only_a_socket_that_nobody_listens_on_is_replaced", in: directory)
  }

  /// Each looks, removes and binds; none removes what another one has just made.
  @Test func `of many relays that begin at once, one listens`() throws {
    let directory = try TemporaryDirectory()
    try passes("relay_listen/of_many_relays_that_begin_at_once_one_listens", in: directory)
  }

  @Test func `only the socket file that a relay made is removed`() throws {
    try passes("relay_listen/only_the_socket_file_that_a_relay_made_is_removed")
  }

  @Test func `a port is shared on purpose only`() throws {
    try passes("relay_listen/a_port_is_shared_on_purpose_only")
  }

  @Test func `a client that is queued for want of room is not held by the drain`() throws {
    try passes("relay_listen/a_client_that_is_queued_for_want_of_room_is_not_held_by_the_drain")
  }

  /// Both have bound the port before either listens.
  @Test func `of two relays that begin at once, one has the port`() throws {
    try passes("relay_listen/of_two_relays_that_begin_at_once_one_has_the_port")
  }

  @Test func `a client that is queued for want of descriptors is not held by the drain`() throws {
    try passes("relay_listen/a_client_that_is_queued_for_want_of_descriptors_is_not_held_by_the_drain")
  }

  @Test func `a second signal ends a relay at once, whichever it is`() throws {
    try passes("relay_listen/a_second_signal_ends_a_relay_at_once_whichever_it_is")
  }

  @Test func `a relay is not its own upstream`() throws {
    try passes("relay_listen/a_relay_is_not_its_own_upstream")
  }

  @Test func `a ring of relays is bounded`() throws {
    try passes("relay_listen/a_ring_of_relays_is_bounded")
  }
}
