// Taps of a relay that are opened anew and ended: no descriptor, no tap and no program is left behind.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayTapTests {
  /// Nothing goes by that would have the fan-out look for sinks that have left.
  @Test func `a tap that is reopened in silence takes no more descriptors`() throws {
    try passes("relay_tap/a_tap_that_is_reopened_in_silence_takes_no_more_descriptors")
  }

  @Test func `a tap that is reopened ends cleanly`() throws {
    try passes("relay_tap/a_tap_that_is_reopened_ends_cleanly")
  }

  /// What the log says was delivered has arrived, though it was in the socket's queue when the tap was reopened.
  @Test func `a socket that is reopened under load gets what was delivered`() throws {
    try passes("relay_tap/a_socket_that_is_reopened_under_load_gets_what_was_delivered")
  }

  @Test func `no tap ends and no reopening is lost, however fast the signals come`() throws {
    try passes("relay_tap/no_tap_ends_and_no_reopening_is_lost_however_fast_the_signals_come")
  }

  /// A shell and what it runs are told to end, and killed when they do not. All taps share one time, whatever
  /// they do.
  @Test func `no program of a tap outlives the relay`() throws {
    try passes("relay_tap/no_program_of_a_tap_outlives_the_relay")
  }

  /// Each time, of itself or not: what it got, what it missed, what was on its way, and what was wrong, if
  /// something was.
  @Test func `the log says what a tap that leaves has missed`() throws {
    try passes("relay_tap/the_log_says_what_a_tap_that_leaves_has_missed")
  }

  /// Nothing goes by that it would be noticed by.
  @Test func `a tap's program that dies is reaped and run anew in silence`() throws {
    try passes("relay_tap/a_taps_program_that_dies_is_reaped_and_run_anew_in_silence")
  }

  @Test func `a tap is reopened while the relay drains`() throws {
    try passes("relay_tap/a_tap_is_reopened_while_the_relay_drains")
  }

  @Test func `a tap whose program holds its pipe holds up nobody`() throws {
    try passes("relay_tap/a_tap_whose_program_holds_its_pipe_holds_up_nobody", in: TemporaryDirectory())
  }
}
