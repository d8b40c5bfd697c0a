// A backup through a child process: what tar says is spliced into a new file, at most so fast. The file is whole, or it is not there.
//
//   Backup DIRECTORY FILE [BYTES-PER-SECOND]

import Foundation
import Splice
import SystemPackage

@main struct Backup {
  static func main() async throws {
    let words = Array(CommandLine.arguments.dropFirst())
    guard (2...3).contains(words.count), let rate = UInt64(words.count == 3 ? words[2] : "1000000000") else {
      FileHandle.standardError.write(Data("usage: Backup DIRECTORY FILE [BYTES-PER-SECOND]\n".utf8))
      exit(64)
    }
    let (directory, path) = (words[0], words[1])
    let sink = try Descriptor.open(FilePath(path), .writeOnly, options: [.create, .exclusiveCreate])

    let ends = try SplicePipe().split()
    var reader = ends.reader
    let tar = Process()
    tar.executableURL = URL(fileURLWithPath: "/bin/tar")
    tar.arguments = ["-c", "-C", directory, "."]
    // The child has the only writing end once this handle is closed.
    let output = FileHandle(fileDescriptor: try ends.writer.release().rawValue, closeOnDealloc: false)
    tar.standardOutput = output
    try tar.run()
    try output.close()

    do throws(SpliceError) {
      let options = FlowOptions(pace: Pace(bytesPerSecond: rate), idle: .seconds(60))
      let count = try await reader.drain(to: sink, options: options)
      tar.waitUntilExit()
      guard tar.terminationStatus == 0 else { fail("tar ended with \(tar.terminationStatus)", path) }
      FileHandle.standardOutput.write(Data("\(count) bytes\n".utf8))
    } catch {
      tar.terminate()
      fail("\(error), after \(reader.delivered) bytes", path)
    }
    try sink.withFileDescriptor { try FileHandle(fileDescriptor: $0.rawValue).synchronize() }
  }

  static func fail(_ why: String, _ path: String) -> Never {
    try? FileManager.default.removeItem(atPath: path)
    FileHandle.standardError.write(Data("Backup: \(why)\n".utf8))
    exit(74)
  }
}
