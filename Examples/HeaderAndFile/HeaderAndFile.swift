import Foundation
import Splice
import SystemPackage

@main struct HeaderAndFile {
  static func main() async throws {
    guard let path = CommandLine.arguments.dropFirst().first else {
      FileHandle.standardError.write(Data("usage: HeaderAndFile FILE\n".utf8))
      exit(64)
    }
    let file = Descriptor(owning: try FileDescriptor.open(FilePath(path), .readOnly))
    let output = try Descriptor(duplicating: .standardOutput)

    var pipe = try SplicePipe()
    try pipe.writeAll("Content-Type: text/plain\r\n\r\n".utf8Span.span.bytes)
    do {
      try await pipe.forward(from: file, to: output)  // header and file leave together
    } catch SpliceError.sink(let errno) {
      print("the reader went away (\(errno)); \(pipe.count) bytes are still here")
    }
  }
}
