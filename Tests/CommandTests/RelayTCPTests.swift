// What the relay asks of TCP, and PROXY headers between real sockets.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct RelayTCPTests {
  /// A peer that answers probes and does not read is alive; how long it may take to read is another question.
  @Test func `a live client that pauses outlives keepalive, but not the user timeout`() throws {
    try passes("relay_tcp/a_live_client_that_pauses_outlives_keepalive_but_not_the_user_timeout")
  }

  /// Whoever speaks for itself, or does not say, is the end of its own connection.
  @Test(arguments: ["v1", "v2"])
  func `a PROXY header that names nobody leaves the real ends`(_ version: String) throws {
    try passes("relay_tcp/a_proxy_header_that_names_nobody_leaves_the_real_ends", version)
  }

  @Test func `extensions go through, and what is no address is refused`() throws {
    try passes("relay_tcp/extensions_go_through_and_what_is_no_address_is_refused")
  }

  @Test func `the admin pages wait for descriptors`() throws {
    try passes("relay_tcp/the_admin_pages_wait_for_descriptors")
  }

  /// Requests that come at once are answered one after the other.
  @Test func `requests in a row are answered in order`() throws {
    try passes("relay_tcp/requests_in_a_row_are_answered_in_order")
  }

  /// Also those who leave while they have asked for more.
  @Test func `no visitor of the admin pages ends the relay`() throws {
    try passes("relay_tcp/no_visitor_of_the_admin_pages_ends_the_relay")
  }

  /// Those that were reset while they were answered hold no place of the living.
  @Test func `visitors that were reset hold no place`() throws {
    try passes("relay_tcp/visitors_that_were_reset_hold_no_place")
  }

  /// They are a small part of the descriptors, whatever they do.
  @Test(arguments: [50, 64, 120]) func `silent visitors keep nobody out`(_ descriptors: Int) throws {
    try passes("relay_tcp/silent_visitors_keep_nobody_out", "\(descriptors)")
  }
}
