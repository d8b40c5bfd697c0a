// `splice relay` and how a connection looks to its two peers when it was cut off, and when it was not.

import TestSupport
import Testing

@Suite(.mayBlock) struct RelayResetTests {
  @Test func `a half-close timeout resets both sides`() throws {
    try passes("relay_reset/a_half_close_timeout_resets_both_sides")
  }

  /// However the process ends; also where the listener was passed by a service manager.
  @Test(arguments: [false, true])
  func `both sides are reset when the process is killed`(_ isInherited: Bool) throws {
    try passes("relay_reset/both_sides_are_reset_when_the_process_is_killed", "\(isInherited)")
  }

  @Test func `what was ended arrives whole after the process is gone`() throws {
    try passes("relay_reset/what_was_ended_arrives_whole_after_the_process_is_gone")
  }

  /// Both directions have ended, and not all has arrived.
  @Test func `a reset behind the last end is told`() throws {
    try passes("relay_reset/a_reset_behind_the_last_end_is_told")
  }

  /// Who answers and closes before it has read: the client gets the answer, and then learns that not all it
  /// sent has arrived.
  @Test(arguments: ["AF_UNIX", "AF_INET"])
  func `an answer before the request was read arrives`(_ family: String) throws {
    try passes("relay_reset/an_answer_before_the_request_was_read_arrives", family)
  }

  /// A unix upstream that closes with the request unread has said all it said, however slowly that is taken.
  @Test(arguments: ["AF_UNIX", "AF_INET"])
  func `a long answer before the request was read arrives`(_ family: String) throws {
    try passes("relay_reset/a_long_answer_before_the_request_was_read_arrives", family)
  }
}
