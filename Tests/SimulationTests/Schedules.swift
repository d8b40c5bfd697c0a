// Runs schedules, each made from a seed, on threads of their own; the first that fails is run again, to tell
// what happened in it.

#if CSPLICE_SIMULATION
  import Dispatch
  import Foundation
  import Synchronization

  /// What is simulated.
  enum Subject: String, CaseIterable, Sendable {
    case duplex, relay

    fileprivate func run(in world: World) throws {
      switch self {
      case .duplex: try world.runDuplexes()
      case .relay: try world.runRelay()
      }
    }
  }

  /// A schedule that showed something that must not be.
  struct Finding: Sendable, CustomStringConvertible {
    let subject: Subject
    let seed: UInt64
    let what: String
    var trace: [String] = []

    var description: String {
      """
      \(subject) with seed \(seed): \(what)
      Again: SPLICE_SEED=\(seed) swift test --filter SimulationTests
      \(trace.joined(separator: "\n"))
      """
    }
  }

  /// Seeds are handed out to threads, until the time is over or one has failed.
  final class Schedules: Sendable {
    private struct State {
      var next: UInt64
      var done = 0
      var calls = 0
      var findings: [Finding] = []
      /// Seeds that run, and since when.
      var running: [UInt64: Date] = [:]
    }

    /// How many there were, how many system calls they made, and what was found.
    typealias Outcome = (count: Int, calls: Int, findings: [Finding])

    private let subject: Subject
    private let state: Mutex<State>
    private let end: Date
    private let most: Int
    private let goesOn: Bool
    private let isTraced: Bool
    private let event = DispatchSemaphore(value: 0)

    /// No schedule takes longer than this by a real clock.
    private static let longest = 60.0

    private init(
      _ subject: Subject, from seed: UInt64, most: Int, until end: Date, goesOn: Bool, isTraced: Bool
    ) {
      (self.subject, self.end, self.most, self.goesOn) = (subject, end, most, goesOn)
      self.isTraced = isTraced
      state = Mutex(State(next: seed))
    }

    /// Runs as many as there is time for, and says how many there were and what was found. `goesOn` beyond
    /// the first finding.
    static func run(
      _ subject: Subject, from seed: UInt64, for time: Double, goingOn goesOn: Bool = false
    ) -> Outcome {
      let schedules = Schedules(
        subject, from: seed, most: .max, until: Date() + time, goesOn: goesOn, isTraced: false)
      return schedules.run(threads: ProcessInfo.processInfo.activeProcessorCount)
    }

    /// Runs one, and writes down what happens in it.
    static func replay(_ subject: Subject, seed: UInt64) -> Finding? {
      let schedules = Schedules(
        subject, from: seed, most: 1, until: .distantFuture, goesOn: false, isTraced: true)
      return schedules.run(threads: 1).findings.first
    }

    private func run(threads: Int) -> Outcome {
      for _ in 0..<threads { startThread() }
      var left = threads
      while left > 0 {
        if event.wait(timeout: .now() + .seconds(1)) == .success {
          left -= 1
        } else if findStuck() {
          break
        }
      }
      return state.withLock { ($0.done, $0.calls, $0.findings) }
    }

    /// Whether one has come to a standstill that its kernel cannot see.
    private func findStuck() -> Bool {
      state.withLock { state in
        guard let stuck = state.running.first(where: { $0.value + Self.longest < Date() }) else {
          return false
        }
        let what = "takes more than \(Self.longest) s"
        state.findings.append(Finding(subject: subject, seed: stuck.key, what: what))
        return true
      }
    }

    private func startThread() {
      let thread = Thread { [self] in
        while let seed = take() { run(seed) }
        event.signal()
      }
      thread.stackSize = 4 << 20
      thread.start()
    }

    private func take() -> UInt64? {
      state.withLock { state in
        guard state.done < most, goesOn || state.findings.isEmpty, Date() < end else { return nil }
        state.done += 1
        defer { state.next += 1 }
        state.running[state.next] = Date()
        return state.next
      }
    }

    private func run(_ seed: UInt64) {
      let world = World(seed: seed, isTraced: isTraced) { [self] what, trace in
        // This thread is lost; another goes on in its place.
        state.withLock { state in
          state.findings.append(Finding(subject: subject, seed: seed, what: what, trace: trace))
          state.running[seed] = nil
        }
        if goesOn { startThread() } else { event.signal() }
      }
      do { try subject.run(in: world) } catch { world.fail("\(error)") }
      world.settle()
      if !world.leftOpen.isEmpty { world.fail("left open: \(world.leftOpen)") }
      world.mustBeOver()
      world.end()
      state.withLock { state in
        state.running[seed] = nil
        state.calls += world.calls
      }
    }
  }
#endif
