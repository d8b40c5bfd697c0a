// What a number can be open on, beside a socket: an eventfd, an end of a pipe, an epoll instance.

#if CSPLICE_SIMULATION
  import CSplice
  import Glibc

  /// The events of poll and epoll.
  enum Events {
    static let input: UInt32 = 0x001, urgent: UInt32 = 0x002, output: UInt32 = 0x004
    static let error: UInt32 = 0x008, hangUp: UInt32 = 0x010, readHangUp: UInt32 = 0x2000
    static let edgeTriggered: UInt32 = 1 << 31
    static let always = error | hangUp

    static func text(_ events: UInt32) -> String {
      let names = [
        (input, "IN"), (urgent, "PRI"), (output, "OUT"), (error, "ERR"), (hangUp, "HUP"),
        (readHangUp, "RDHUP"),
      ]
      return names.filter { events & $0.0 != 0 }.map(\.1).joined(separator: "|")
    }
  }

  class File: CustomStringConvertible {
    unowned let world: World
    var name: String
    /// SO_LINGER with no time. What a listener is told, those it takes are told too.
    var resetsOnClose = false
    /// -1 while it is not open.
    var number: Int32 = -1
    /// Those of the epoll instances that watch it.
    fileprivate var items: [Epoll.Item] = []

    init(_ world: World, _ name: String) { (self.world, self.name) = (world, name) }

    var description: String { "\(number) \(name)" }
    /// What poll says. It may be asked on behalf of these events only.
    func poll(_ asked: UInt32) -> UInt32 { 0 }
    /// The last reference to it is gone.
    func closed() {}
    /// The type bits of its mode.
    var type: UInt32 { 0 }

    /// Something has happened to it: those who wait for one of these events are to look; all of them when
    /// there are none.
    final func wake(_ events: UInt32 = 0) {
      for item in items where !item.isQueued && (events == 0 || events & item.events != 0) {
        item.isQueued = true
        item.epoll.ready.append(item)
        item.epoll.wake(Events.input)
      }
    }

    final func leaveEpolls() {
      for item in items { item.leave() }
      items = []
    }
  }

  /// An eventfd.
  final class Bell: File {
    private var count: UInt64 = 0

    override func poll(_ asked: UInt32) -> UInt32 { (count > 0 ? Events.input : 0) | Events.output }

    func ring(_ by: UInt64) {
      count += by
      wake(Events.input)
    }

    func takeCount() -> UInt64? {
      defer { count = 0 }
      return count > 0 ? count : nil
    }
  }

  /// With EPOLLET, as all are that somebody waits for; one that is itself watched tells levels.
  final class Epoll: File {
    /// A file it watches.
    final class Item {
      let file: File
      let epoll: Epoll
      var events: UInt32
      var key: UInt64
      var isQueued = false

      init(_ file: File, _ epoll: Epoll, _ events: UInt32, _ key: UInt64) {
        (self.file, self.epoll, self.events, self.key) = (file, epoll, events, key)
      }

      /// What is ready of what is watched.
      var told: UInt32 { file.poll(events) & events }

      func leave() { epoll.ready.removeAll { $0 === self } }
    }

    typealias Told = (key: UInt64, events: UInt32)

    fileprivate(set) var ready: [Item] = []

    override func closed() {
      for file in world.files { file?.items.removeAll { $0.epoll === self } }
    }

    override func poll(_ asked: UInt32) -> UInt32 { ready.contains { $0.told != 0 } ? Events.input : 0 }

    func control(_ operation: Int32, _ file: File, _ events: UInt32, _ key: UInt64) -> Int32 {
      let item = file.items.first { $0.epoll === self }
      switch operation {
      case 1:
        guard item == nil else { return -EEXIST }
        file.items.append(Item(file, self, events | Events.always, key))
      case 3:
        guard let item else { return -ENOENT }
        (item.events, item.key) = (events | Events.always, key)
      default:
        guard let item else { return -ENOENT }
        item.leave()
        file.items.removeAll { $0 === item }
        return 0
      }
      // What is ready already is told of, too.
      if file.poll(events) & (events | Events.always) != 0 { file.wake() }
      return 0
    }

    /// Takes what there is to be told, in an order of its own, and sometimes not all of it: the rest came a
    /// moment later. What is told is what is ready now, whatever it was that woke.
    func harvest(atMost count: Int) -> [Told] {
      while !ready.isEmpty {
        let told = harvestSome(atMost: count)
        if !told.isEmpty { return told }
      }
      return []
    }

    private func harvestSome(atMost count: Int) -> [Told] {
      world.dice.shuffle(&ready)
      let most = min(count, ready.count)
      let taken = most == 1 || world.dice.chance(70) ? most : 1 + world.dice.below(most)
      let batch = Array(ready.suffix(taken))
      ready.removeLast(taken)
      var told: [Told] = []
      for item in batch {
        guard item.events & Events.edgeTriggered != 0 else {
          world.fail("\(item.file) is waited for without EPOLLET")
        }
        item.isQueued = false
        let events = item.told
        if events == 0 { continue }
        if world.isTraced { world.note("epoll tells of \(item.file): \(Events.text(events))") }
        told.append((item.key, events))
      }
      return told
    }
  }

  /// A pipe: slots, each of at most a page unless it came by reference.
  final class PipeBuffer {
    struct Slot {
      var piece: Piece
      var mayGrow: Bool
    }
    var slots: [Slot] = []
    var size: Int
    var count = 0

    static let page = 4096

    init(size: Int) { self.size = size }

    var isFull: Bool { slots.count >= size / Self.page }

    func append(_ piece: Piece, mayGrow: Bool = false) {
      slots.append(Slot(piece: piece, mayGrow: mayGrow))
      count += piece.count
    }

    /// As a non-blocking write: what fits, but a page or less is never torn.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
      var written = 0
      let odd = bytes.count % Self.page
      if odd > 0, let last = slots.last, last.mayGrow, last.piece.count + odd <= Self.page,
        case .bytes(let before) = last.piece.content
      {
        slots[slots.count - 1].piece = Piece(bytes: before + bytes[..<odd])
        count += odd
        written = odd
      }
      while written < bytes.count, !isFull {
        let part = min(Self.page, bytes.count - written)
        append(Piece(bytes: Array(bytes[written..<written + part])), mayGrow: true)
        written += part
      }
      return written == 0 ? -Int(EAGAIN) : written
    }

    /// Takes the front, no more than so many bytes of it, which is of one slot.
    func take(upTo limit: Int) -> Piece {
      let front = slots[0].piece
      if front.count <= limit {
        slots.removeFirst()
        count -= front.count
        return front
      }
      slots[0].piece = front.dropping(limit)
      count -= limit
      return front.prefix(limit)
    }
  }

  /// One end of a pipe.
  final class PipeEnd: File {
    let buffer: PipeBuffer
    let isReader: Bool

    init(_ world: World, _ buffer: PipeBuffer, isReader: Bool) {
      (self.buffer, self.isReader) = (buffer, isReader)
      super.init(world, isReader ? "pipe's reader" : "pipe's writer")
    }

    override var type: UInt32 { 0o010000 }

    override func poll(_ asked: UInt32) -> UInt32 {
      isReader ? (buffer.slots.isEmpty ? 0 : Events.input) : (buffer.isFull ? 0 : Events.output)
    }
  }
#endif
