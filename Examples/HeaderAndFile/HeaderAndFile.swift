import Splice
import SystemPackage

@main struct HeaderAndFile {
  static func main() async throws {
    let file = Descriptor(owning: try FileDescriptor.open(FilePath(CommandLine.arguments[1]), .readOnly))
    let output = try Descriptor(duplicating: .standardOutput)

    var pipe = try SplicePipe()
    try pipe.writeAll("Content-Type: text/plain\r\n\r\n".utf8Span.span.bytes)
    do {
      try await pipe.splice(from: file, to: output)  // header and file leave together
    } catch SpliceError.sink(let errno) {
      print("the reader went away (\(errno)); \(pipe.count) bytes are still here")
    }
  }
}
