// Sinks of --skip-slow and --detach-slow: whatever they do, the copy is neither failed nor delayed by it.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct OptionalSinkTests {
  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `an optional sink that cannot be opened fails nothing and delays nothing`(_ option: String) throws {
    try passes(
      "optional_sink/an_optional_sink_that_cannot_be_opened_fails_nothing_and_delays_nothing", option)
  }

  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `an optional sink that does not end delays the end for a short time`(_ option: String) throws {
    try passes("optional_sink/an_optional_sink_that_does_not_end_delays_the_end_for_a_short_time", option)
  }

  @Test func `an optional sink that is there gets everything`() throws {
    try passes("optional_sink/an_optional_sink_that_is_there_gets_everything")
  }

  @Test func `an optional sink that comes late joins, and what it missed is counted`() throws {
    try passes("optional_sink/an_optional_sink_that_comes_late_joins_and_what_it_missed_is_counted")
  }

  @Test func `a truncated stream is not a finished one for optional sinks either`() throws {
    try passes("optional_sink/a_truncated_stream_is_not_a_finished_one_for_optional_sinks_either")
  }

  @Test func `a reader that holds its pipe holds up nobody else`() throws {
    try passes("optional_sink/a_reader_that_holds_its_pipe_holds_up_nobody_else", in: TemporaryDirectory())
  }
}
