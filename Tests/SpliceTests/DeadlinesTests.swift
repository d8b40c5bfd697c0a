// The heap of deadlines beside a list of them.

import Testing

@testable import Splice

@Suite struct DeadlinesTests {
  /// Whatever comes and goes, the first is the earliest, and leaves once.
  @Test func `the first deadline is always the earliest`() {
    var numbers = SystemRandomNumberGenerator()
    let origin = Moment.now
    for _ in 0..<50 {
      var (heap, list) = (Deadlines(), [Int: Moment]())
      for _ in 0..<300 {
        let place = Int.random(in: 0..<40, using: &numbers)
        switch Int.random(in: 0..<3, using: &numbers) {
        case 0 where list[place] == nil:
          let moment = origin + .milliseconds(Int.random(in: 0..<20, using: &numbers))
          heap.insert(moment, for: place)
          list[place] = moment
        case 1:
          heap.remove(place)
          list[place] = nil
        default:
          guard let first = heap.first else { break }
          #expect(list[first.place] == first.moment)
          heap.remove(first.place)
          list[first.place] = nil
        }
        #expect(heap.first?.moment == list.values.min())
      }
    }
  }
}
