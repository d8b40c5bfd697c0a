// How descriptors are shared out, and whose fault a failure to connect is.

import Splice
import SystemPackage
import Testing

@testable import SpliceServices

@Suite struct DescriptorBudgetTests {
  private func budget(
    _ limit: Int, reserve: Int = 100, wish: Int? = nil, ports: Int? = nil
  ) -> DescriptorBudget {
    DescriptorBudget(limit: limit, reserve: reserve, wish: wish, ports: ports, pipeBytes: 32 << 20)
  }

  @Test(arguments: [0, 1, 3, 20, 256, 1024, 4096, 65536, 1 << 20, Int.max])
  func thereIsADescriptorForEach(_ limit: Int) {
    let budget = budget(limit)
    #expect(budget.connections >= 1 && budget.pipes >= 1 && budget.isEnough)
    if limit >= 20 {
      #expect(2 * budget.connections + 2 * budget.pipes + min(100, limit / 2) <= limit)
    }
    // The most, but for a few.
    if limit >= 1024 { #expect(budget.connections > limit / 4) }
  }

  @Test func portsAndWishesCount() {
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
  func onlyWhatTheUpstreamDidCountsAgainstIt(_ error: SpliceError, _ isLocal: Bool) {
    #expect(error.isLocal == isLocal)
  }
}
