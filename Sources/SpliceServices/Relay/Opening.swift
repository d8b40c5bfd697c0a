// How a client begins: with a PROXY header, where it has to.

import Splice
import SystemPackage

/// What a client began with.
struct Opening: Sendable {
  /// Nil where none is asked for.
  let header: ProxyHeader?
  /// Bytes of the stream that came with it.
  let rest: [UInt8]

  /// Why a client is not served.
  struct Failure: Error, Sendable {
    let reason: String
    var isTimeout = false
  }

  /// Without a header.
  init() { (header, rest) = (nil, []) }

  /// Reads the header within a time.
  init(
    of client: borrowing Descriptor, accepting versions: Set<Relay.ProxyVersion>, within time: Duration,
    waitingOn executor: EpollExecutor
  ) async throws(Failure) {
    let deadline = ContinuousClock.now + time
    var bytes: [UInt8] = []
    while true {
      do throws(ProxyHeader.Malformed) {
        if let (header, length) = try ProxyHeader.parse(bytes[...], accepting: versions) {
          (self.header, rest) = (header, Array(bytes[length...]))
          return
        }
      } catch { throw Failure(reason: error.reason) }
      bytes += try await Self.more(
        of: client, upTo: ProxyHeader.longest - bytes.count, until: deadline,
        on: executor)
    }
  }

  private static func more(
    of client: borrowing Descriptor, upTo count: Int, until deadline: ContinuousClock.Instant,
    on executor: EpollExecutor
  ) async throws(Failure) -> [UInt8] {
    while true {
      let bytes: [UInt8]?
      do throws(Errno) { bytes = try client.receive(upTo: count) } catch { throw Failure(reason: "\(error)") }
      if let bytes {
        if bytes.isEmpty { throw Failure(reason: "cut short") }
        return bytes
      }
      do throws(SpliceError) {
        try await client.wait(as: .source, until: deadline, waitingOn: executor)
      } catch { throw Failure(reason: "\(error)", isTimeout: error == .timedOut) }
    }
  }
}
