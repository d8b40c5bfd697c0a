// What goes on beside the connections: upstreams are checked and resolved, metrics told, and the drain's progress.

import Logging
import Splice
import SystemPackage

/// What goes on beside the connections.
struct Caretaking: Sendable {
  private let shared: Relay.Shared
  private let caretakers: [Caretaker]
  private let executors: [EpollExecutor]

  /// How often what is not told when it happens is told.
  private static let telling = Duration.seconds(5)

  init(of shared: Relay.Shared) throws(Errno) {
    self.shared = shared
    let upstreams = shared.upstreams.all.filter { shared.options.healthInterval != nil || $0.address.isName }
    // A resolver may keep its thread for long.
    var executors = upstreams.isEmpty ? [] : [try EpollExecutor(name: "splice-checks")]
    if upstreams.contains(where: \.address.isName) {
      executors.append(try EpollExecutor(name: "splice-resolver"))
    }
    self.executors = executors
    caretakers = upstreams.map {
      Caretaker(of: $0, shared, checkingOn: executors[0], resolvingOn: executors[executors.count - 1])
    }
  }

  /// Until it is cancelled.
  func run() async {
    await withDiscardingTaskGroup { group in
      for caretaker in caretakers {
        group.addTask(executorPreference: executors[0]) { await caretaker.run() }
      }
      group.addTask { await tell() }
    }
    for executor in executors { executor.shutdown() }
  }

  private func tell() async {
    while !Task.isCancelled {
      shared.report()
      try? await Task.sleep(for: Self.telling)
      if shared.seats.isClosed, !Task.isCancelled { shared.sayDraining() }
    }
  }
}

/// Looks after one upstream.
private struct Caretaker: Sendable {
  private let upstream: Upstream
  private let shared: Relay.Shared
  private let executor, resolver: EpollExecutor

  /// How often a name is resolved again when nothing else is done.
  private static let resolving = Duration.seconds(30)

  init(
    of upstream: Upstream, _ shared: Relay.Shared, checkingOn executor: EpollExecutor,
    resolvingOn resolver: EpollExecutor
  ) {
    (self.upstream, self.shared, self.executor, self.resolver) = (upstream, shared, executor, resolver)
  }

  func run() async {
    let interval = shared.options.healthInterval ?? Self.resolving
    var isResolved = true
    var next = ContinuousClock.now
    while !Task.isCancelled {
      if shared.options.healthInterval != nil { await check() }
      // By a clock that nobody sets; what was missed is not made up for.
      next = max(next + interval, .now)
      try? await Task.sleep(until: next)
      if !Task.isCancelled, upstream.address.isName { isResolved = await resolve(was: isResolved) }
    }
  }

  /// A connection that is made and closed.
  private func check() async {
    do throws(SpliceError) {
      _ = try await shared.upstreams.connect(to: upstream, watchedBy: executor)
      upstream.measures.checksPassed.increment()
    } catch {
      if error != .cancelled { upstream.measures.checksFailed.increment() }
    }
  }

  /// Where the name leads by now; where it led before, when it is not known any more.
  private func resolve(was wasResolved: Bool) async -> Bool {
    do {
      upstream.places = try await withTaskExecutorPreference(resolver) { try upstream.address.resolve() }
      return true
    } catch {
      if wasResolved {
        shared.logger.warning(
          "an upstream's name is not known any more, and its last addresses are kept",
          metadata: ["upstream": "\(upstream.address)", "reason": "\(error)"])
      }
      return false
    }
  }
}
