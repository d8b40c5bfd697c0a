// What the README shows is what is compiled, and it does what it says.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct ReadmeTests {
  @Test func `the example in the README is the one that is compiled and runs`() throws {
    let source = try String(
      contentsOfFile: packageRoot + "/Examples/HeaderAndFile/HeaderAndFile.swift", encoding: .utf8)
    let readme = try String(contentsOfFile: packageRoot + "/README.md", encoding: .utf8)
    #expect(readme.contains(source))
    #expect(source.split(separator: "\n").count < 24)
    let file = try TemporaryFile(bytes(100_000))
    let run = try run(try product("HeaderAndFile"), [file.path.string])
    #expect(run.output == Array("Content-Type: text/plain\r\n\r\n".utf8) + bytes(100_000))
    let bare = try TestSupport.run(try product("HeaderAndFile"), [])
    #expect(bare.status == 64 && bare.errors == "usage: HeaderAndFile FILE\n" && bare.output.isEmpty)
  }
}
