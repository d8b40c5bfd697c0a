// How descriptors are shared out, and whose fault a failure to connect is.

import Splice
import SystemPackage
import Testing

@testable import SpliceServices

@Suite struct DescriptorBudgetTests {
  private func needs(_ others: Int = 0) -> DescriptorNeeds {
    DescriptorNeeds(threads: 2, listeners: 2, places: 1, others: others)
  }

  private func budget(
    _ limit: Int, others: Int = 0, wish: Int? = nil, ports: Int? = nil
  ) -> DescriptorBudget {
    DescriptorBudget(limit: limit, needs: needs(others), wish: wish, ports: ports, pipeBytes: 32 << 20)
  }

  @Test(arguments: [0, 1, 3, 20, 256, 1024, 4096, 65536, 1 << 20, Int.max])
  func `there is a descriptor for each connection`(_ limit: Int) {
    let budget = budget(limit)
    #expect(budget.connections >= 1 && budget.pipes >= 1 && budget.isEnough)
    if limit >= needs().least + 8 {
      #expect(2 * budget.connections + 2 * budget.pipes + needs().least <= limit)
    }
    // The most, but for a few.
    if limit >= 1024 { #expect(budget.connections > limit / 4) }
  }

  /// However few there are: connections have what is left.
  @Test(arguments: [0, 8, 60, 200]) func `what else is needed is kept in full`(_ others: Int) {
    let needs = needs(others)
    #expect(needs.least == self.needs().least + others)
    for limit in [needs.least, needs.least + 10, 256, 1024] where limit >= needs.least {
      let kept = needs.kept(of: limit)
      #expect(kept >= needs.least && kept <= limit && budget(limit, others: others).connections >= 1)
    }
  }

  @Test func `the budget heeds ports and what was asked for`() {
    #expect(budget(65536, ports: 28232).connections == 28232)
    #expect(budget(65536, wish: 7).connections == 7)
    #expect(budget(1024, wish: 100_000).connections == 100_000)
    #expect(!budget(1024, wish: 100_000).isEnough)
    #expect(!budget(65536, wish: 200, ports: 100).isEnough)
  }

  @Test(arguments: [
    (SpliceError.sink(.tooManyOpenFiles), true), (.sink(.tooManyOpenFilesInSystem), true),
    (.sink(.noBufferSpace), true), (.sink(.noMemory), true), (.sink(.addressNotAvailable), true),
    (.pipe(.noSpace), true), (.sink(.connectionRefused), false), (.sink(.networkUnreachable), false),
    (.sink(.connectionReset), false),
    (.sink(.noSuchFileOrDirectory), false),
    (.sink(.permissionDenied), false), (.timedOut, false),
  ])
  func `only what the upstream did counts against it`(_ error: SpliceError, _ isLocal: Bool) {
    #expect(error.isLocal == isLocal)
  }
}
