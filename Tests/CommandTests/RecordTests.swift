// What becomes of records when their process ends, in whatever way, or their disk does.

import TestSupport
import Testing

@Suite(.mayBlock) struct RecordTests {
  private let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a child writes nothing of its parent`() throws {
    try passes("record/a_child_writes_nothing_of_its_parent", product("RecordProbe"), in: here)
  }

  @Test func `a crash with a handler loses nothing`() throws {
    try passes("record/a_crash_with_a_handler_loses_nothing", product("RecordProbe"), in: here)
  }

  @Test func `a disk that is full is freed`() throws {
    try passes("record/a_disk_that_is_full_is_freed", product("RecordProbe"), in: here)
  }

  @Test func `a process that ends has written everything`() throws {
    try passes("record/a_process_that_ends_has_written_everything", product("RecordProbe"), in: here)
  }

  @Test func `eight processes append whole lines`() throws {
    try passes("record/eight_processes_append_whole_lines", product("RecordProbe"), in: here)
  }

  @Test func `what a killed process had flushed is there`() throws {
    try passes("record/what_a_killed_process_had_flushed_is_there", product("RecordProbe"), in: here)
  }

  @Test func `a stuck sink costs the others nothing at the end`() throws {
    try passes("record/a_stuck_sink_costs_the_others_nothing_at_the_end", product("RecordProbe"), in: here)
  }

  @Test func `a child knows nothing of what its parent dropped`() throws {
    try passes("record/a_child_knows_nothing_of_what_its_parent_dropped", product("RecordProbe"), in: here)
  }

  @Test func `children of a process that begins writers write`() throws {
    try passes("record/children_of_a_process_that_begins_writers_write", product("RecordProbe"), in: here)
  }
}
