// The bridges of the article Bridges: a number, a FileHandle, a DispatchIO channel and a child process, each as a source or a sink.

import Dispatch
import Foundation
import Splice
import SpliceFoundation
import SystemPackage

/// Copies what is behind a number that somebody else owns.
func copy(number: Int32, to sink: borrowing Descriptor) async throws -> UInt64 {
  let source = try Descriptor(duplicating: FileDescriptor(rawValue: number))
  var pipe = try SplicePipe()
  return try await pipe.forward(from: source, to: sink)
}

/// Writes a greeting into a file, and hands the file on as a `FileHandle`.
func greet(in path: String) async throws -> FileHandle {
  let file = Descriptor(
    owning: try FileDescriptor.open(
      path, .readWrite, options: [.create, .truncate], permissions: .ownerReadWrite))
  var pipe = try SplicePipe()
  try pipe.writeAll("hello\n".utf8.span.bytes)
  try await pipe.drain(to: file)
  return FileHandle(file)
}

/// Copies a `FileHandle`, which stays as it is.
func copy(_ handle: FileHandle, to sink: borrowing Descriptor) async throws -> UInt64 {
  let source = try handle.descriptor()
  var pipe = try SplicePipe()
  return try await pipe.forward(from: source, to: sink)
}

/// What comes out of a pipe, for code that reads with Dispatch.
func channel(of reader: consuming PipeReader) throws -> DispatchIO {
  let number = try reader.release().rawValue
  return DispatchIO(type: .stream, fileDescriptor: number, queue: .global()) { _ in
    try? FileDescriptor(rawValue: number).close()
  }
}

/// All that a channel gives.
func everything(from channel: DispatchIO) async -> Data {
  await withCheckedContinuation { continuation in
    var text = Data()
    channel.read(offset: 0, length: .max, queue: .global()) { isOver, data, _ in
      if let data { text.append(contentsOf: data) }
      if isOver { continuation.resume(returning: text) }
    }
  }
}

/// Runs a program, and splices what it says to a sink.
func output(of program: String, _ arguments: [String], to sink: borrowing Descriptor) async throws -> UInt64 {
  let ends = try SplicePipe().split()
  var reader = ends.reader
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = arguments
  // Ours is closed with the handle, so that the child has the only one.
  let output = FileHandle(fileDescriptor: try ends.writer.release().rawValue, closeOnDealloc: false)
  process.standardOutput = output
  try process.run()
  try output.close()
  let count = try await reader.drain(to: sink)
  process.waitUntilExit()
  return count
}

@main struct Bridges {
  static func main() async throws {
    let sink = try Descriptor(duplicating: .standardOutput)
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let handle = try await greet(in: path)
    try handle.seek(toOffset: 0)
    _ = try await copy(handle, to: sink)
    try handle.seek(toOffset: 0)
    _ = try await copy(number: handle.fileDescriptor, to: sink)
    _ = try await output(of: "/bin/echo", ["from a child"], to: sink)

    var ends = try SplicePipe().split()
    var text = PipeSegment(copying: "through Dispatch\n".utf8)
    try await ends.writer.send(&text)
    _ = consume ends.writer
    FileHandle.standardOutput.write(await everything(from: try channel(of: ends.reader)))
  }
}
