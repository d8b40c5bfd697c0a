// A word whose change threads wait for.

import CSplice
import Synchronization
import SystemPackage

/// A number that any thread changes, and any number of threads wait for. Who changes it makes no system call
/// while nobody waits.  C: `futex`
@safe package final class WaitWord: @unchecked Sendable {
  // Sendable and safe: both words are atomic, and there from the first line to the last of this object.
  private let word = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
  private let waiters = Atomic<Int>(0)

  package init(_ value: UInt32 = 0) { unsafe word.initialize(to: Atomic(value)) }

  deinit {
    unsafe word.deinitialize(count: 1)
    unsafe word.deallocate()
  }

  package var value: UInt32 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }

  /// Sets it, and wakes those who wait.
  package func set(_ value: UInt32) {
    unsafe word.pointee.store(value, ordering: .sequentiallyConsistent)
    wake()
  }

  /// Counts on, and wakes those who wait.
  package func advance() {
    unsafe word.pointee.wrappingAdd(1, ordering: .sequentiallyConsistent)
    wake()
  }

  /// Sets it if it is this value. Wakes nobody.
  package func exchange(_ value: UInt32, for new: UInt32) -> Bool {
    unsafe word.pointee.compareExchange(expected: value, desired: new, ordering: .sequentiallyConsistent)
      .exchanged
  }

  private func wake() {
    if waiters.load(ordering: .sequentiallyConsistent) > 0 { _ = unsafe csplice_futex_wake(address) }
  }

  private var address: UnsafePointer<UInt32> {
    unsafe UnsafeRawPointer(word).assumingMemoryBound(to: UInt32.self)
  }

  /// Waits until it is another value, for no longer than a time. May return early.
  package func wait(while value: UInt32, atMost time: Duration? = nil) {
    // A century is for ever.
    let nanoseconds = time.map { time in
      let time = min(max(time, .zero), .seconds(3_000_000_000)).components
      return time.seconds * 1_000_000_000 + time.attoseconds / 1_000_000_000
    }
    waiters.wrappingAdd(1, ordering: .sequentiallyConsistent)
    _ = unsafe csplice_futex_wait(address, value, nanoseconds ?? -1)
    waiters.wrappingSubtract(1, ordering: .sequentiallyConsistent)
  }
}

/// A number that any thread changes, and that is 0 in a child of this process.  C: MADV_WIPEONFORK
@safe package final class ForkWord: @unchecked Sendable {
  // Sendable and safe: the word is atomic, and there from the first line to the last of this object.
  private let page: UnsafeMutableRawBufferPointer
  private let word: UnsafeMutablePointer<Atomic<UInt32>>

  package init() throws(Errno) {
    unsafe page = try Syscall.mapWiped()
    unsafe word = page.bindMemory(to: Atomic<UInt32>.self).baseAddress.unsafelyUnwrapped
  }

  deinit { try? unsafe Syscall.unmap(page) }

  package var value: UInt32 { unsafe word.pointee.load(ordering: .sequentiallyConsistent) }

  package func set(_ value: UInt32) { unsafe word.pointee.store(value, ordering: .sequentiallyConsistent) }

  /// Sets it if it is this value.
  package func exchange(_ value: UInt32, for new: UInt32) -> Bool {
    unsafe word.pointee.compareExchange(expected: value, desired: new, ordering: .sequentiallyConsistent)
      .exchanged
  }
}
