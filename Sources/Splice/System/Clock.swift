// The time of a simulated kernel: in builds that can be simulated, `ContinuousClock.now` asks the thread's
// kernel first.
//
// These two stand before those of the standard library wherever this module is imported within the package,
// so that no deadline can be measured by another clock than the waits are. Other builds have none of this.

#if CSPLICE_SIMULATION
extension ContinuousClock.Instant {
  /// The time of this thread's kernel.
  package static var now: Self {
    guard let nanoseconds = Syscall.simulatedNanoseconds else { return time(of: ContinuousClock()) }
    return simulatedOrigin + Duration.nanoseconds(nanoseconds)
  }

  /// Where the time of simulated kernels begins. Read once, so that two times of one of them always differ by
  /// the same.
  private static let simulatedOrigin = time(of: ContinuousClock())

  /// As the standard library has it.
  private static func time<AnyClock: Clock>(of clock: AnyClock) -> AnyClock.Instant { clock.now }
}

extension ContinuousClock {
  /// The time of this thread's kernel.
  package static var now: Instant { .now }
}
#endif

extension Duration {
  /// Whole nanoseconds, at the limits of an `Int64` when there are more.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    return overflow ? (seconds < 0 ? .min : .max) : whole + attoseconds / 1_000_000_000
  }
}
