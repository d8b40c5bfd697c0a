// How the tests run the built command.

import Foundation
import TestSupport
import Testing

/// The command that was built.
func splice(
  _ arguments: String..., input: FileHandle? = nil, output: FileHandle? = nil, directory: String? = nil
) throws -> Run {
  try run(try product("splice"), arguments, input: input, output: output, directory: directory)
}

/// A line of shell in which `$splice` is the command. Peers it names are asked for first.
func shell(_ line: String, in directory: TemporaryDirectory? = nil) throws -> Run {
  try askForPeers(of: line)
  let words = ["-c", "splice='\(try product("splice"))'; \(line)"]
  return try run("/bin/bash", words, directory: directory?.path)
}

/// Runs a test in Python, `Python/suite/test.py`, in a directory of its own unless told; see
/// `Python/splicing.py`. One that does not end says which of its lines it hangs at.
func python(
  _ test: String, _ arguments: [String] = [], in directory: TemporaryDirectory? = nil,
  within bound: Duration = Bound.usual * 3 / 4
) throws -> Run {
  let folder = "\(packageRoot)/Tests/CommandTests/Python"
  let file = "\(folder)/\(test).py"
  try askForPeers(of: String(contentsOfFile: file, encoding: .utf8))
  let directory = try directory ?? TemporaryDirectory()
  return try withExtendedLifetime(directory) {
    try run(
      try tool("env"),
      ["PYTHONPATH=\(folder)", "SPLICE_TEST_HANG=\(bound / .seconds(1))", try tool("python3"), "-B", file]
        + [try product("splice")] + arguments,
      directory: directory.path)
  }
}

/// Such a test, which has to end well.
func passes(
  _ test: String, _ arguments: String..., in directory: TemporaryDirectory? = nil,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let run = try python(test, arguments, in: directory)
  #expect(run.status == 0, "\(run.errors)", sourceLocation: sourceLocation)
}

/// The port a listening endpoint says it has.
func port(_ running: Running) throws -> String {
  let said = running.waitForErrors(containing: "listening on port ")
  let number = try #require(said.firstRange(of: "listening on port ")).upperBound
  return String(said[number...].prefix { $0.isNumber })
}

/// What `--stats json` said.
func stats(_ run: Run) throws -> [String: Any] {
  let line = try #require(run.errorLines.last)
  return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
}
