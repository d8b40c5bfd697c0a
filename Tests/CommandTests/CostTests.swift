// What one more unit of work costs in system calls: a change that adds one to a message is seen here, whatever
// else the machine does. The bounds are what was counted, and less than a call more.

import TestSupport
import Testing

@Suite(.mayBlock) struct CostTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a message through a relay, there and back, is four calls beside its waits`() throws {
    try passes("cost/a_message_through_a_relay", in: here)
  }

  @Test func `a connection through a relay is twenty-four calls beside its waits`() throws {
    try passes("cost/a_connection_through_a_relay", in: here)
  }

  @Test func `a piece to two sinks is seven calls`() throws {
    try passes("cost/a_piece_to_two_sinks", in: here)
  }

  @Test func `a mebibyte of a file is two calls`() throws {
    try passes("cost/a_mebibyte_of_a_file", in: here)
  }
}
