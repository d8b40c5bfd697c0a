// Standard input to many descriptors: a fan-out on one executor.

import Glibc
import Splice
import SystemPackage

enum Spread {
  private static let pieceSize = 256 << 10

  /// Wishes for a larger pipe.  C: F_SETPIPE_SZ
  @discardableResult
  private static func enlarge(_ number: CInt) -> FileDescriptor {
    _ = fcntl(number, 1031, CInt(pieceSize))
    return FileDescriptor(rawValue: number)
  }

  /// Sinks are numbers of descriptors, or `null`; `skip:` and `detach:` before one say what becomes of it when it is slow.
  static func run(slots: Int, sinks: ArraySlice<String>) async throws {
    // Pipes as large as a piece, as the yardstick has them.
    let fan = try FanOut(pieceSize: pieceSize)
    enlarge(0)
    try await withThrowingTaskGroup(of: Bool.self) { tasks in
      for word in sinks {
        let parts = word.split(separator: ":")
        let policy: FanOut.Policy =
          switch parts[0] {
          case "skip": .skip
          case "detach": .detach()
          default: .wait
          }
        let sink = try fan.attach(policy, capacity: slots > 0 ? slots * 4096 : nil)
        let end =
          if let number = CInt(parts[parts.count - 1]) {
            enlarge(number)
          } else { try FileDescriptor.open("/dev/null", .writeOnly) }
        tasks.addTask {
          if case .wait = policy {
            try await sink.drain(to: Descriptor(owning: end))
            return true
          }
          // Its failure fails nothing.
          _ = try? await sink.drain(to: Descriptor(owning: end))
          return false
        }
      }
      try await fan.fill(from: Mover.end(0))
      fan.finish()
      // Who is stalled for ever still has bytes to take.
      var waited = sinks.count { Int($0) != nil || $0 == "null" }
      while waited > 0, let isWaited = try await tasks.next() { waited -= isWaited ? 1 : 0 }
      tasks.cancelAll()
    }
  }
}
