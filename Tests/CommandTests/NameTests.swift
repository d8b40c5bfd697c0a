// Names are bytes: each names one file, whatever its bytes are, and none of them acts on a terminal or forges
// a line.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct NameTests {
  @Test func `names that are not text are two files, and not one`() throws {
    try passes("name/names_that_are_not_text_are_two_files_and_not_one")
  }

  @Test func `names of unix sockets are bytes`() throws {
    try passes("name/names_of_unix_sockets_are_bytes")
  }

  @Test func `nothing in a message acts on a terminal`() throws {
    try passes("name/nothing_in_a_message_acts_on_a_terminal")
  }

  @Test func `digest lines are read by sha256sum`() throws {
    try passes("name/digest_lines_are_read_by_sha256sum")
  }

  @Test func `a trailing slash names a directory`() throws {
    try passes("name/a_trailing_slash_names_a_directory")
  }

  @Test func `a link to nowhere that ends with a slash makes nothing`() throws {
    try passes("name/a_link_to_nowhere_that_ends_with_a_slash_makes_nothing")
  }
}
