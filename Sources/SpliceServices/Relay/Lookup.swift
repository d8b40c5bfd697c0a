// Names of upstreams, looked up on threads of their own: a resolver may keep its thread for minutes, and nothing else waits for it.

import Splice

/// Looks up a name, from time to time. No more than one lookup is under way at once, on a detached thread.
final class Lookup: Sendable {
  typealias Answer = Result<[SocketAddress], ServerAddress.Failure>

  private let address: ServerAddress
  /// When the one that is under way has begun.
  private let begun = Locked<ContinuousClock.Instant?>(nil)

  init(of address: ServerAddress) { self.address = address }

  /// How long the one that is under way has taken until now.
  var age: Duration? { begun.withLock { $0.map { .now - $0 } } }

  /// Begins, unless one is under way. The answer is given on the lookup's thread, at some time or never.  C: `getaddrinfo`
  func begin(_ answer: @escaping @Sendable (Answer) -> Void) {
    let isFree = begun.withLock { begun in
      defer { begun = begun ?? .now }
      return begun == nil
    }
    guard isFree else { return }
    @Sendable func end(_ outcome: Answer) {
      begun.withLock { $0 = nil }
      answer(outcome)
    }
    do {
      try Syscall.startThread(name: "splice-resolver") { [address] in
        end(Answer { () throws(ServerAddress.Failure) in try address.resolve() })
      }
    } catch { end(.failure(ServerAddress.Failure(address: address, act: "resolve", reason: "\(error)"))) }
  }

  /// Looks up many at once, and waits for all of them unless it is stopped.
  static func all(
    _ addresses: [ServerAddress], stoppedBy stop: Stop?
  ) throws(ServerAddress.Failure) -> [[SocketAddress]] {
    let answers = Locked([Answer?](repeating: nil, count: addresses.count))
    let news: Event
    do { news = try Event() } catch {
      throw ServerAddress.Failure(address: addresses[0], act: "resolve", reason: "\(error)")
    }
    for (index, address) in addresses.enumerated() {
      if address.isName {
        Lookup(of: address).begin { answer in
          answers.withLock { $0[index] = answer }
          news.signal()
        }
      } else {
        let places = try address.resolve()
        answers.withLock { $0[index] = .success(places) }
      }
    }
    while true {
      let given = answers.withLock { $0 }
      var places: [[SocketAddress]] = []
      // The first name that is not known is told at once, whatever the others are.
      for case let answer? in given { places.append(try answer.get()) }
      if places.count == addresses.count { return places }
      if stop?.isStopped == true {
        throw ServerAddress.Failure(address: addresses[0], act: "resolve", reason: "stopped")
      }
      try? Poll(orStoppedBy: stop).wait(forAnyOf: [news.interest], atMost: nil)
      news.drain()
    }
  }
}
