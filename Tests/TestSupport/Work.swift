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

  /// What came of it.
  public func join() throws -> Value {
    done.wait()
    // For the next one who asks.
    done.signal()
    return try outcome.withLock { $0! }.get()
  }
}

/// Runs what blocks on a thread of its own, beside the test.
public func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) -> Work<Value> {
  Work(body)
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
