// Which address of a name is tried when (RFC 8305, "happy eyeballs"). Pure: it opens no socket and reads no
// clock.
//
// Addresses are begun in turn, each a short while after the one before, or at once when one has failed. The
// first that connects wins, and the others are closed.

import SystemPackage

/// Decides when each of several addresses is tried.
struct AddressRace {
  /// What is to be done next.
  enum Move: Hashable {
    /// Begin to connect to the address of this index.
    case begin(Int)
    /// Wait for those that were begun, until that time at the latest.
    case wait(until: Moment?)
    /// Every address has failed; why.
    case giveUp(Errno)
  }

  /// How long an address is alone before the next one is begun.
  static let headStart = Duration.milliseconds(250)

  private let count: Int
  private var begun = 0
  private var failed = 0
  /// When the next address is begun; nil for at once.
  private var due: Moment?
  private var failure = Errno.addressNotAvailable

  init(count: Int) { self.count = count }

  /// What was missing on this side, if that has ended the try of an address.
  var shortage: Errno? { failed > 0 && failure.isShortage ? failure : nil }

  /// What is to be done now. What it says is taken to be done.
  mutating func move(at now: Moment) -> Move {
    if begun < count, due.map({ $0 <= now }) ?? true {
      due = now + Self.headStart
      begun += 1
      return .begin(begun - 1)
    }
    return failed == count ? .giveUp(failure) : .wait(until: begun < count ? due : nil)
  }

  /// One that was begun has failed.
  mutating func fail(_ error: Errno) {
    failed += 1
    due = nil
    // The last failure is the one that is told, with two exceptions: what was missing on this side says
    // nothing of the addresses; and that this host has no address of a kind, such as IPv6, says less than
    // what another address answered.
    let isFirst = failed == 1
    if isFirst || !(failure.isShortage || error == .addressNotAvailable) || error.isShortage {
      failure = error
    }
  }

  /// The one that was to be begun could not be, for want of something on this side, and another that has had
  /// its time was given up for it: it is begun in its place.
  mutating func makeRoom(_ shortage: Errno) {
    fail(shortage)
    begun -= 1
  }

  /// These addresses with families in turn, beginning with the first one's, each family in its own order (RFC
  /// 8305, section 4).
  static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
    let first = addresses.filter { $0.domain == addresses[0].domain }
    let others = addresses.filter { $0.domain != addresses[0].domain }
    return (0..<max(first.count, others.count)).flatMap { index in
      [first, others].compactMap { index < $0.count ? $0[index] : nil }
    }
  }
}

extension Errno {
  /// Whether this process or this host has run out of something, whatever a peer did: descriptors, memory or
  /// buffers.
  package var isShortage: Bool {
    switch self {
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noBufferSpace, .noMemory: true
    default: false
    }
  }
}
