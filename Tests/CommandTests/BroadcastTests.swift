// A broadcast: its senders, its viewers, its recording.

import TestSupport
import Testing

@Suite(.mayBlock) struct BroadcastTests {
  private let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a client that does not finish its request is told so`() throws {
    try passes("broadcast/a_client_that_does_not_finish_its_request_is_told_so", in: here)
  }

  @Test func `a clock that jumps harms no recording`() throws {
    try passes("broadcast/a_clock_that_jumps_harms_no_recording", in: here)
  }

  @Test func `a disk that is full makes a gap that no viewer notices`() throws {
    try passes("broadcast/a_disk_that_is_full_makes_a_gap_that_no_viewer_notices", in: here)
  }

  @Test func `a disk that stalls holds up no viewer`() throws {
    try passes("broadcast/a_disk_that_stalls_holds_up_no_viewer", in: here)
  }

  @Test func `a disk that was full for a moment cuts no unit`() throws {
    try passes("broadcast/a_disk_that_was_full_for_a_moment_cuts_no_unit", in: here)
  }

  @Test func `a folder that is removed is no end of the broadcast`() throws {
    try passes("broadcast/a_folder_that_is_removed_is_no_end_of_the_broadcast", in: here)
  }

  @Test func `a late viewer begins that far back at the alignment`() throws {
    try passes("broadcast/a_late_viewer_begins_that_far_back_at_the_alignment", in: here)
  }

  @Test func `a name is given to one file only`() throws {
    try passes("broadcast/a_name_is_given_to_one_file_only", in: here)
  }

  @Test func `a player of another kind watches it`() throws {
    try passes("broadcast/a_player_of_another_kind_watches_it", in: here)
  }

  @Test func `a recording that stops within a unit is cut back to a whole one`() throws {
    try passes("broadcast/a_recording_that_stops_within_a_unit_is_cut_back_to_a_whole_one", in: here)
  }

  @Test func `a request is answered as http servers do`() throws {
    try passes("broadcast/a_request_is_answered_as_http_servers_do", in: here)
  }

  @Test func `a server that is killed leaves no half file under its name`() throws {
    try passes("broadcast/a_server_that_is_killed_leaves_no_half_file_under_its_name", in: here)
  }

  @Test func `a slow viewer misses whole units or is reset`() throws {
    try passes("broadcast/a_slow_viewer_misses_whole_units_or_is_reset", in: here)
  }

  @Test func `a stream that is cut off ends in a reset`() throws {
    try passes("broadcast/a_stream_that_is_cut_off_ends_in_a_reset", in: here)
  }

  @Test func `a viewer that stops reads what it missed from the recording`() throws {
    try passes("broadcast/a_viewer_that_stops_reads_what_it_missed_from_the_recording", in: here)
  }

  @Test func `an answer that is there at once is the stream`() throws {
    try passes("broadcast/an_answer_that_is_there_at_once_is_the_stream", in: here)
  }

  @Test func `an edge stands before an origin`() throws {
    try passes("broadcast/an_edge_stands_before_an_origin", in: here)
  }

  @Test func `an origin and edges behind haproxy lose nobody`() throws {
    try passes("broadcast/an_origin_and_edges_behind_haproxy_lose_nobody", in: here)
  }

  @Test func `files are rotated at the alignment and only its own are removed`() throws {
    try passes("broadcast/files_are_rotated_at_the_alignment_and_only_its_own_are_removed", in: here)
  }

  @Test func `once takes one sender and no other`() throws {
    try passes("broadcast/once_takes_one_sender_and_no_other", in: here)
  }

  @Test func `players watch it live and late without a fault`() throws {
    try passes("broadcast/players_watch_it_live_and_late_without_a_fault", in: here)
  }

  @Test func `sighup begins the next file`() throws {
    try passes("broadcast/sighup_begins_the_next_file", in: here)
  }

  @Test func `sigterm lets viewers have what is left`() throws {
    try passes("broadcast/sigterm_lets_viewers_have_what_is_left", in: here)
  }

  @Test func `the live page plays it in a browser`() throws {
    try passes("broadcast/the_live_page_plays_it_in_a_browser", in: here)
  }

  @Test func `the next sender goes on where the last one left`() throws {
    try passes("broadcast/the_next_sender_goes_on_where_the_last_one_left", in: here)
  }

  @Test func `the page and the metrics tell of it`() throws {
    try passes("broadcast/the_page_and_the_metrics_tell_of_it", in: here)
  }

  @Test func `the service manager holds its address and is told`() throws {
    try passes("broadcast/the_service_manager_holds_its_address_and_is_told", in: here)
  }

  @Test func `viewers of all kinds and the recording get the stream`() throws {
    try passes("broadcast/viewers_of_all_kinds_and_the_recording_get_the_stream", in: here)
  }

  @Test func `viewers that come and go harm nobody`() throws {
    try passes("broadcast/viewers_that_come_and_go_harm_nobody", in: here)
  }

  @Test func `what another broadcast or program has made is not removed`() throws {
    try passes("broadcast/what_another_broadcast_or_program_has_made_is_not_removed", in: here)
  }

  @Test func `what cannot be done is refused before anybody is served`() throws {
    try passes("broadcast/what_cannot_be_done_is_refused_before_anybody_is_served", in: here)
  }

  @Test func `whatever streams over http is a source`() throws {
    try passes("broadcast/whatever_streams_over_http_is_a_source", in: here)
  }

  @Test func `without descriptors those who are there are served`() throws {
    try passes("broadcast/without_descriptors_those_who_are_there_are_served", in: here)
  }
}
