// System calls that wait, and what belongs to a thread.

import CSplice
import SystemPackage

// MARK: - Waiting

extension Syscall {
  /// Waits until a descriptor is ready or the time is up; the answer is how many are. A signal ends the wait
  /// early, with 0.  C: `ppoll`
  package static func ppoll(_ descriptors: inout [pollfd], for time: Duration?) throws(Errno) -> Int {
    let nanoseconds: Int64 = time.map { max(0, $0.nanoseconds) } ?? -1
    let count = CUnsignedInt(descriptors.count)
    let result = unsafe descriptors.withUnsafeMutableBufferPointer {
      unsafe csplice_ppoll($0.baseAddress, count, nanoseconds)
    }
    if result >= 0 { return Int(result) }
    let errno = Errno(rawValue: -result)
    guard errno == .interrupted else { throw errno }
    for index in descriptors.indices { descriptors[index].revents = 0 }
    return 0
  }

  /// Which of two events, if any, is there right now.  C: `ppoll` with no time
  package static func isReady(_ descriptor: FileDescriptor, _ events: Int32) throws(Errno) -> Bool {
    var one = [pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0)]
    return try ppoll(&one, for: .zero) > 0
  }

  /// The peer has closed its own half.  C: POLLRDHUP, which is behind _GNU_SOURCE
  package static let readHangUp: CInt = 0x2000

  /// What poll tells of a descriptor right now, asked for or not.  C: `ppoll` with no time
  package static func state(of descriptor: FileDescriptor, _ events: CInt) throws(Errno) -> CInt {
    var one = [pollfd(fd: descriptor.rawValue, events: Int16(events), revents: 0)]
    _ = try ppoll(&one, for: .zero)
    return CInt(one[0].revents)
  }

  /// A new epoll instance.  C: `epoll_create1`
  package static func epollCreate() throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_epoll_create1() }))
  }

  /// Adds, changes or removes a descriptor; `key` comes back with its events.  C: `epoll_ctl`
  package static func epollControl(
    _ epoll: FileDescriptor, _ operation: EpollOperation, _ descriptor: FileDescriptor, events: UInt32,
    key: UInt64
  ) throws(Errno) {
    _ = try call { csplice_epoll_ctl(epoll.rawValue, operation.rawValue, descriptor.rawValue, events, key) }
  }

  /// What `epoll_ctl` is to do.
  package enum EpollOperation: CInt, Sendable {
    /// EPOLL_CTL_ADD
    case add = 1
    /// EPOLL_CTL_DEL
    case remove = 2
    /// EPOLL_CTL_MOD
    case modify = 3
  }

  /// The events of epoll, by their C names without the prefix.
  package enum EpollEvents {
    package static let input: UInt32 = 0x001
    package static let urgent: UInt32 = 0x002
    package static let output: UInt32 = 0x004
    package static let error: UInt32 = 0x008
    package static let hangUp: UInt32 = 0x010
    package static let readHangUp: UInt32 = 0x2000
    package static let edgeTriggered: UInt32 = 1 << 31
  }

  /// An event and the key it was asked for with.
  package typealias EpollEvent = csplice_event

  /// Waits for events, as many as `events` has places, 256 at the most. A signal ends the wait early.
  /// C: `epoll_wait`
  package static func epollWait(
    _ epoll: FileDescriptor, into events: inout [EpollEvent], milliseconds: CInt
  ) throws(Errno) -> Int {
    let count = CInt(events.count)
    let result = unsafe events.withUnsafeMutableBufferPointer {
      unsafe csplice_epoll_wait(epoll.rawValue, $0.baseAddress, count, milliseconds)
    }
    if result >= 0 { return Int(result) }
    let errno = Errno(rawValue: -result)
    guard errno == .interrupted else { throw errno }
    return 0
  }

  /// A counter one can wait for: written to wake, read to rest.  C: `eventfd`
  package static func eventfd() throws(Errno) -> FileDescriptor {
    FileDescriptor(rawValue: CInt(try call { csplice_eventfd() }))
  }

  /// Wakes the waiter of an eventfd. Nothing but `write`, so a signal handler may do it.  C: `write`
  package static func signal(eventfd: FileDescriptor) {
    var one: UInt64 = 1
    // EAGAIN means the counter is at its limit, and a counter that is not zero wakes all the same.
    _ = unsafe withUnsafeBytes(of: &one) { unsafe csplice_write(eventfd.rawValue, $0.baseAddress, $0.count) }
  }

  /// Lets an eventfd rest again.  C: `read`
  package static func drain(eventfd: FileDescriptor) {
    var count: UInt64 = 0
    // EAGAIN means that it rests already.
    _ = unsafe withUnsafeMutableBytes(of: &count) {
      unsafe csplice_read(eventfd.rawValue, $0.baseAddress, $0.count)
    }
  }
}

// MARK: - Simulation

extension Syscall {
  /// What the thread's simulated kernel says the time is; nil when its kernel is the real one.
  static var simulatedNanoseconds: Int64? {
    #if CSPLICE_SIMULATION
    // A kernel outlives the threads that it was given to.
    guard let kernel = unsafe csplice_thread_kernel() else { return nil }
    return unsafe kernel.pointee.now()
    #else
    return nil
    #endif
  }

  /// Whether the kernel of this thread is a simulated one.
  static var isSimulated: Bool { simulatedNanoseconds != nil }
}

// MARK: - Threads

extension Syscall {
  /// Starts a detached thread with all signals of the process blocked, SIGPIPE among them.
  /// C: `pthread_create`, `pthread_setname_np`
  package static func startThread(name: String, _ body: @escaping @Sendable () -> Void) throws(Errno) {
    let body = ThreadBody {
      unsafe csplice_pthread_setname(String(name.prefix(15)))
      body()
    }
    let box = unsafe Unmanaged.passRetained(body)
    let result = unsafe csplice_pthread_create(
      { argument in
        csplice_thread_set_pipe_safe(true)
        // The box was retained once for this thread, which takes it here, once.
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, box.toOpaque())
    if result < 0 {
      unsafe box.release()
      throw Errno(rawValue: -result)
    }
  }

  private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Whose thread this is, as its owner set it.
  package static func isThread(of owner: AnyObject) -> Bool {
    unsafe csplice_thread_owner() == UnsafeRawPointer(Unmanaged.passUnretained(owner).toOpaque())
  }

  /// The owner of this thread, if it has one. The owner outlives its thread.
  package static func threadOwner<Owner: AnyObject>(as type: Owner.Type) -> Owner? {
    guard let owner = unsafe csplice_thread_owner() else { return nil }
    return unsafe Unmanaged<Owner>.fromOpaque(owner).takeUnretainedValue()
  }

  /// Says whose thread this is. The owner must outlive it.
  package static func setThreadOwner(_ owner: AnyObject) {
    unsafe csplice_thread_set_owner(Unmanaged.passUnretained(owner).toOpaque())
  }

  /// How much ``withScratch(_:)`` lends.
  package static let scratchSize = Int(CSPLICE_SCRATCH)

  /// Lends memory of this thread's until `body` ends, which does not ask for it again. Whatever is in it is
  /// of no meaning.
  @inline(__always)
  package static func withScratch<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // As long as the thread, and so as this call; nobody else has its address.
    try unsafe body(UnsafeMutableRawBufferPointer(start: csplice_thread_scratch(), count: scratchSize))
  }

  /// Keeps SIGPIPE away from this thread for good: one that runs nothing but what waits for no signal.
  /// C: `pthread_sigmask`
  package static func keepSIGPIPEAway() {
    _ = csplice_pthread_sigmask_block_pipe()
    csplice_thread_set_pipe_safe(true)
  }

  /// Runs `body` while a lost reader is an EPIPE and no signal, on whatever thread this is. The threads of
  /// this library block SIGPIPE for ever; on a foreign one it is blocked, a signal that came of `body` is
  /// taken, and the mask is put back (the pattern of `pthread_sigmask` and `sigtimedwait`). Nests at no cost.
  package static func withoutSIGPIPE<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let mask = blockSIGPIPE()
    defer { unblockSIGPIPE(mask) }
    return try body()
  }

  /// What a thread did with SIGPIPE before ``blockSIGPIPE()``.
  enum SIGPIPEMask {
    /// One of this library's, or within another block.
    case safe
    /// Blocked by the program itself: then a pending one is the program's to see, as it would be after a C
    /// call.
    case blocked
    case unblocked
  }

  /// The beginning of what ``withoutSIGPIPE(_:)`` does, whose end is ``unblockSIGPIPE(_:)`` on the same
  /// thread.
  static func blockSIGPIPE() -> SIGPIPEMask {
    if csplice_thread_is_pipe_safe() { return .safe }
    let wasBlocked = csplice_pthread_sigmask_block_pipe() != 0
    csplice_thread_set_pipe_safe(true)
    _ = csplice_thread_take_lost_reader()
    return wasBlocked ? .blocked : .unblocked
  }

  static func unblockSIGPIPE(_ before: SIGPIPEMask) {
    if before == .safe { return }
    csplice_thread_set_pipe_safe(false)
    if before == .unblocked {
      if csplice_thread_take_lost_reader() { _ = csplice_sigtimedwait_pipe() }
      _ = csplice_pthread_sigmask_unblock_pipe()
    }
  }
}

// MARK: - The environment

extension Syscall {
  /// A variable of the environment. No thread of this package changes it but one that is alone.  C: `getenv`
  package static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}
