// `splice relay` and what can go wrong: peers, upstreams, the kernel.

import TestSupport
import Testing

@Suite struct RelayFaultTests {
  @Test func `a reset is a reset`() throws {
    try passes("relay_fault/a_reset_is_a_reset")
  }

  @Test func `descriptors may run out`() throws {
    try passes("relay_fault/descriptors_may_run_out")
  }

  @Test func `urgent data and a stopped process do no harm`() throws {
    try passes("relay_fault/urgent_data_and_a_stopped_process_do_no_harm")
  }

  @Test func `an idle relay uses no processor time`() throws {
    try passes("relay_fault/an_idle_relay_uses_no_processor_time")
  }

  @Test(arguments: [
    "splice:error=EINVAL:when=1+", "splice:error=EPERM:when=1+", "splice:error=EINTR:when=1+3",
    "accept4:error=ECONNABORTED:when=1", "accept4:error=EMFILE:when=1..3", "accept4:error=ENOBUFS:when=2",
    "epoll_wait:error=EINTR:when=1+3", "connect:error=EINTR:when=1+2",
  ])
  func `errors of the kernel lose no bytes`(_ injection: String) throws {
    try passes("relay_fault/errors_of_the_kernel_lose_no_bytes", injection)
  }

  @Test func `peers of every kind are served`() throws {
    try passes("relay_fault/peers_of_every_kind_are_served")
  }

  @Test(arguments: [1, 38])
  func `in a sandbox without splice the bytes are copied`(_ errno: Int) throws {
    try passes("relay_fault/in_a_sandbox_without_splice_the_bytes_are_copied", "\(errno)")
  }

  @Test func `an upstream that is a black hole is passed over`() throws {
    // In a network namespace of its own, where what is sent to 192.0.2.0/24 is lost on the way. Unix sockets
    // reach across.
    let directory = try TemporaryDirectory()
    try passes("relay_fault/an_upstream_that_is_a_black_hole_is_passed_over", in: directory)
  }
}
