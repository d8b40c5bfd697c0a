// Records of any number of threads, one after the other in memory, for one thread that takes them out.
//
// Nobody waits for anybody: a producer finds its place by one exchange of a word, copies, and says that it
// has. So what is to be written at a crash can be read by whoever is left, without a lock that nobody will
// give back.

import Synchronization
import SystemPackage

/// Bounded memory for records, in the order in which they found room.
///
/// Three words say how far it is, each a number of bytes and a number of records. Behind them is the memory,
/// and for each record that may be in it a word that is 0 until its bytes are there.
@safe final class RecordRing: @unchecked Sendable {
  // Sendable: a stretch of memory belongs to the producer that reserved it until it has said that its bytes
  // are there, and then to the one consumer, until that has released it.

  /// Bytes that fit.
  let capacity: Int
  private let memory: Mapping
  private let lengths: UnsafeMutablePointer<Atomic<UInt32>>
  private let most: Int
  /// Up to where producers have been given room, up to where the consumer has taken, and up to where nobody
  /// looks at the memory any more.
  private let reserved = Atomic<UInt64>(0)
  private let taken = Atomic<UInt64>(0)
  private let released = Atomic<UInt64>(0)

  /// A place in the stream: so many bytes, and so many records.
  private struct Place {
    let word: UInt64
    static let bytesMask: UInt64 = 1 << 40 - 1
    static let recordsMask: UInt64 = 1 << 23 - 1
    /// In the word of those that are reserved: there are no more.
    static let closed: UInt64 = 1 << 63

    var bytes: UInt64 { word & Self.bytesMask }
    var records: UInt64 { word >> 40 & Self.recordsMask }
    var isClosed: Bool { word & Self.closed != 0 }

    func advanced(bytes: Int, records: Int) -> Place {
      let bytes = (self.bytes &+ UInt64(bytes)) & Self.bytesMask
      return Place(word: ((self.records &+ UInt64(records)) & Self.recordsMask) << 40 | bytes)
    }

    func bytes(since other: Place) -> Int { Int((bytes &- other.bytes) & Self.bytesMask) }
    func records(since other: Place) -> Int { Int((records &- other.records) & Self.recordsMask) }
  }

  /// Memory for at least so many bytes.
  init(capacity: Int) throws(Errno) {
    guard capacity <= 1 << 30 else { throw .invalidArgument }
    let size = max(Slot.pageSize, capacity)
    self.capacity = size.nonzeroBitCount == 1 ? size : 1 << (Int.bitWidth - size.leadingZeroBitCount)
    most = min(1 << 20, max(64, self.capacity / 32))
    memory = try Mapping(count: self.capacity)
    unsafe lengths = .allocate(capacity: most)
    for index in 0..<most { unsafe (lengths + index).initialize(to: Atomic(0)) }
  }

  deinit {
    unsafe lengths.deinitialize(count: most)
    unsafe lengths.deallocate()
  }

  private var bytes: UnsafeMutableRawBufferPointer { unsafe memory.bytes }

  private func place(_ word: borrowing Atomic<UInt64>) -> Place {
    Place(word: word.load(ordering: .acquiring))
  }

  /// Bytes that are to be taken, or have room by now.
  var waiting: Int {
    let start = place(taken)
    return place(reserved).bytes(since: start)
  }

  /// Bytes that were taken, and are still looked at.
  var kept: Int {
    let start = place(released)
    return place(taken).bytes(since: start)
  }

  /// Whether so much waits, of bytes or of records, that it should not wait any longer.
  var isHalfFull: Bool {
    let start = place(taken), end = place(reserved)
    return end.bytes(since: start) > capacity / 2 || end.records(since: start) > most / 2
  }

  /// What is appended from now on is refused.
  func close() { reserved.bitwiseOr(Place.closed, ordering: .acquiringAndReleasing) }

  // MARK: Producers

  /// Whether a record has found room, and with that so many have that they should not wait any longer.
  enum Appended: Equatable { case held(isHalfFull: Bool), full, closed }

  /// Copies a record behind those that are there.
  func append(_ record: borrowing RawSpan) -> Appended {
    let count = record.byteCount
    var word = reserved.load(ordering: .relaxed)
    while true {
      let here = Place(word: word), done = place(released)
      if here.isClosed { return .closed }
      if count == 0 { return .held(isHalfFull: false) }
      let (bytes, records) = (here.bytes(since: done) + count, here.records(since: done) + 1)
      guard count <= capacity, bytes <= capacity, records <= most else {
        // Others may have moved both on in between.
        let now = reserved.load(ordering: .acquiring)
        if now == word { return .full }
        word = now
        continue
      }
      let next = here.advanced(bytes: count, records: 1)
      let result = reserved.weakCompareExchange(
        expected: word, desired: next.word, ordering: .acquiringAndReleasing)
      guard result.exchanged else {
        word = result.original
        continue
      }
      put(record, at: Int(here.bytes) & (capacity - 1))
      unsafe lengths[Int(here.records) & (most - 1)].store(UInt32(count), ordering: .releasing)
      return .held(isHalfFull: bytes > capacity / 2 || records > most / 2)
    }
  }

  private func put(_ record: borrowing RawSpan, at start: Int) {
    unsafe record.withUnsafeBytes { record in
      let first = min(record.count, capacity - start)
      unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: record[..<first]))
      unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: record[first...]))
    }
  }

  /// Where the next record goes: ``isTaken(upTo:)`` says when everything before it is.
  var end: UInt64 { reserved.load(ordering: .acquiring) }

  /// Whether the consumer has taken all that was in front of a place.
  func isTaken(upTo end: UInt64) -> Bool {
    let behind = Place(word: taken.load(ordering: .acquiring)).bytes(since: Place(word: end))
    return behind < 1 << 39
  }

  // MARK: The consumer

  /// Whole records at the front of a ring.
  @unsafe struct Ready {
    let records: Int
    let count: Int
    /// In one piece, or in two.
    let first, second: UnsafeRawBufferPointer
  }

  /// The records whose bytes are all there, up to the first that is still being copied, and no more than so
  /// many bytes unless the first is longer.
  @unsafe func ready(upTo limit: Int) -> Ready {
    let start = Place(word: taken.load(ordering: .relaxed))
    var (records, count) = (0, 0)
    let all = Place(word: reserved.load(ordering: .acquiring)).records(since: start)
    while records < all {
      let length = unsafe Int(lengths[(Int(start.records) + records) & (most - 1)].load(ordering: .acquiring))
      guard length > 0, count == 0 || count + length <= limit else { break }
      (records, count) = (records + 1, count + length)
    }
    let offset = Int(start.bytes) & (capacity - 1)
    let first = min(count, capacity - offset)
    return unsafe Ready(
      records: records, count: count,
      first: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + first]),
      second: UnsafeRawBufferPointer(rebasing: bytes[..<(count - first)]))
  }

  /// The length of one of the records that are ready, by its number.
  func length(_ record: Int) -> Int {
    let start = Place(word: taken.load(ordering: .relaxed))
    return unsafe Int(lengths[(Int(start.records) + record) & (most - 1)].load(ordering: .relaxed))
  }

  /// The first records are taken: the next is at the front.
  func take(_ records: Int) {
    let start = Place(word: taken.load(ordering: .relaxed))
    let count = (0..<records).reduce(0) { $0 + length($1) }
    taken.store(start.advanced(bytes: count, records: records).word, ordering: .releasing)
  }

  /// There is room again for what was taken, but for the last bytes of it, which somebody still looks at.
  func release(butFor kept: Int = 0) {
    let end = Place(word: taken.load(ordering: .relaxed))
    var here = Place(word: released.load(ordering: .relaxed))
    while here.word != end.word {
      let word = unsafe lengths + (Int(here.records) & (most - 1))
      let next = unsafe here.advanced(bytes: Int(word.pointee.load(ordering: .relaxed)), records: 1)
      if end.bytes(since: next) < kept { break }
      unsafe word.pointee.store(0, ordering: .relaxed)
      here = next
    }
    released.store(here.word, ordering: .releasing)
  }

  /// Takes all that there is, also what is still being copied; how many records that were.
  func abandon() -> Int {
    let end = Place(word: reserved.load(ordering: .acquiring) & ~Place.closed)
    defer { taken.store(end.word, ordering: .releasing) }
    return end.records(since: place(taken))
  }

  /// Everything is gone, also what was being copied: for a child, in which nobody else runs.
  func forget() {
    for index in 0..<most { unsafe lengths[index].store(0, ordering: .relaxed) }
    let end = reserved.load(ordering: .relaxed) & ~Place.closed
    taken.store(end, ordering: .releasing)
    released.store(end, ordering: .releasing)
  }
}
