// `splice relay` when descriptors, ports or time run out: what it does to clients, to upstreams, and how it
// ends.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayLimitTests {
  @Test func `the drain ends in time without descriptors`() throws {
    try passes("relay_limit/the_drain_ends_in_time_without_descriptors")
  }

  @Test func `what the relay itself lacks is not the upstream's fault`() throws {
    try passes("relay_limit/what_the_relay_itself_lacks_is_not_the_upstreams_fault")
  }

  /// In a network namespace with two local ports to connect from.
  @Test func `having no port to connect from is not the upstream's fault`() throws {
    try passes("relay_limit/having_no_port_to_connect_from_is_not_the_upstreams_fault")
  }

  @Test func `the connection limit follows from the descriptors`() throws {
    try passes("relay_limit/the_connection_limit_follows_from_the_descriptors")
  }

  /// With what is asked for beside connections: taps, a program among them, the admin pages, checks.
  @Test func `with too few descriptors a relay does not begin, and with enough it serves`() throws {
    try passes("relay_limit/with_too_few_descriptors_a_relay_does_not_begin_and_with_enough_it_serves")
  }

  /// In a network namespace that has one local port to connect from: a connection to that port, where nobody
  /// listens, meets itself.
  @Test func `a connection that meets itself is refused`() throws {
    let directory = try TemporaryDirectory()
    try passes("relay_limit/a_connection_that_meets_itself_is_refused", in: directory)
  }
}
