// A sink as it was asked for.

import Splice

/// One of the sinks, and what becomes of it when it cannot keep up.
struct SinkPlan: Sendable {
  let endpoint: Endpoint
  var policy = Policy.wait

  enum Policy: String, Sendable {
    case wait, skip, detach

    var ofFanOut: FanOut.Policy {
      switch self {
      case .wait: .wait
      case .skip: .skip
      case .detach: .detach()
      }
    }
  }
}
