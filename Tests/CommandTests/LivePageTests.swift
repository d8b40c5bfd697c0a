// The live page in a browser: numbers move while bytes do, it fits a phone, and it is a page without scripts
// too.

import Foundation
import TestSupport
import Testing

@Suite(.mayBlock) struct LivePageTests {
  @Test func `the numbers of the live page move in a browser`() throws {
    // Looked at by people: what a browser drew is kept beside what was built.
    let artefacts = "\(packageRoot)/.build/artefacts"
    try FileManager.default.createDirectory(atPath: artefacts, withIntermediateDirectories: true)
    let place = try TemporaryDirectory()
    try passes("live_page/the_numbers_of_the_live_page_move_in_a_browser", artefacts, in: place)
    for name in ["page-light.png", "page-phone-dark.png", "page-without-scripts.png"] {
      #expect(FileManager.default.contents(atPath: "\(artefacts)/\(name)")?.count ?? 0 > 5000)
    }
  }
}
