// How a client begins: with a PROXY header, where it has to.

import Splice
import SystemPackage

/// What a client began with.
struct Opening: Sendable {
  /// Nil where none is asked for.
  let header: ProxyHeader?
  /// Bytes of the stream that came with it.
  let payload: [UInt8]

  /// Why a client is not served.
  struct Refused: Error, Sendable {
    let reason: String
    var isTimeout = false
  }

  /// Without a header.
  init() { (header, payload) = (nil, []) }

  /// Reads the header within a time.
  init(
    of client: borrowing Descriptor, accepting versions: Set<Relay.ProxyVersion>, within time: Duration,
    waitingOn executor: EpollExecutor
  ) async throws(Refused) {
    let deadline = ContinuousClock.now + time
    var bytes: [UInt8] = []
    while true {
      do throws(ProxyHeader.Malformed) {
        if let (header, length) = try ProxyHeader.parse(bytes[...], accepting: versions) {
          (self.header, payload) = (header, Array(bytes[length...]))
          return
        }
      } catch { throw Refused(reason: error.reason) }
      bytes += try await Self.more(
        of: client, upTo: ProxyHeader.longest - bytes.count, until: deadline,
        on: executor)
    }
  }

  private static func more(
    of client: borrowing Descriptor, upTo count: Int, until deadline: ContinuousClock.Instant,
    on executor: EpollExecutor
  ) async throws(Refused) -> [UInt8] {
    while true {
      let bytes: [UInt8]?
      do throws(Errno) { bytes = try client.receive(upTo: count) } catch { throw Refused(reason: "\(error)") }
      if let bytes {
        if bytes.isEmpty { throw Refused(reason: "cut short") }
        return bytes
      }
      do throws(SpliceError) {
        try await client.wait(as: .source, until: deadline, waitingOn: executor)
      } catch { throw Refused(reason: "\(error)", isTimeout: error == .timedOut) }
    }
  }
}
