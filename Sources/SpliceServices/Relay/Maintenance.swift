// What goes on beside the connections: upstreams are checked and resolved, metrics told, and the drain's
// progress.

import Logging
import Splice
import SystemPackage

/// What goes on beside the connections.
struct Maintenance: Sendable {
  private let shared: Relay.Shared
  private let thread: MaintenanceThread

  /// How often what is not told when it happens is told.
  private static let telling = Duration.seconds(5)

  init(of shared: Relay.Shared) throws(Errno) {
    self.shared = shared
    thread = try MaintenanceThread()
  }

  /// Until it is cancelled.
  func run() async {
    await withTaskCancellationHandler {
      await withDiscardingTaskGroup { group in
        for upstream in shared.upstreams.all {
          let maintenance = UpstreamMaintenance(of: upstream, shared, on: thread)
          if let interval = shared.options.healthInterval {
            group.addTask(executorPreference: thread.executor) { await maintenance.check(every: interval) }
          }
          if upstream.address.isName {
            group.addTask(executorPreference: thread.executor) { await maintenance.lookUp() }
          }
        }
        group.addTask(executorPreference: thread.executor) { await tell() }
      }
    } onCancel: {
      thread.wakeAll()
    }
  }

  private func tell() async {
    while !Task.isCancelled {
      shared.report()
      await thread.sleep(until: .now + Self.telling)
      if !Task.isCancelled { shared.serving.sayDraining(after: Self.telling) }
    }
  }
}

/// Looks after one upstream. Its checks and the lookups of its name do not wait for each other.
private struct UpstreamMaintenance: Sendable {
  private let upstream: Upstream
  private let shared: Relay.Shared
  private let thread: MaintenanceThread

  /// How often a name is resolved again when there are no checks.
  private static let resolving = Duration.seconds(30)
  /// A resolver that takes longer is spoken of.
  private static let patience = Duration.seconds(5)

  init(of upstream: Upstream, _ shared: Relay.Shared, on thread: MaintenanceThread) {
    (self.upstream, self.shared, self.thread) = (upstream, shared, thread)
  }

  /// By a clock that is never set; what was missed is not made up for.
  private func repeating(every interval: Duration, _ body: () async -> Void) async {
    var next = ContinuousClock.now
    while !Task.isCancelled {
      await body()
      next = max(next + interval, .now)
      await thread.sleep(until: next)
    }
  }

  /// Makes a connection and closes it, again and again.
  func check(every interval: Duration) async {
    await repeating(every: interval) {
      do throws(SpliceError) {
        _ = try await shared.upstreams.connect(to: upstream, watchedBy: thread.executor)
        upstream.measures.checksPassed.increment()
      } catch {
        if error != .cancelled, !error.isLocal { upstream.measures.checksFailed.increment() }
      }
    }
  }

  /// Finds out where the name leads by now; where it led before is kept when it is not known any more, or the
  /// resolver does not answer.
  func lookUp() async {
    let lookup = Lookup(of: upstream.address)
    let isKnown = Locked(true)
    var isFirst = true
    await repeating(every: shared.options.healthInterval ?? Self.resolving) {
      // It was looked up just before.
      if isFirst { return isFirst = false }
      if let age = lookup.age {
        if age > Self.patience { complain(of: "the resolver does not answer", isKnown) }
        return
      }
      lookup.begin { answer in
        switch answer {
        case .success(let places):
          upstream.places = places
          isKnown.withLock { $0 = true }
        case .failure(let failure): complain(of: "\(failure)", isKnown)
        }
      }
    }
  }

  /// Once, until the name is known again.
  private func complain(of reason: String, _ isKnown: Locked<Bool>) {
    let wasKnown = isKnown.withLock { isKnown in
      defer { isKnown = false }
      return isKnown
    }
    guard wasKnown else { return }
    shared.logger.warning(
      "cannot resolve the upstream's name; keeping its last addresses",
      metadata: ["upstream": "\(upstream.address)", "reason": "\(reason)"])
  }
}
