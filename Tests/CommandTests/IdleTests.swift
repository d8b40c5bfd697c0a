// What the idle timeout and the rate limit have to do with each other, and who is to blame for standing
// still.

import TestSupport
import Testing

@Suite(.mayBlock) struct IdleTests {
  @Test func `the rate of several sinks holds, whatever is watched`() throws {
    try passes("idle/the_rate_of_several_sinks_holds_whatever_is_watched")
  }

  @Test func `what the rate limit holds back is not idle`() throws {
    try passes("idle/what_the_rate_limit_holds_back_is_not_idle")
  }

  /// A socket has accepted everything at once, and whoever reads it takes it bit by bit.
  @Test func `a peer that still takes bytes is not idle`() throws {
    try passes("idle/a_peer_that_still_takes_bytes_is_not_idle")
  }

  @Test func `of several sinks, the one that is waited for is blamed`() throws {
    try passes("idle/of_several_sinks_the_one_that_is_waited_for_is_blamed")
  }

  @Test func `a join that is cut off says so`() throws {
    try passes("idle/a_join_that_is_cut_off_says_so")
  }

  @Test func `an optional sink that has everything is not blamed`() throws {
    try passes("idle/an_optional_sink_that_has_everything_is_not_blamed")
  }

  @Test func `an idle timeout shorter than the half-close timeout is a failure`() throws {
    try passes("idle/an_idle_timeout_shorter_than_the_half_close_timeout_is_a_failure")
  }

  @Test func `the reader of a pipe that stands still is blamed`() throws {
    try passes("idle/the_reader_of_a_pipe_that_stands_still_is_blamed", in: TemporaryDirectory())
  }
}
