// Work beside a test, on a thread of its own.

import Foundation
import Synchronization

/// What a thread does, and what comes of it.
public final class Work<Value: Sendable>: Sendable {
  private let outcome = Mutex<Result<Value, any Error>?>(nil)
  private let done = DispatchSemaphore(value: 0)

  fileprivate init(_ body: @escaping @Sendable () throws -> Value) {
    Thread {
      let result = Result(catching: body)
      self.outcome.withLock { $0 = result }
      self.done.signal()
    }.start()
  }

  /// What came of it. A thread that does not end within the bound fails the test, and is left behind.
  public func join(within bound: Duration = Bound.usual) throws -> Value {
    guard done.wait(timeout: .now() + bound.seconds) == .success else {
      throw Hung(description: "a thread of the test has not ended within \(bound)")
    }
    // For the next one who asks.
    done.signal()
    return try outcome.withLock { $0! }.get()
  }
}

/// Runs what blocks on a thread of its own, beside the test.
public func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) -> Work<Value> {
  Work(body)
}

/// How long tests wait.
public enum Bound {
  /// Above what anything takes, where all tests share two cores and end together, and far below what the
  /// suite may take. SPLICE_TEST_BOUND, in seconds, for slower machines and sanitizers.
  public static let usual = Duration.seconds(
    ProcessInfo.processInfo.environment["SPLICE_TEST_BOUND"].flatMap { Int($0) } ?? 240)
}

extension Duration {
  var seconds: Double { self / .seconds(1) }
}

/// Something a test waited for in vain.
public struct Hung: Error, CustomStringConvertible {
  public let description: String
}

/// Looks again and again until something is so.
public func waitUntil(
  _ what: String, within bound: Duration = Bound.usual, _ condition: () throws -> Bool
) throws {
  let end = ContinuousClock.now + bound
  while try !condition() {
    if end <= .now { throw Hung(description: "in vain for \(bound): \(what)") }
    usleep(500)
  }
}

/// Holds what cannot be copied, to be taken out by whoever it is meant for.
public final class Box<Value: ~Copyable & Sendable>: @unchecked Sendable {
  // Sendable: a test hands it to one thread at a time.
  private var value: Value?

  public init(_ value: consuming Value) { self.value = consume value }

  /// Takes it out, once.
  public func take() -> Value {
    guard let taken = value.take() else { fatalError("taken already") }
    return taken
  }
}
