// `splice relay`: the built command between real sockets.

import TestSupport
import Testing

@Suite struct RelayTests {
  @Test func `bytes go both ways, and ends are passed on`() throws {
    try passes("relay/bytes_go_both_ways_and_ends_are_passed_on")
  }

  @Test func `another upstream is tried before any byte was sent`() throws {
    try passes("relay/another_upstream_is_tried_before_any_byte_was_sent")
  }

  @Test func `upstreams take turns`() throws {
    try passes("relay/upstreams_take_turns")
  }

  @Test func `no more clients are served than allowed`() throws {
    try passes("relay/no_more_clients_are_served_than_allowed")
  }

  @Test func `idle and half-close timeouts end a connection`() throws {
    try passes("relay/idle_and_half_close_timeouts_end_a_connection")
  }

  @Test func `a rate is kept`() throws {
    try passes("relay/a_rate_is_kept")
  }

  @Test func `every accepted byte arrives when the relay is to end`() throws {
    try passes("relay/every_accepted_byte_arrives_when_the_relay_is_to_end")
  }

  @Test func `a connection that does not end is cut off after the drain timeout`() throws {
    try passes("relay/a_connection_that_does_not_end_is_cut_off_after_the_drain_timeout")
  }

  @Test func `unix sockets and IPv6`() throws {
    try passes("relay/unix_sockets_and_ipv6")
  }

  @Test func `clients say in a PROXY header for whom they speak`() throws {
    try passes("relay/clients_say_in_a_proxy_header_for_whom_they_speak")
  }

  /// HAProxy in front, and behind.
  @Test func `HAProxy is understood, and understands`() throws {
    let directory = try TemporaryDirectory()
    try passes("relay/haproxy_is_understood_and_understands", in: directory)
  }

  /// They see what goes by, come and go, stall and vanish, and nobody notices.
  @Test func `taps come and go`() throws {
    try passes("relay/taps_come_and_go")
  }

  @Test func `wrong usage`() throws {
    for words in [
      ["8080"], ["nowhere", "h:1"], ["1", "99"], ["1", "h:1", "--threads", "0"],
      ["1", "h:1", "--proxy-in", "v3"],
      ["1", "h:1", "--tap-upstream", "zero:"], ["1", "h:1", "--tap-downstream", "digest:sha256"],
      ["unix:s", "h:1", "--reuse-port"], ["systemd", "h:1", "--reuse-port"],
    ] {
      let run = try run(try product("splice"), ["relay"] + words)
      #expect(run.status == 64, "\(words): \(run.errors)")
    }
    let taken = try python("relay/wrong_usage")
    #expect(taken.status == 0, "\(taken.errors)")
  }
}
