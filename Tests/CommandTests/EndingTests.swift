// How the command ends: by signals, by its idle timeout, and when what it has to say cannot be said.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct EndingTests {
  @Test func `the idle timeout bounds every wait`() throws {
    try passes("ending/the_idle_timeout_bounds_every_wait")
  }

  @Test func `programs that do not end are told, and then ended`() throws {
    try passes("ending/programs_that_do_not_end_are_told_and_then_ended")
  }

  @Test(arguments: [("QUIT", ""), ("HUP", ""), ("QUIT", "join"), ("HUP", "join")])
  func `a signal that ends splice leaves no socket file`(_ signal: String, _ subcommand: String) throws {
    try passes("ending/a_signal_that_ends_splice_leaves_no_socket_file", subcommand, "SIG\(signal)")
  }

  @Test func `a relay ends at SIGQUIT, and only what it made is removed`() throws {
    try passes("ending/a_relay_ends_at_sigquit_and_only_what_it_made_is_removed")
  }

  @Test func `what was asked for and cannot be said is a failure`() throws {
    try passes("ending/what_was_asked_for_and_cannot_be_said_is_a_failure")
  }

  @Test func `SIGUSR1 from the first call on ends nothing`() throws {
    try passes("ending/sigusr1_from_the_first_call_on_ends_nothing")
  }

  @Test func `a second signal leaves no program behind`() throws {
    try passes("ending/a_second_signal_leaves_no_program_behind")
  }
}
