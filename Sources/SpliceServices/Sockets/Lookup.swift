// Names, looked up on threads of their own: a resolver may keep its thread for minutes, and nothing else
// waits for it.

import Splice
import SystemPackage

/// Looks up a name, from time to time. No more than one lookup is under way at once, on a detached thread.
package final class Lookup: Sendable {
  typealias Answer = Result<[SocketAddress], ServerAddress.Unusable>

  private let address: ServerAddress
  private let isToListen: Bool
  /// When the one that is under way has begun.
  private let begun = Locked<ContinuousClock.Instant?>(nil)

  init(of address: ServerAddress, toListen isToListen: Bool = false) {
    (self.address, self.isToListen) = (address, isToListen)
  }

  /// How long the one that is under way has taken until now.
  var age: Duration? { begun.withLock { $0.map { .now - $0 } } }

  /// Begins, unless one is under way. The answer is given on the lookup's thread, at some time or never; at
  /// once when there is no thread for it.  C: `getaddrinfo`
  func begin(_ answer: @escaping @Sendable (Answer) -> Void) {
    do throws(Errno) { try start(answer) } catch {
      answer(.failure(ServerAddress.Unusable(address: address, act: "resolve", reason: "\(error)")))
    }
  }

  private func start(_ answer: @escaping @Sendable (Answer) -> Void) throws(Errno) {
    let isFree = begun.withLock { begun in
      defer { begun = begun ?? .now }
      return begun == nil
    }
    guard isFree else { return }
    do throws(Errno) {
      try Syscall.startThread(name: "splice-resolver") { [self] in
        let outcome = Answer { () throws(ServerAddress.Unusable) in try address.resolve(toListen: isToListen)
        }
        begun.withLock { $0 = nil }
        answer(outcome)
      }
    } catch {
      begun.withLock { $0 = nil }
      throw error
    }
  }

  /// Looks up many at once, and waits for all of them as long as `poll` allows. Numbers are no question, and
  /// what there is no thread or no descriptor for is asked here.
  package static func all(
    _ addresses: [ServerAddress], toListen: Bool = false, waitingIn poll: BlockingWait
  ) throws(ServerAddress.Unusable) -> [[SocketAddress]] {
    let answers = Locked([Answer?](repeating: nil, count: addresses.count))
    let news = addresses.contains(where: \.isName) ? try? Event() : nil
    for (index, address) in addresses.enumerated() {
      let begun: ()? = news.flatMap { news in
        guard address.isName else { return nil }
        return try? Lookup(of: address, toListen: toListen).start { answer in
          answers.withLock { $0[index] = answer }
          news.signal()
        }
      }
      if begun == nil {
        let places = try address.resolve(toListen: toListen)
        answers.withLock { $0[index] = .success(places) }
      }
    }
    while true {
      let given = answers.withLock { $0 }
      var places: [[SocketAddress]] = []
      // The first name that is not known is told at once, whatever the others are.
      for case let answer? in given { places.append(try answer.get()) }
      guard places.count < addresses.count, let news else { return places }
      do throws(SpliceError) { try poll.check() } catch {
        throw ServerAddress.Unusable(
          address: addresses[0], act: "resolve", reason: error == .timedOut ? "no answer" : "stopped")
      }
      try? poll.wait(forAnyOf: [news.interest], atMost: nil)
      news.drain()
    }
  }
}
