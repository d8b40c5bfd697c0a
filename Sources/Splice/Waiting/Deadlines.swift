// When waits are to be over. Pure.
//
// A binary heap that knows where each wait is in it. What comes or goes is compared with at most log2 n
// others, 13 for eight thousand waits, and with one or two when it is the latest, as a new timeout mostly is.
// A wait without a deadline is never in here.

/// The deadlines of waits, each of which has a place of its own.
struct Deadlines {
  private var heap: [(moment: Moment, place: Int)] = []
  /// Where in the heap a place is; -1 when it is not.
  private var indices: [Int] = []

  /// The earliest, and whose it is.
  var first: (moment: Moment, place: Int)? { heap.first }

  mutating func insert(_ moment: Moment, for place: Int) {
    while indices.count <= place { indices.append(-1) }
    heap.append((moment, place))
    rise(from: heap.count - 1)
  }

  /// Does nothing for a place that has none.
  mutating func remove(_ place: Int) {
    guard indices.indices.contains(place), indices[place] >= 0 else { return }
    let hole = indices[place]
    indices[place] = -1
    let last = heap.removeLast()
    guard hole < heap.count else { return }
    heap[hole] = last
    rise(from: sink(from: hole))
  }

  private mutating func rise(from start: Int) {
    var index = start
    let entry = heap[index]
    while index > 0, entry.moment < heap[(index - 1) / 2].moment {
      put(heap[(index - 1) / 2], at: index)
      index = (index - 1) / 2
    }
    put(entry, at: index)
  }

  /// Where it came to rest.
  private mutating func sink(from start: Int) -> Int {
    var index = start
    let entry = heap[index]
    while true {
      var child = 2 * index + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1].moment < heap[child].moment { child += 1 }
      guard heap[child].moment < entry.moment else { break }
      put(heap[child], at: index)
      index = child
    }
    put(entry, at: index)
    return index
  }

  private mutating func put(_ entry: (moment: Moment, place: Int), at index: Int) {
    heap[index] = entry
    indices[entry.place] = index
  }
}
