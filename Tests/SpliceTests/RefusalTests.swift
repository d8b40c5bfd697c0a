// The one table: which errno means that something cannot splice, and for whom.

import SystemPackage
import Testing

@testable import Splice

@Suite(.mayBlock) struct RefusalTests {
  @Test(arguments: Descriptor.Direction.allCases)
  func `refusals and failures are told apart`(_ hop: Descriptor.Direction) {
    let table: [(Errno, Refusal?)] = [
      (.invalidArgument, .descriptor), (.notSupported, .descriptor), (.notPermitted, .descriptor),
      (.noFunction, .process), (.badFileDescriptor, nil), (.ioError, nil), (.noSpace, nil),
      (.brokenPipe, nil), (.connectionReset, nil), (.isDirectory, nil), (.noMemory, nil),
      (.fileTooLarge, nil),
    ]
    for (errno, expected) in table { #expect(Refusal(errno, hop: hop) == expected, "\(errno)") }
  }
}
