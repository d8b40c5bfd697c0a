// `splice relay` and the names of its upstreams: resolvers that hang, names with several addresses.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayNameTests {
  @Test func `a resolver that hangs delays nothing else`() throws {
    try passes("relay_name/a_resolver_that_hangs_delays_nothing_else")
  }

  @Test func `a resolver that hangs at the start does not hold the exit`() throws {
    try passes("relay_name/a_resolver_that_hangs_at_the_start_does_not_hold_the_exit")
  }

  @Test func `the next address is begun after a short while`() throws {
    try passes("relay_name/the_next_address_is_begun_after_a_short_while")
  }

  /// Each client needs two sockets, and for as long as addresses are tried some more.
  @Test func `a shortage of descriptors in a race is no fault of the upstream`() throws {
    try passes("relay_name/a_shortage_of_descriptors_in_a_race_is_no_fault_of_the_upstream")
  }

  @Test func `the connect timeout is one for all addresses`() throws {
    try passes("relay_name/the_connect_timeout_is_one_for_all_addresses")
  }
}
