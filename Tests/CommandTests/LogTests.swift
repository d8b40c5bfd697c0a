// The log of a server: it holds nobody up when it is not read, and what comes from outside cannot forge it.

import TestSupport
import Testing

@Suite(.mayBlock) struct LogTests {
  @Test(arguments: ["text", "json"])
  func `a standard error that nobody reads holds up no connection`(_ format: String) throws {
    try passes("log/a_standard_error_that_nobody_reads_holds_up_no_connection", format)
  }

  @Test func `a standard error that nobody reads does not delay the exit`() throws {
    try passes("log/a_standard_error_that_nobody_reads_does_not_delay_the_exit")
  }

  @Test func `a standard error that cannot be written to holds up nothing`() throws {
    try passes("log/a_standard_error_that_cannot_be_written_to_holds_up_nothing")
  }

  @Test func `without an idle timeout the relay warns at the start`() throws {
    try passes("log/without_an_idle_timeout_the_relay_warns_at_the_start")
  }

  /// Names of sockets are bytes others choose: of a client, in a PROXY header, of an upstream.
  @Test(arguments: ["text", "json"])
  func `names from outside forge nothing in the log and on the pages`(_ format: String) throws {
    try passes("log/names_from_outside_forge_nothing_in_the_log_and_on_the_pages", format)
  }
}
