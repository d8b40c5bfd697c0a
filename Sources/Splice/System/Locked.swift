// A value behind a lock of the thread library.
//
// Not `Synchronization.Mutex`: that one is invisible to ThreadSanitizer, which then takes every value it
// guards for a race, and hides the true ones in the noise.

import CSplice

/// A value that one thread at a time may touch.
@safe package final class Locked<Value: ~Copyable>: @unchecked Sendable {
  // Safe and Sendable: both are there from the first line to the last of this object, and the value is only
  // reached through `withLock`. So the lock alone sees to it that nobody else does, and the runtime need not
  // check that a second time.
  fileprivate let value = UnsafeMutablePointer<Value>.allocate(capacity: 1)
  fileprivate let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  package init(_ value: consuming Value) {
    unsafe self.value.initialize(to: value)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe pthread_mutex_init(mutex, nil)
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
    unsafe value.deinitialize(count: 1)
    unsafe value.deallocate()
  }

  /// Runs `body` alone with the value.  C: `pthread_mutex_lock`, `pthread_mutex_unlock`
  @inline(__always)
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try unsafe body(&value.pointee)
  }

  /// For who forks, and wants no other thread to have it then.
  func lock() { unsafe pthread_mutex_lock(mutex) }
  func unlock() { unsafe pthread_mutex_unlock(mutex) }
}

/// A value that one thread at a time may touch, and threads wait for a change of.
@safe package final class Condition<Value: ~Copyable>: @unchecked Sendable {
  // Safe and Sendable for the reasons of `Locked`, whose lock is the one the condition belongs to.
  private let locked: Locked<Value>
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init(_ value: consuming Value) {
    locked = Locked(value)
    unsafe condition.initialize(to: pthread_cond_t())
    unsafe pthread_cond_init(condition, nil)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe condition.deallocate()
  }

  /// Runs `body` alone with the value.
  package func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try locked.withLock(body)
  }

  /// Wakes one of the threads that wait, after a change.  C: `pthread_cond_signal`
  package func wakeOne() { unsafe pthread_cond_signal(condition) }

  /// Sleeps until `body` has an answer: it looks alone at the value, at once and after each change.
  /// C: `pthread_cond_wait`
  package func wait<Result>(_ body: (inout Value) -> Result?) -> Result {
    unsafe pthread_mutex_lock(locked.mutex)
    defer { unsafe pthread_mutex_unlock(locked.mutex) }
    while true {
      if let answer = unsafe body(&locked.value.pointee) { return answer }
      unsafe pthread_cond_wait(condition, locked.mutex)
    }
  }
}
