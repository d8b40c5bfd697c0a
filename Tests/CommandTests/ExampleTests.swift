// Every example does what its first lines say, is short, and needs nothing that a client of the library has
// not.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct ExampleTests {
  static let names = [
    "Backup", "Bridges", "Courier", "Forward", "ForwardNIO", "Gzip", "HeaderAndFile", "LineCount", "NIOFiles",
    "Recorder", "TinyRelay",
    "Upload",
  ]

  @Test func `every example is tested`() throws {
    let found = try FileManager.default.contentsOfDirectory(atPath: packageRoot + "/Examples")
    // The last is a package of its own, which `scripts/try-hummingbird` builds and tests; one is in other
    // languages, for the pages of those who come from there.
    #expect(Set(found) == Set(Self.names + ["CZlib", "Elsewhere", "HummingbirdFiles"]))
  }

  @Test(arguments: names)
  func `an example is short and needs nothing special`(_ name: String) throws {
    let text = try String(contentsOfFile: "\(packageRoot)/Examples/\(name)/\(name).swift", encoding: .utf8)
    let lines = text.split(separator: "\n")
    #expect(lines.count < 80)
    for word in [
      "@unchecked", "@testable", "@preconcurrency", "nonisolated(unsafe)", "import Glibc", "import CSplice",
    ] {
      #expect(!text.contains(word), "\(word)")
    }
  }

  @Test func `files over NIO`() throws {
    let place = try TemporaryDirectory()
    try place.write("one", bytes(3_000_000))
    try place.write("two", [])
    try passes("example/files_over_nio", try product("NIOFiles"), in: place)
  }

  @Test func `a viewer that comes late sees everything`() throws {
    let place = try TemporaryDirectory()
    try place.write("source", bytes(4_000_000))
    try passes("example/a_viewer_that_comes_late_sees_everything", try product("Recorder"), in: place)
  }

  @Test func `lines are counted`() throws {
    let place = try TemporaryDirectory()
    let program = try product("LineCount")
    let whole = try shell("seq 200000 | \(program) | tail -1", in: place)
    #expect(whole.status == 0 && whole.text == "200000\n")
    let last = whole.errors.split(separator: "\n").last
    #expect(last?.hasPrefix("200000 lines, ") == true && last?.hasSuffix(" bytes by reference") == true)
    let cut = try shell(
      "(seq 200000; until [ -s status ]; do sleep 0.01; done) | (\(program); echo $? >status) | head -1; cat status",
      in: place)
    #expect(cut.text == "1\n74\n", "\(cut.errors)")
    #expect(cut.errors.contains("sink: Broken pipe"))
  }

  @Test func `an upload goes on where it was interrupted`() throws {
    let place = try TemporaryDirectory()
    try place.write("file", bytes(400_001))
    try passes("example/an_upload_goes_on_where_it_was_interrupted", try product("Upload"), in: place)
  }

  @Test func `a backup is whole, or has no name`() throws {
    let place = try TemporaryDirectory()
    let run = try shell(
      """
      mkdir a && head -c 2000000 /dev/urandom >a/b && \(try product("Backup")) a out.tar && mkdir c && tar xf out.tar -C c &&
      cmp a/b c/b && ! \(try product("Backup")) none other.tar && test ! -e other.tar
      """, in: place)
    #expect(run.status == 0, "\(run.text) \(run.errors)")
    #expect(run.errors.hasSuffix("Backup: tar ended with 2\n"), "\(run.errors)")
  }

  @Test func `a courier brings everything`() throws {
    try passes("example/a_courier_brings_everything", try product("Courier"))
  }

  @Test(arguments: ["Forward", "ForwardNIO"])
  func `a connection is forwarded`(_ name: String) throws {
    try passes("example/a_program_forwards_both_ways", try product(name))
  }

  /// Those in Go and Rust are tried by `scripts/try-elsewhere`, which wants their compilers.
  @Test func `a connection is forwarded in C`() throws {
    let place = try TemporaryDirectory()
    let source = "\(packageRoot)/Examples/Elsewhere/forward.c"
    let built = try shell("clang -Wall -Werror -o forward '\(source)'", in: place)
    #expect(built.status == 0, "\(built.errors)")
    try passes("example/a_program_forwards_both_ways", "\(place.path)/forward")
  }
}
