// Codings that a client likes.

import Testing

@testable import SpliceServices

struct AcceptedCodingsTests {
  @Test(
    arguments: [
      (nil, []), ("", []), ("gzip", [.gzip]), ("gzip, br", [.br, .gzip]), ("br;q=0.5, gzip", [.gzip, .br]),
      ("*", [.br, .zstd, .gzip]), ("*;q=0", []), ("gzip;q=0, *", [.br, .zstd]), ("x-gzip", [.gzip]),
      ("GZIP ; q=1.000", [.gzip]), ("identity, gzip;q=0.5", []), ("gzip;q=2", []), ("gzip;q=0.1234", []),
      ("gzip;q=", []), ("gzip;level=1", []), ("zstd;q=0.3,br;q=0.2,gzip;q=0.9", [.gzip, .zstd, .br]),
      ("deflate", []), ("identity;q=0.5, *;q=0.4", []), ("gzip;q=0.000", []),
    ] as [(String?, [ContentCoding])])
  func `what a client likes`(_ header: String?, _ codings: [ContentCoding]) {
    #expect(AcceptedCodings(header).codings == codings)
  }
}
