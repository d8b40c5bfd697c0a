// `splice SOURCE SINK SINK...`: the same bytes to many places, each at its own pace, on the built command.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct SpreadTests {
  private let here: TemporaryDirectory
  private let content = bytes(3_000_001, seed: 8)

  init() throws {
    here = try TemporaryDirectory()
    try here.write("a", content)
  }

  private func sinks(_ run: Run) throws -> [[String: Any]] {
    try #require(try stats(run)["sinks"] as? [[String: Any]])
  }

  @Test func `a file is read by each sink, and a stream is teed`() throws {
    let file = try shell("$splice a b append:c d --stats json && cmp a b && cmp a c && cmp a d", in: here)
    #expect(file.status == 0, "\(file.errors)")
    for sink in try sinks(file) { #expect(sink["delivered"] as? Int == content.count) }
    let stream = try shell(
      "cat a | $splice - b append:c d --force --stats json && cmp a b && cat a a | cmp c && cmp a d", in: here
    )
    #expect(stream.status == 0, "\(stream.errors)")
    let paths = try sinks(stream).map { try #require($0["paths"] as? [String: Int]) }
    // All but the last are teed; what is appended must be copied at the end.
    #expect(paths == [["tee": content.count], ["copy": content.count], ["splice": content.count]])
  }

  @Test(arguments: ["EPERM", "ENOSYS"])
  func `where tee is refused, the bytes are copied`(_ errno: String) throws {
    let run = try shell(
      "cat a | strace -f -qq -o /dev/null -e trace=tee -e inject=tee:error=\(errno) $splice - b c digest:sha256 && cmp a b && cmp a c",
      in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.errors == (try shell("sha256sum <a", in: here).text))
  }

  @Test func `a failed sink is reported, and the others are finished`() throws {
    let run = try shell(
      "cat a | $splice - b /dev/full c --stats json; s=$?; cmp a b && cmp a c && exit $s", in: here)
    #expect(run.status == 74)
    #expect(run.errorLines.first == "splice: /dev/full: write: No space left on device")
    let errors = try sinks(run).map { ($0["error"] as? [String: Any])?["errno"] as? String }
    #expect(errors == [nil, "ENOSPC", nil])
  }

  @Test func `when all sinks have failed, the source is read no further`() throws {
    // An endless source: it would else never end.
    let run = try shell("$splice zero: /dev/full /dev/full --stats json", in: here)
    #expect(run.status == 74)
    #expect(run.errors.contains("splice: /dev/full: write: No space left on device"))
  }

  /// Commands in a row share a file: what no sink has accepted is there for the next one.
  @Test(
    arguments: [
      "/dev/full /dev/full", "exec:'head -c 10 >b' exec:'head -c 10 >c'", "exec:'head -c 10 >b' /dev/full",
      "/dev/full --skip-slow b", "b --skip-slow /dev/full", "b c --limit 1M", "b /dev/full", "/dev/full",
      "exec:'head -c 10 >b'",
    ], ["", "--via copy", "--buffer 64K"])
  func `the offset of a file is left behind the last byte that a sink has`(
    _ sinks: String, _ more: String
  ) throws {
    let left = try shell(
      "{ $splice - \(sinks) \(more) --stats json 2>errors; wc -c; } <a; cat errors >&2", in: here)
    let rest = try #require(Int(left.text.trimmingCharacters(in: .whitespacesAndNewlines)), "\(left.errors)")
    let most = try self.sinks(left).map {
      try #require($0["delivered"] as? Int) + ($0["skipped"] as? Int ?? 0)
    }
    .max()
    #expect(rest == content.count - (most ?? 0), "\(left.errors)")
    #expect(try stats(left)["received"] as? Int == most, "\(left.errors)")
  }

  @Test func `the offset is left there after a signal too`() throws {
    try passes("spread/the_offset_is_left_there_after_a_signal_too", in: here)
  }

  @Test func `sinks that may fail fail nothing`() throws {
    let run = try shell(
      "cat a | $splice - b --skip-slow /dev/full --detach-slow exec:'exit 3' --stats json && cmp a b",
      in: here)
    #expect(run.status == 0, "\(run.errors)")
    let policies = try sinks(run).map { $0["policy"] as? String }
    #expect(policies == ["wait", "skip", "detach"])
    #expect(try sinks(run).map { $0["error"] is [String: Any] } == [false, true, true])
  }

  @Test func `a stopped reader that may skip holds nobody up`() throws {
    // It reads nothing until the file is complete; then it gets what it did not miss, in whole units.
    let run = try shell(
      """
      mkfifo slow
      (exec 3<slow; until cmp -s a b; do sleep 0.05; done; cat <&3 >got) &
      cat a | $splice - b --skip-slow slow --align 188 --stats json
      s=$?; wait; exit $s
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try here.contents("b") == content)
    let slow = try sinks(run)[1]
    let (skipped, delivered) = (slow["skipped"] as? Int ?? 0, slow["delivered"] as? Int ?? 0)
    #expect(skipped > 0 && delivered + skipped == content.count)
    let got = try here.contents("got")
    #expect(got.count == delivered)
    // The first gap begins where what it got first ends; what follows may begin like what is missing, by
    // chance.
    let first = zip(got, content).prefix { $0 == $1 }.count
    #expect(first == got.count || first % 188 < 4)
  }

  @Test func `a reader that never reads is let go, and the report says so`() throws {
    let run = try shell(
      """
      mkfifo never; exec 3<>never
      cat a | $splice - b --detach-slow never --stats json && cmp a b
      """, in: here)
    #expect(run.status == 0, "\(run.errors)")
    let error = try #require(try sinks(run)[1]["error"] as? [String: Any])
    #expect(error["errno"] as? String == "ENOBUFS")
    #expect(
      run.errorLines.first?.hasPrefix("splice: never: write: too slow: detached ") == true)
  }

  @Test func `a truncated source is a truncated stream for all`() throws {
    // Two peers over TCP: neither sees a clean end when the source fails.
    try passes("spread/a_truncated_source_is_a_truncated_stream_for_all", in: here)
  }

  @Test func `a digest sees the very bytes the others saw`() throws {
    let sum = try shell("sha256sum a", in: here).text
    let run = try shell("$splice a b digest:sha256 --stats json && cmp a b", in: here)
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.errorLines.first == sum.trimmingCharacters(in: .newlines))
    let digest = try sinks(run)[1]
    #expect(
      digest["digest"] as? String == String(sum.prefix(64)) && digest["delivered"] as? Int == content.count)
    // A file whose sinks are all waited for is else not teed.
    #expect((try sinks(run)[0]["paths"] as? [String: Int])?["tee"] == content.count)
    let alone = try shell("cat a | $splice - digest:sha256 --align 188 --skip-slow /dev/null", in: here)
    #expect(alone.status == 0 && alone.errors == sum.replacing("  a", with: "  -"))
    for (name, tool) in [("sha512", "sha512sum"), ("md5", "md5sum")] {
      let other = try shell("$splice a digest:\(name) 2>&1 | cmp - <(\(tool) a)", in: here)
      #expect(other.status == 0, "\(other.text)")
    }
    // One of a stream that broke off is none.
    let broken = try shell("$splice exec:'cat a; kill -9 $$' digest:sha256 --stats json", in: here)
    #expect(broken.status == 74)
    #expect(try shell("$splice digest:sha256 b", in: here).status == 64)
    #expect(try shell("$splice a digest:crc32", in: here).status == 64)
    #expect(try shell("$splice join - digest:sha256", in: here).status == 64)
  }

  @Test func `wrong usage is said at once`() throws {
    #expect(try shell("$splice a", in: here).status == 64)
    #expect(try shell("$splice a b --align 188", in: here).status == 64)
    #expect(try shell("$splice a b --skip-slow c --align 65K", in: here).status == 64)
    #expect(try shell("$splice a b c --resume", in: here).status == 64)
    let twice = try shell("ln a other; : > b; ln b c; $splice other b c", in: here)
    #expect(twice.status == 73 && twice.errors == "splice: c: open: is a sink already, b\n")
    let same = try shell("$splice a new a", in: here)
    #expect(same.status == 73 && same.errors == "splice: a: open: source and sink are the same file\n")
    #expect(try here.contents("a") == content)
  }

  // MARK: - A sink that has failed

  /// What a shell makes of `*` must not cost more than one file, and nothing is changed before that is known.
  @Test func `what exists is not overwritten by a later sink`() throws {
    try passes("spread/what_exists_is_not_overwritten_by_a_later_sink", in: here)
  }

  @Test func `a failed sink does not make the others idle`() throws {
    try passes("spread/a_failed_sink_does_not_make_the_others_idle", in: here)
  }

  @Test func `a failed sink is reported when it fails, and once`() throws {
    try passes("spread/a_failed_sink_is_reported_when_it_fails_and_once", in: here)
  }

  @Test func `what has happened before the copy begins is told at once`() throws {
    try passes("spread/what_has_happened_before_the_copy_begins_is_told_at_once", in: here)
  }

  @Test func `a failure that a signal has not caused is reported`() throws {
    try passes("spread/a_failure_that_a_signal_has_not_caused_is_reported", in: here)
  }

  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `when the last required sink has failed, the copy ends`(_ option: String) throws {
    try passes("spread/when_the_last_required_sink_has_failed_the_copy_ends", option, in: here)
  }

  @Test func `a failure is of one sink, and not of its namesake`() throws {
    try passes("spread/a_failure_is_of_one_sink_and_not_of_its_namesake", in: here)
  }

  @Test func `the last words of all sockets have one time limit`() throws {
    try passes("spread/the_last_words_of_all_sockets_have_one_time_limit", in: here)
  }

  /// A piece that the last of the sinks refuses is not handed out once more.
  @Test func `a sink that cannot take a piece costs the others nothing`() throws {
    try passes("spread/a_sink_that_cannot_take_a_piece_costs_the_others_nothing", in: here)
  }
}
