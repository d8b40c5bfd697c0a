// What `splice doctor` says, beside what other programs find out.

import TestSupport
import Testing

@Suite(.mayBlock) struct DoctorTests {
  @Test func `a place is asked`() throws { try passes("doctor/a_place_is_asked") }

  @Test func `every row is what another program finds`() throws {
    try passes("doctor/every_row_is_what_another_program_finds")
  }

  @Test func `little room gives a shorter answer`() throws {
    try passes("doctor/little_room_gives_a_shorter_answer")
  }

  @Test func `nothing but its own is written to`() throws {
    try passes("doctor/nothing_but_its_own_is_written_to")
  }

  @Test func `pages in use are counted`() throws { try passes("doctor/pages_in_use_are_counted") }

  @Test func `what a sandbox refuses is said`() throws {
    try passes("doctor/what_a_sandbox_refuses_is_said")
  }

  @Test func `without proc and on a read only file system`() throws {
    try passes("doctor/without_proc_and_on_a_read_only_file_system")
  }
}
