// What has not arrived whole is never shown as whole: not to a peer, not in a digest, not in the exit status.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct WholenessTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  // MARK: - A source program that fails

  /// Its output ends when it crashes as it does when it is done: only its exit tells.
  @Test func `the peer of a source program that fails is reset`() throws {
    try passes("wholeness/the_peer_of_a_source_program_that_fails_is_reset", in: here)
  }

  @Test func `the peer of a joined program that fails is reset`() throws {
    try passes("wholeness/the_peer_of_a_joined_program_that_fails_is_reset", in: here)
  }

  /// A program that has closed its output and lives on may still want to read.
  @Test func `a joined program may end its output and read on`() throws {
    try passes("wholeness/a_joined_program_may_end_its_output_and_read_on", in: here)
  }

  /// What was asked for is whole, whatever the program does when it loses its reader.
  @Test func `a limit that is reached needs no exit`() throws {
    let run = try shell(
      "$splice exec:'cat /dev/zero' b --limit 1000 && $splice exec:'cat /dev/zero' b c --limit 1000", in: here
    )
    #expect(run.status == 0, "\(run.errors)")
    #expect(try here.contents("c").count == 1000)
  }

  // MARK: - A buffer

  /// The thread that fills the buffer needs descriptors of its own, and ends without them.
  @Test func `a buffer that cannot be filled is a failure`() throws {
    try here.write("a", bytes(3_000_000))
    for sinks in ["b", "b null:"] {
      // Counted in each thread.
      for when in 1...3 {
        let run = try shell(
          """
          strace -f -qq -o /dev/null -e trace=eventfd2 -e inject=eventfd2:error=EMFILE:when=\(when) \
          $splice a \(sinks) --buffer 64K; s=$?; [ $s != 0 ] || cmp a b || exit 1; exit $s
          """, in: here)
        #expect([0, 74].contains(run.status), "\(sinks) \(when): \(run.status) \(run.errors)")
        if run.status == 74 { #expect(run.errors.contains("Too many open files"), "\(run.errors)") }
      }
    }
  }

  /// The end is judged when it is met, and not when what came before it has been handed on.
  @Test func `a file that was cut and written anew is truncated`() throws {
    try passes("wholeness/a_file_that_was_cut_and_written_anew_is_truncated", in: here)
  }

  /// As a log is that is rotated by copytruncate.
  @Test func `a file that is cut behind what was taken is whole`() throws {
    try passes("wholeness/a_file_that_is_cut_behind_what_was_taken_is_whole", in: here)
  }

  // MARK: - The last words of a socket

  @Test func `a reset during the last words is a failure`() throws {
    try passes("wholeness/a_reset_during_the_last_words_is_a_failure", in: here)
  }

  @Test func `unread input is dropped without a descriptor`() throws {
    try passes("wholeness/unread_input_is_dropped_without_a_descriptor", in: here)
  }

  // MARK: - A digest

  @Test func `a digest that missed bytes is none`() throws {
    // More than it keeps up with: nothing waits for it.
    let run = try shell("$splice zero: null: --skip-slow digest:sha256 --limit 512M --stats json", in: here)
    #expect(run.status == 0, "\(run.errors)")
    let sinks = try #require(try stats(run)["sinks"] as? [[String: Any]])
    let digest = try #require(sinks.last)
    let skipped = try #require(digest["skipped"] as? Int)
    #expect(skipped > 0)
    #expect(digest["digest"] is NSNull)
    #expect((digest["error"] as? [String: Any])?["reason"] as? String == "missed \(skipped) bytes")
    #expect(run.errorLines.first == "splice: digest:sha256: digest: missed \(skipped) bytes")
    #expect(run.errorLines.count == 2)
  }

  // MARK: - A file that is cut

  @Test func `a file that is cut while several sinks read it is truncated`() throws {
    try passes("wholeness/a_file_that_is_cut_while_several_sinks_read_it_is_truncated", in: here)
  }

  /// Each sink reads the file by itself, and none of them is to blame.
  @Test func `a file that several sinks cannot read is the source's fault`() throws {
    try here.write("a", bytes(2_000_000))
    let run = try shell(
      """
      strace -f -qq -o /dev/null -P "$(realpath a)" -e trace=splice -e inject=splice:error=EIO $splice a b c --stats json
      """, in: here)
    #expect(run.status == 74)
    #expect(run.errorLines.first == "splice: a: read: Input/output error")
    #expect(run.errorLines.count == 2, "\(run.errors)")
    let stats = try stats(run)
    #expect(stats["received"] as? Int == 0)
    #expect(((stats["source"] as? [String: Any])?["error"] as? [String: Any])?["errno"] as? String == "EIO")
    let sinks = try #require(stats["sinks"] as? [[String: Any]])
    #expect(sinks.map { $0["error"] is NSNull } == [true, true])
  }

  @Test func `a file that is cut while it is joined is truncated`() throws {
    try passes("wholeness/a_file_that_is_cut_while_it_is_joined_is_truncated", in: here)
  }
}
