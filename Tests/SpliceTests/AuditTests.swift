// The audit of an executor: it accuses where an edge was lost, and nowhere else.

#if DEBUG
  import SystemPackage
  import TestSupport
  import Testing

  @testable import Splice

  @Suite(.mayBlock) struct AuditTests {
    private let key = RegistrationKey(descriptor: FileDescriptor(rawValue: 5), generation: 1)
    private let start = Moment.now

    /// Looks after so many milliseconds at what is parked then, and says whether something is lost.
    private func looks(_ looks: [(after: Int, waits: UInt64, told: UInt64, isReady: Bool)]) -> [Bool] {
      var audit = Audit()
      return looks.map { look in
        let parked = Parked(wait: look.waits, interest: Interest(key, as: .source), told: look.told)
        let lost = audit.look(
          at: { [parked] }, now: start + .milliseconds(look.after), isReady: { _ in look.isReady })
        return lost != nil
      }
    }

    @Test func `an edge that stays ready and is not told of is lost`() {
      #expect(looks([(1100, 1, 3, true), (1150, 1, 3, true), (1250, 1, 3, true)]) == [false, false, true])
    }

    @Test func `an edge that was told of meanwhile is not lost`() {
      #expect(looks([(1100, 1, 3, true), (1250, 1, 4, true), (1400, 1, 5, true)]) == [false, false, false])
    }

    @Test func `with another wait for it, an edge is not lost`() {
      #expect(looks([(1100, 1, 3, true), (1250, 2, 3, true)]) == [false, false])
    }

    @Test func `an edge that was not ready in between is not lost`() {
      #expect(looks([(1100, 1, 3, true), (1250, 1, 3, false), (2300, 1, 3, true)]) == [false, false, false])
    }

    @Test func `an executor traps over an edge that is lost`() async {
      // In a process of its own, which it ends.
      let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
        let executor = try EpollExecutor()
        let (reader, writer) = try Syscall.pipe2()
        let source = Interest(executor.attach(reader), as: .source)
        _ = try Syscall.write(writer, [1])
        _ = try await executor.wait(for: source, or: nil, until: nil)
        // Nothing was read, so no edge follows.
        _ = try await executor.wait(for: source, or: nil, until: nil)
      }
      let said = result.map { String(decoding: $0.standardErrorContent, as: UTF8.self) } ?? ""
      #expect(said.contains("an edge was lost"))
    }

    @Test func `the table knows who is parked, and what was told`() {
      var waits = Registrations<Int>()
      let key = waits.attach(FileDescriptor(rawValue: 3))
      _ = waits.park(7, for: Wait(Interest(key, as: .source), nil, until: nil), stays: true)
      #expect(waits.parked.map(\.told) == [0])
      var ready: [Registrations<Int>.Wake] = []
      waits.event(key, .source, isLast: false, waking: &ready)
      // It has something to answer.
      #expect(waits.parked.isEmpty)
      _ = ready.first?.parked.map { waits.answer($0) }
      #expect(waits.parked.map(\.told) == [1])
    }
  }
#endif
