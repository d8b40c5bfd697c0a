// What is served, to the programs that people have for it and to many clients at once; attacks and disks that
// stall, which hold up nobody else.

import TestSupport
import Testing

@Suite(.mayBlock) struct ServePeersTests {
  private let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a browser shows pictures and seeks in a video`() throws {
    try passes("serve/a_browser_shows_pictures_and_seeks_in_a_video", in: here)
  }

  @Test func `a disk that stalls holds up only its readers`() throws {
    try passes("serve/a_disk_that_stalls_holds_up_only_its_readers", in: here)
  }

  @Test func `a drain under load cuts no answer`() throws {
    try passes("serve/a_drain_under_load_cuts_no_answer", in: here)
  }

  @Test func `a file that is taken away under an answer`() throws {
    try passes("serve/a_file_that_is_taken_away_under_an_answer", in: here)
  }

  @Test func `a link that comes and goes shows nothing outside`() throws {
    try passes("serve/a_link_that_comes_and_goes_shows_nothing_outside", in: here)
  }

  @Test func `a thousand slow readers get every byte in bounded memory`() throws {
    try passes("serve/a_thousand_slow_readers_get_every_byte_in_bounded_memory", in: here)
  }

  @Test func `apt downloads from a served repository`() throws {
    try passes("serve/apt_downloads_from_a_served_repository", in: here)
  }

  @Test func `curl wget and aria2c get every byte`() throws {
    try passes("serve/curl_wget_and_aria2c_get_every_byte", in: here)
  }

  @Test func `files behind nginx arrive whole`() throws {
    try passes("serve/files_behind_nginx_arrive_whole", in: here)
  }

  @Test func `git clones from a served repository`() throws {
    try passes("serve/git_clones_from_a_served_repository", in: here)
  }

  @Test func `no encoding leads out of the directory`() throws {
    try passes("serve/no_encoding_leads_out_of_the_directory", in: here)
  }

  @Test func `slowhttptest holds up nobody`() throws {
    try passes("serve/slowhttptest_holds_up_nobody", in: here)
  }

  @Test func `a disk that is late or fails`() throws {
    try passes("serve/a_disk_that_is_late_or_fails", in: here)
  }

  @Test func `a long listing arrives whole`() throws {
    try passes("serve/a_long_listing_arrives_whole", in: here)
  }

  @Test func `names that change elsewhere hide no file`() throws {
    try passes("serve/names_that_change_elsewhere_hide_no_file", in: here)
  }

  @Test func `what memory forgets is read by threads for disks`() throws {
    try passes("serve/what_memory_forgets_is_read_by_threads_for_disks", in: here)
  }
}
