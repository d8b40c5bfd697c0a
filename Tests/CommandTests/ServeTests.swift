// A directory that is served: its files, and those who ask for them.

import TestSupport
import Testing

@Suite(.mayBlock) struct ServeTests {
  private let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a directory is served`() throws {
    try passes("serve/a_directory_is_served", in: here)
  }

  @Test func `a drain finishes what runs`() throws {
    try passes("serve/a_drain_finishes_what_runs", in: here)
  }

  @Test func `a file that changes under an answer`() throws {
    try passes("serve/a_file_that_changes_under_an_answer", in: here)
  }

  @Test func `a stable file is sent as it was`() throws {
    try passes("serve/a_stable_file_is_sent_as_it_was", in: here)
  }

  @Test func `compressed neighbours are sent to those who take them`() throws {
    try passes("serve/compressed_neighbours_are_sent_to_those_who_take_them", in: here)
  }

  @Test func `descriptors that run out come back`() throws {
    try passes("serve/descriptors_that_run_out_come_back", in: here)
  }

  @Test func `nothing outside the directory is shown`() throws {
    try passes("serve/nothing_outside_the_directory_is_shown", in: here)
  }

  @Test func `pipelined requests are answered in order`() throws {
    try passes("serve/pipelined_requests_are_answered_in_order", in: here)
  }

  @Test func `ranges are answered as was decided`() throws {
    try passes("serve/ranges_are_answered_as_was_decided", in: here)
  }

  @Test func `silent and slow clients are let go`() throws {
    try passes("serve/silent_and_slow_clients_are_let_go", in: here)
  }

  @Test func `the access log is opened anew`() throws {
    try passes("serve/the_access_log_is_opened_anew", in: here)
  }

  @Test func `threads that serve open nothing else`() throws {
    try passes("serve/threads_that_serve_open_nothing_else", in: here)
  }

  @Test func `what two parsers may read differently is refused`() throws {
    try passes("serve/what_two_parsers_may_read_differently_is_refused", in: here)
  }
}
