// The library against kernels that do as a seed says: whatever the order of events, nothing is lost, nothing
// is held, every deadline is kept.
//
// `swift test` runs the schedules of the same seeds each time, as many as there is time for;
// `scripts/simulate` goes on with others. One that fails is run again and printed. Variables of the
// environment:
//
//   SPLICE_SEED runs the schedules of this seed alone, and prints what happens where one fails
//   SPLICE_SIMULATION_SECONDS how long each subject is simulated SPLICE_FIRST_SEED the first seed
//   SPLICE_SIMULATION_GOES_ON goes on after a finding, and prints a line for each

#if CSPLICE_SIMULATION
  import Foundation
  import Testing

  @Suite(.serialized) struct SimulationTests {
    private static let environment = ProcessInfo.processInfo.environment

    @Test(arguments: Subject.allCases)
    func `whatever the schedule, nothing is lost, nothing is held up, and every deadline is kept`(
      _ subject: Subject
    ) async {
      if let seed = Self.environment["SPLICE_SEED"].flatMap({ UInt64($0) }) {
        if let finding = await Self.onThread({ Schedules.replay(subject, seed: seed) }) {
          Issue.record("\(finding)")
        }
        return
      }
      let seconds = Self.environment["SPLICE_SIMULATION_SECONDS"].flatMap { Double($0) } ?? 15
      let first = Self.environment["SPLICE_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
      let goesOn = Self.environment["SPLICE_SIMULATION_GOES_ON"] != nil
      let (count, calls, findings) = await Self.onThread {
        Schedules.run(subject, from: first, for: seconds, goingOn: goesOn)
      }
      print(
        "\(subject): \(count) schedules, \(calls) system calls, from seed \(first), \(findings.count) findings"
      )
      if goesOn {
        for finding in findings { print("\(finding.subject) \(finding.seed): \(finding.what)") }
      } else if let finding = findings.first {
        let again = await Self.onThread { Schedules.replay(subject, seed: finding.seed) }
        if again?.what != finding.what { Issue.record("not the same when it is run again: \(finding)") }
        Issue.record("\(again ?? finding)")
      }
    }

    /// What blocks leaves the threads of the tests alone.
    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
      await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
      }
    }
  }
#endif
