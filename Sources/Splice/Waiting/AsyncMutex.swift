// One task at a time, for as long as its flow takes.

/// A value that tasks use one after the other, each for as long as it likes, also across `await`: a pipe, an
/// end or a descriptor that an actor owns, or that several tasks share. First come, first served.
///
/// An actor cannot lend what it stores to an async call that changes it; this can.
///
/// ```swift
/// actor Upload {
///   private let pipe: AsyncMutex<SplicePipe>
///   init() throws { pipe = AsyncMutex(try SplicePipe()) }
///
///   func send(_ file: borrowing Descriptor, to socket: borrowing Descriptor) async throws {
///     try await pipe.withLock { pipe in try await pipe.forward(from: file, to: socket) }
///   }
/// }
/// ```
///
/// A task that asks again for what it holds waits for itself, as with every mutex.
public final class AsyncMutex<Value: ~Copyable & Sendable>: Sendable {
  private struct Place: ~Copyable {
    /// Nil while a task has it.
    var value: Value?
    /// Whether a task has it, or is about to take it.
    var isTaken = false
    /// Who waits for it, in the order they came, by the numbers they were given.
    var waiters: [(number: UInt64, turn: CheckedContinuation<Bool, Never>)] = []
    var numbers: UInt64 = 0

    init(_ value: consuming Value) { self.value = consume value }

    /// Whether it is free, and now is not.
    mutating func begin() -> Bool {
      defer { isTaken = true }
      return !isTaken
    }

    /// It is there again: for the first waiter, which is resumed once the lock is left.
    mutating func end(_ value: consuming Value) -> CheckedContinuation<Bool, Never>? {
      self.value = consume value
      isTaken = !waiters.isEmpty
      return isTaken ? waiters.removeFirst().turn : nil
    }

    mutating func remove(_ number: UInt64) -> CheckedContinuation<Bool, Never>? {
      waiters.firstIndex { $0.number == number }.map { waiters.remove(at: $0).turn }
    }
  }

  private let place: Locked<Place>

  /// Holds a value.
  public init(_ value: consuming Value) { place = Locked(Place(value)) }

  /// Runs `body` alone with the value, when it is this task's turn; what `body` leaves of it is there for the
  /// next, also when it throws.
  ///
  /// - Throws: What `body` throws; ``SpliceError/cancelled`` when the task is cancelled before its turn.
  @discardableResult
  public nonisolated(nonsending) func withLock<Result>(
    _ body: (inout Value) async throws -> Result
  ) async throws -> Result {
    try await begin()
    var value = take()
    do {
      let result = try await body(&value)
      end(value)
      return result
    } catch {
      end(value)
      throw error
    }
  }

  /// How many wait for their turn.
  package var waiting: Int { place.withLock { $0.waiters.count } }

  private nonisolated(nonsending) func begin() async throws(SpliceError) {
    if Task.isCancelled { throw .cancelled }
    let number = place.withLock { place -> UInt64? in
      if place.begin() { return nil }
      place.numbers += 1
      return place.numbers
    }
    guard let number else { return }
    let isMine = await withTaskCancellationHandler {
      await withCheckedContinuation { turn in
        let isMine = place.withLock { place -> Bool? in
          // Whoever cancels later finds it among those who wait.
          if Task.isCancelled { return false }
          if place.begin() { return true }
          place.waiters.append((number, turn))
          return nil
        }
        if let isMine { turn.resume(returning: isMine) }
      }
    } onCancel: {
      place.withLock { $0.remove(number) }?.resume(returning: false)
    }
    if !isMine { throw .cancelled }
  }

  private func take() -> Value {
    var taken: Value?
    place.withLock { swap(&$0.value, &taken) }
    guard let value = taken else { preconditionFailure("whose turn it is has the value") }
    return value
  }

  private func end(_ value: consuming Value) {
    var back: Value? = consume value
    let turn = place.withLock { place in
      guard let value = back.take() else { return nil as CheckedContinuation<Bool, Never>? }
      return place.end(value)
    }
    turn?.resume(returning: true)
  }
}
