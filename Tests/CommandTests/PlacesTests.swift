// Where bytes are read and written: ranges of a file that others write to, offsets at the limits, links,
// inherited descriptors.

import TestSupport
import Testing

@Suite(.mayBlock) struct PlacesTests {
  let here: TemporaryDirectory

  init() throws { here = try TemporaryDirectory() }

  @Test func `a copy into a range keeps what another process writes behind it`() throws {
    try passes("places/a_copy_into_a_range_keeps_what_another_process_writes_behind_it")
  }

  @Test func `a range that goes past the largest offset is refused by the sink`() throws {
    // A file system that has files as large as an offset can be.
    try passes("places/a_range_that_goes_past_the_largest_offset_is_refused_by_the_sink")
  }

  @Test(arguments: ["--skip-slow", "--detach-slow"])
  func `a descriptor that is named behind an equals sign is an inherited one`(_ option: String) throws {
    let run = try shell("echo text | $splice - null: \(option)=fd:5 5> sink && cat sink", in: here)
    #expect(run.status == 0 && run.errors.isEmpty && run.text == "text\n", "\(run.errors)")
  }

  @Test func `a refused start leaves no target of a link`() throws {
    try passes("places/a_refused_start_leaves_no_target_of_a_link")
  }

  @Test func `a source that cannot be read from its offset is reported before anything is made`() throws {
    let offset = try shell("echo text > a; : > b; $splice a b --resume --offset 99999", in: here)
    #expect(offset.status == 64)
    #expect(
      offset.errors.hasPrefix("splice: a: seek: the offset 99999 is past the end, at 5\n"), "\(offset.errors)"
    )
    let directory = try shell("$splice - sink < .; status=$?; ls sink; exit $status", in: here)
    #expect(directory.status == 66)
    #expect(directory.errors.hasPrefix("splice: -: open: Is a directory\n"), "\(directory.errors)")
    #expect(directory.text.isEmpty)
    let named = try shell("$splice fd:5 sink 5< .; status=$?; ls sink; exit $status", in: here)
    #expect(named.status == 66 && named.text.isEmpty)
  }

  @Test func `a note says that holes are filled for several sinks`() throws {
    let run = try shell("truncate -s 1M a; $splice a b c --explain; $splice copy --help", in: here)
    #expect(run.status == 0)
    #expect(run.errors.contains("for several sinks, holes are written as zeros"), "\(run.errors)")
    #expect(
      run.text.split(whereSeparator: \.isWhitespace).joined(separator: " ").contains(
        "holes are written as zeros"))
    #expect(
      try !shell("$splice a b --explain; cat a | $splice - b c --explain", in: here).errors.contains("zeros"))
  }

  @Test func `standard error among several sinks gets the report too`() throws {
    try passes("places/standard_error_among_several_sinks_gets_the_report_too", in: here)
  }

  /// A name says what the whole of it is.
  @Test func `the digest of a part has no file's name`() throws {
    try here.write("a", bytes(100))
    for words in ["--limit 10", "--offset 10"] {
      let run = try shell("$splice a null: digest:sha256 \(words)", in: here)
      #expect(run.status == 0 && run.errors.hasSuffix("  -\n"), "\(run.errors)")
    }
  }
}
