// How `splice relay` starts with taps: it listens, then its taps are opened, then it says that it is there;
// and one that is refused has touched none of them.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayStartTests {
  @Test func `a relay that is refused has touched no tap`() throws {
    try passes("relay_start/a_relay_that_is_refused_has_touched_no_tap")
  }

  @Test func `a tap that opens at once has the first byte`() throws {
    try passes("relay_start/a_tap_that_opens_at_once_has_the_first_byte")
  }

  /// The sockets that a service manager passes on are taken first, which is made to last.
  @Test func `a tap's program has no socket of the relay`() throws {
    try passes("relay_start/a_taps_program_has_no_socket_of_the_relay")
  }

  /// The admin pages are another library's, which opens what programs would inherit.
  @Test func `a tap's program that is run anew holds no visitor of the admin pages`() throws {
    try passes("relay_start/a_taps_program_that_is_run_anew_holds_no_visitor_of_the_admin_pages")
  }

  /// One file, by device and inode: two taps would overwrite each other.
  @Test func `no two taps write one file`() throws {
    try passes("relay_start/no_two_taps_write_one_file")
  }
}
