// A value behind a lock of the thread library.
//
// Not `Synchronization.Mutex`: that one is invisible to ThreadSanitizer, which then takes every value it guards for a
// race, and hides the true ones in the noise.

import Glibc

/// A value that one thread at a time may touch.
@safe final class Locked<Value: ~Copyable>: @unchecked Sendable {
  // Safe and Sendable: the mutex lives as long as this object, and the value is only reached through `withLock`.
  private var value: Value
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init(_ value: consuming Value) {
    self.value = value
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe pthread_mutex_init(mutex, nil)
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  /// Runs `body` alone with the value.  C: `pthread_mutex_lock`, `pthread_mutex_unlock`
  @inline(__always)
  func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
