// Forwards one connection, both ways: the program of the pages for those who come from C, Go, tokio and SwiftNIO.

import Splice

@main struct Forward {
  static func main() async throws {
    let words = CommandLine.arguments
    guard words.count == 4, let port = UInt16(words[1]), let upstream = UInt16(words[3]) else {
      fatalError("usage: Forward PORT HOST PORT")
    }
    let listener = try Listener(host: "127.0.0.1", port: port)
    let client = try await listener.accept()
    let server = try await Descriptor.connect(host: words[2], port: upstream)
    var duplex = Duplex()
    try await duplex.run(between: client, and: server)
  }
}
