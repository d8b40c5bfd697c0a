// No code in the documentation that is not compiled: each block is, line by line, part of an example or of
// Tests/Documented.

import Foundation
import TestSupport
import Testing

@Suite struct DocumentationTests {
  private static func files(_ places: [String], _ kind: String) -> [String] {
    places.flatMap { place in
      let found = FileManager.default.enumerator(atPath: "\(packageRoot)/\(place)")
      return (found?.compactMap { $0 as? String } ?? []).filter { $0.hasSuffix(kind) }.map {
        "\(place)/\($0)"
      }
    }
  }

  private static func lines(_ file: String) throws -> [String] {
    try String(contentsOfFile: "\(packageRoot)/\(file)", encoding: .utf8)
      .split(separator: "\n", omittingEmptySubsequences: false).map { line in
        let text = line.trimmingCharacters(in: .whitespaces)
        return text.hasPrefix("///") ? text.dropFirst(3).trimmingCharacters(in: .whitespaces) : text
      }
  }

  /// Blocks of a language.
  private static func blocks(of file: String, in language: String = "swift") throws -> [[String]] {
    var blocks: [[String]] = []
    var block: [String]?
    for line in try lines(file) {
      switch (line, block) {
      case ("```\(language)", nil): block = []
      case ("```", let whole?):
        blocks.append(whole)
        block = nil
      case (_, _?): block?.append(line)
      default: break
      }
    }
    return blocks
  }

  @Test func `every block is compiled`() throws {
    let compiled = try Self.files(["Examples", "Tests/Documented"], ".swift").map { file in
      "\n" + (try Self.lines(file)).joined(separator: "\n") + "\n"
    }
    let documents =
      ["README.md"] + Self.files(["docs", "Sources"], ".md") + Self.files(["Sources"], ".swift")
    var count = 0
    for document in documents {
      for block in try Self.blocks(of: document) where !block[0].hasPrefix("// Package.swift:") {
        count += 1
        let text = "\n" + block.joined(separator: "\n") + "\n"
        #expect(compiled.contains { $0.contains(text) }, "\(document): \(block.joined(separator: "\n"))")
      }
    }
    #expect(count > 40)
  }
  @Test(arguments: [("c", "forward.c"), ("go", "forward.go"), ("rust", "forward.rs")])
  func `a block in another language is a program that is built and run`(
    _ language: String, _ file: String
  ) throws {
    let program = try Self.lines("Examples/Elsewhere/\(file)")
    var count = 0
    for document in Self.files(["docs", "Sources"], ".md") {
      for block in try Self.blocks(of: document, in: language) {
        count += 1
        #expect(block + [""] == program, "\(document)")
      }
    }
    #expect(count == 1)
  }
}
