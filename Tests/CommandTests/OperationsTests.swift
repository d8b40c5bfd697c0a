// The relay as those see it who run it: health, metrics, the admin pages, the service manager, restarts.

import TestSupport
import Testing

@Suite(.mayBlock) struct OperationsTests {
  @Test func `upstreams that are down are not tried, and come back`() throws {
    try passes("operations/upstreams_that_are_down_are_not_tried_and_come_back")
  }

  @Test func `without health checks, an upstream that did not answer comes last`() throws {
    try passes("operations/without_health_checks_an_upstream_that_did_not_answer_comes_last")
  }

  @Test func `an upstream that accepts and hangs passes a connection check`() throws {
    try passes("operations/an_upstream_that_accepts_and_hangs_passes_a_connection_check")
  }

  @Test func `a name that is not known any more is tried where it was`() throws {
    try passes("operations/a_name_that_is_not_known_any_more_is_tried_where_it_was")
  }

  @Test func `metrics are read by a parser of Prometheus, and are exact`() throws {
    try passes("operations/metrics_are_read_by_a_parser_of_prometheus_and_are_exact")
  }

  @Test func `timeouts are counted by their kind`() throws {
    try passes("operations/timeouts_are_counted_by_their_kind")
  }

  @Test func `the admin pages answer as HTTP servers do`() throws {
    try passes("operations/the_admin_pages_answer_as_http_servers_do")
  }

  @Test func `hostile visitors of the admin pages harm nothing`() throws {
    try passes("operations/hostile_visitors_of_the_admin_pages_harm_nothing")
  }

  @Test func `an admin port that is taken ends it at once`() throws {
    try passes("operations/an_admin_port_that_is_taken_ends_it_at_once")
  }

  @Test func `a drain is told to probes and in the log`() throws {
    try passes("operations/a_drain_is_told_to_probes_and_in_the_log")
  }

  @Test func `the service manager is told`() throws {
    let place = try TemporaryDirectory()
    try passes("operations/the_service_manager_is_told", in: place)
  }

  @Test func `sockets of the service manager are used`() throws {
    try passes("operations/sockets_of_the_service_manager_are_used")
  }

  @Test func `a restart refuses nobody and cuts nobody off`() throws {
    try passes("operations/a_restart_refuses_nobody_and_cuts_nobody_off")
  }

  @Test func `a file of a tap that was moved away is followed by another`() throws {
    let place = try TemporaryDirectory()
    try passes("operations/a_file_of_a_tap_that_was_moved_away_is_followed_by_another", in: place)
  }

  @Test func `clocks that jump end no connection`() throws {
    try passes("operations/clocks_that_jump_end_no_connection")
  }
}
