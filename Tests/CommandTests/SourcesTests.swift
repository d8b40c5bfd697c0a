// Several sources, read one after the other.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct SourcesTests {
  /// Three files, and what they are together.
  private func files() throws -> (directory: TemporaryDirectory, all: [UInt8]) {
    let directory = try TemporaryDirectory()
    let pieces = [bytes(300_000), bytes(100_001, seed: 2), Array("tail".utf8)]
    for (name, piece) in zip(["a", "b", "c"], pieces) { try directory.write(name, piece) }
    return (directory, pieces.flatMap(\.self))
  }

  @Test(arguments: [
    [], ["--buffer", "1M"], ["--via", "copy"], ["--via", "splice"], ["--pipe-size", "4K"],
  ])
  func `several sources arrive in order`(_ options: [String]) throws {
    let (directory, all) = try files()
    let piped = try run(
      try product("splice"), ["a", "-", "--then", "b", "--then", "c"] + options, directory: directory.path)
    #expect(piped.status == 0 && Array(piped.output) == all, "\(piped.errors)")
    let written = try run(
      try product("splice"), ["a", "out", "--then", "b", "--then", "c", "--sync"] + options,
      directory: directory.path)
    #expect(written.status == 0, "\(written.errors)")
    #expect(try directory.contents("out") == all)
  }

  @Test func `several sources go to several sinks`() throws {
    let (directory, all) = try files()
    let run = try splice(
      "a", "one", "two", "digest:sha256", "--then", "exec:cat b", "--then", "c", "--stats", "json",
      directory: directory.path)
    #expect(run.status == 0, "\(run.errors)")
    #expect(try directory.contents("one") == all)
    #expect(try directory.contents("two") == all)
    let report = try stats(run)
    let sources = try #require(report["sources"] as? [[String: Any]])
    #expect(sources.map { $0["endpoint"] as? String } == ["a", "exec:cat b", "c"])
    #expect(sources.map { ($0["paths"] as? [String: Int])?["splice"] } == [300_000, 100_001, 4])
    #expect((report["source"] as? [String: Any])?["endpoint"] as? String == "a")
    #expect(report["received"] as? Int == all.count)
    // As `cat a b c | sha256sum` calls it.
    #expect(run.errorLines.first?.hasSuffix("  -") == true)
  }

  @Test func `a limit is for all sources and an offset for the first`() throws {
    let (directory, all) = try files()
    let run = try splice(
      "a", "-", "--then", "b", "--offset", "1000", "--limit", "300K", directory: directory.path)
    #expect(run.status == 0 && Array(run.output) == Array(all[1000..<1000 + 300 << 10]))
  }

  @Test func `what was not moved of a shared source is there for the next command`() throws {
    let (directory, all) = try files()
    let run = try shell(
      "{ $splice a null: --then - --limit 300100; $splice - -; } < b", in: directory)
    #expect(run.status == 0 && Array(run.output) == Array(all[300_100..<400_001]), "\(run.errors)")
  }

  @Test func `each source is named by what is wrong with it`() throws {
    let (directory, _) = try files()
    let missing = try splice("a", "out", "--then", "nope", directory: directory.path)
    #expect(missing.status == 66 && missing.errors == "splice: nope: open: No such file or directory\n")
    #expect(throws: (any Error).self) { try directory.contents("out") }
    let failed = try splice("a", "out", "--then", "exec:cat b; exit 3", directory: directory.path)
    #expect(failed.status == 74 && failed.errors == "splice: exec:cat b; exit 3: run: ended with status 3\n")
    let same = try splice("a", "b", "--then", "b", directory: directory.path)
    #expect(same.status == 73 && same.errors.contains("source and sink are the same file"))
    #expect(try directory.contents("b") == bytes(100_001, seed: 2))
    let idle = try splice(
      "a", "null:", "--then", "exec:sleep 60", "--idle-timeout", "200ms", directory: directory.path)
    #expect(idle.status == 74 && idle.errors.contains("splice: exec:sleep 60: read: no byte for 200ms"))
    let resumed = try splice("a", "out", "--then", "b", "--resume", directory: directory.path)
    #expect(resumed.status == 64)
  }

  /// Two sources that are one open file, the second of which finds nothing left.
  @Test func `a shared offset is left behind what was moved`() throws {
    let (directory, all) = try files()
    let whole = try shell("{ $splice - out --then - --then c; cat; } < b", in: directory)
    #expect(whole.status == 0 && whole.output.isEmpty, "\(whole.errors)")
    #expect(try directory.contents("out") == Array(all[300_000...]))
    let part = try shell("{ $splice - null: --then fd:0 --limit 100000; cat; } < b", in: directory)
    #expect(part.status == 0 && part.output == [all[400_000]], "\(part.errors)")
  }

  /// The end of the first source was read, so what became of its program counts, whatever ends the copy.
  @Test(arguments: ["kill -PIPE $$", "exit 3", "exit 141"], [[], ["digest:sha256"]])
  func `a program that fails at its end is told of, although a limit ends the copy`(
    _ end: String, _ more: [String]
  ) throws {
    let run = try run(
      try product("splice"),
      ["exec:printf 12345; \(end)", "null:"] + more + ["--then", "zero:", "--limit", "10"])
    #expect(run.status == 74 && run.errors.contains("run: ended "), "\(run.errors)")
    #expect(!run.errors.contains("  -"))
    // One that was not read to its end is not to blame.
    let left = try splice("exec:yes", "null:", "--limit", "10", "--then", "zero:")
    #expect(left.status == 0, "\(left.errors)")
  }

  @Test func `a source may be given twice`() throws {
    let (directory, all) = try files()
    let run = try splice("c", "-", "--then", "c", "--then", "a", directory: directory.path)
    #expect(run.text.hasPrefix("tailtail") && run.output.count == 300_008 && !all.isEmpty)
  }
}
