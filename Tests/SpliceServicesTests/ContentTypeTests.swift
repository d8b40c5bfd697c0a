// Types by the end of a name.

import Testing

@testable import SpliceServices

struct ContentTypeTests {
  @Test(arguments: [
    ("a.html", "text/html; charset=utf-8"), ("a.tar.gz", "application/gzip"), ("A.PNG", "image/png"),
    ("a", "application/octet-stream"), ("a.", "application/octet-stream"),
    (".html", "application/octet-stream"),
    ("a.verylongsuffixindeed", "application/octet-stream"), ("a.mp4", "video/mp4"),
  ])
  func `by the end of a name`(_ name: String, _ type: String) {
    #expect(ContentType.of(Array(name.utf8)) == type)
  }
}
