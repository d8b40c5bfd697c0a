// For programs that use Foundation: errors in sentences, and handles.

import Foundation
import SpliceFoundation
import SystemPackage
import TestSupport
import Testing

@testable import Splice

@Suite struct FoundationTests {
  @Test(arguments: [
    (SpliceError.source(.connectionReset), "Reading from the source failed: Connection reset by peer."),
    (.sink(.noSpace), "Writing to the sink failed: No space left on device."),
    (.pipe(.tooManyOpenFiles), "The pipe between source and sink failed: Too many open files."),
    (.truncated(missing: 7), "The source ended 7 bytes too early."),
    (.cancelled, "The transfer was cancelled."), (.timedOut, "The transfer took too long."),
  ])
  func `errors are described for people`(_ error: SpliceError, _ text: String) {
    #expect(error.localizedDescription == text)
    let failure = Duplex.Failure(direction: .backward, error: error)
    #expect(failure.localizedDescription == "From the second to the first: " + text)
    #expect(Duplex.Failure(direction: nil, error: error).localizedDescription == text)
  }

  @Test func `a name that is not found`() async throws {
    do {
      _ = try await Descriptor.connect(host: "no.such.host.invalid", port: 1)
      Issue.record("it was found")
    } catch {
      #expect(error.localizedDescription.hasPrefix("Looking up no.such.host.invalid failed: "))
    }
  }

  @Test func handles() async throws {
    let file = try TemporaryFile(bytes(1000))
    let handle = FileHandle(try file.open(.readOnly))
    let copy = try handle.descriptor()
    var pipe = try SplicePipe()
    var sink = BytesSink<Data>()
    try await pipe.forward(from: copy, to: &sink, upTo: 400)
    #expect(try sink.bytes + (handle.readToEnd() ?? Data()) == Data(bytes(1000)))
  }
}
